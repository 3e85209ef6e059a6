"""A whole cluster with an operator, in process and on virtual time."""
