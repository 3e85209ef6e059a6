"""What a Kubernetes API server accepts: schemas, defaults, validation. Pure."""
