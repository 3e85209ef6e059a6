"""Carry out decisions: writes to the cluster, Events, alerts. `operator.reconcile` calls this package."""
