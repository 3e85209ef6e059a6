"""`python -m pyflagger`: the same as the command `flagger`."""

from __future__ import annotations

import sys

from pyflagger.cli.main import main

sys.exit(main())
