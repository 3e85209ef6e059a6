"""The read model: what a person sees of canaries, for the command line and the dashboard.

It reads with the person's own rights and never writes. Modules other than `read` are pure.
"""
