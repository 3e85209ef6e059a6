"""Gathers what a decision asks for: metric checks, webhooks, field managers, pods. Called by `operator.run`."""
