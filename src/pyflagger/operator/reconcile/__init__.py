"""Schedule reconciliations and run them. This package calls the others through `ports`."""
