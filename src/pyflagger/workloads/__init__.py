"""What is released: a module a kind of target, and what goes with it (configs, autoscalers). Pure."""
