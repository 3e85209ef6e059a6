"""What the operator, kubectl and Traefik need of an API server: one suite for any server."""
