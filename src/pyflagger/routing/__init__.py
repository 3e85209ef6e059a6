"""How traffic is split: the Services of every canary, and a module a provider. Pure."""
