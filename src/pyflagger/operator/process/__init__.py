"""The process around the operator: HTTP in and out, metrics, health. Knows nothing of decisions."""
