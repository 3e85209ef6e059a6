"""Traffic routing: the Services of every canary, and one module per provider. This package is pure."""
