"""Gather the evidence that a decision needs: metric checks, webhooks, field managers, pods."""
