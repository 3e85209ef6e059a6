"""The controllers of a cluster: pure reconcile functions, and the small machinery that runs them on watch events."""
