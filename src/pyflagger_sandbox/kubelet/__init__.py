"""The kubelet of the sandbox's nodes: runs pods on loopback, or pretends to on virtual time."""
