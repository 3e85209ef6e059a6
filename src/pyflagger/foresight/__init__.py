"""What a Canary will do with its visitors, before it meets them: steps, durations, probabilities. Pure."""
