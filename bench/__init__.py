"""What a release costs, measured: `make bench`. Nothing in the product imports it."""
