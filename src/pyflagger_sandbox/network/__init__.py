"""The network of the sandbox: cluster names, the forward proxy for commands, and the ingress."""
