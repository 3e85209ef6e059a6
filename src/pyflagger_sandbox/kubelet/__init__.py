"""The kubelet of the sandbox's nodes: runs pods on loopback, or simulates them on virtual time."""
