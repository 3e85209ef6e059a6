"""When a canary is reconciled, and the loop of one reconciliation. Calls the other rooms through `ports`."""
