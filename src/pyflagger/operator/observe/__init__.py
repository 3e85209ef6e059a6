"""Build a Situation from the watch cache, without API reads. `operator.reconcile` and `flagger lint` call this."""
