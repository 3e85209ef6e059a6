"""The operator against a real control plane: its parts, how they start, and what is asked of the operator there."""
