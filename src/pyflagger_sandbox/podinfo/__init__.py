"""A twin of podinfo, the little web service of Flux's walkthroughs: same paths, flags, variables and metrics."""
