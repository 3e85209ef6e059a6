"""The controllers of a cluster: pure reconcile functions, and a manager that runs them on watch events."""
