"""`make docs`: write what is generated of the docs and manifests: tables of fields, the providers, the CRDs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from docs import providers
from docs.paths import table
from pyflagger.api.crds import crds

ROOT = Path(__file__).resolve().parents[2]
TABLES = (("Canary", "spec"), ("Canary", "status"), ("MetricTemplate", "spec"), ("AlertProvider", "spec"))
TABLE = re.compile(r"\| field \| type \| meaning \|\n(\|.*\n?)+")
"""The tables of fields on the page of the kinds, in the order of `TABLES`."""


def main() -> None:
    """Write all of it."""
    page = ROOT / "docs" / "canary.md"
    tables = iter([table(*which) + "\n" for which in TABLES])
    page.write_text(TABLE.sub(lambda _: next(tables), page.read_text()))
    (ROOT / "docs" / "providers.md").write_text(providers.page())
    definitions = yaml.safe_dump_all(crds(), sort_keys=False)
    (ROOT / "kustomize" / "crds" / "crds.yaml").write_text(definitions)


if __name__ == "__main__":
    main()
