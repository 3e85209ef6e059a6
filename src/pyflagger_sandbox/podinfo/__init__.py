"""An emulator of podinfo, the web service of Flux's tutorials: same paths, flags, variables and metrics."""
