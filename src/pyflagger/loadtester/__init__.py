"""The load tester: a service that webhooks call for acceptance tests, load and gates.

`main(argv)` is the command. `serving(options, …)` runs the same service inside another program. `load` generates load.
"""

from .options import FLAGS, Options, read_options
from .service import main, serve, serving

__all__ = ["FLAGS", "Options", "main", "read_options", "serve", "serving"]
