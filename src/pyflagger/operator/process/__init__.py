"""The process of the operator: HTTP server and client, metrics, health. It is independent of decisions."""
