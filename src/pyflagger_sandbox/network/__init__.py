"""How traffic moves in the sandbox: cluster names, the forward proxy for commands, and the ingress."""
