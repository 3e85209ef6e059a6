"""Carries decisions out: writes to the cluster, Events, alerts. Called by `operator.reconcile`."""
