"""Every kind of target on a real control plane, with the real definitions of the kinds that other projects bring."""
