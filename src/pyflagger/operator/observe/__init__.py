"""From the watch cache to a Situation, without an API read. Called by `operator.reconcile` and `flagger lint`."""
