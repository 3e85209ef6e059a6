"""Send alerts, and store which are still to be sent. `operator.act` calls this package."""
