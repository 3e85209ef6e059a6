"""`flagger crds`: the three CustomResourceDefinitions as YAML, generated from the models."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from pyflagger.api.crds import crds


def main(argv: Sequence[str]) -> int:
    """Print them; no options."""
    if argv:
        print("usage: flagger crds")
        return 0 if argv[0] in ("-h", "--help") else 2
    print(yaml.safe_dump_all(crds(), sort_keys=False), end="")
    return 0
