"""The load tester: the service that hooks call for acceptance tests, load and gates.

`main(argv)` is the command; `serving(options, …)` the same inside another program. `python -m pyflagger.loadtester.hey`
generates load; `make_shims` makes it and a small curl available to commands.
"""

from .options import FLAGS, Options, read_options
from .service import main, serve, serving
from .shims import make_shims

__all__ = ["FLAGS", "Options", "main", "make_shims", "read_options", "serve", "serving"]
