"""The rules of a Kubernetes API server: schemas, defaults, validation. Pure."""
