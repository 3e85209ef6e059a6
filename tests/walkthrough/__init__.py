"""What users do by hand, done by tests with the real tools."""
