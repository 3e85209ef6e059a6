"""`make docs`: write what is generated of the docs and manifests: tables of fields, the phases, scenarios, the CRDs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

from docs import helps, phases, pictures, providers, rooms, scenarios
from docs.fields import TABLE as TABLE_OF_FIELDS
from docs.fields import fields
from docs.paths import table
from monitoring import boards, rules
from parity import ours
from parity import table as parity
from pyflagger.api.crds import crds

ROOT = Path(__file__).resolve().parents[2]
TABLES = (("Canary", "spec"), ("Canary", "status"), ("MetricTemplate", "spec"), ("AlertProvider", "spec"))
HISTORY = (("CanaryRelease", "spec"), ("CanaryRelease", "status"))
ACTIONS = (("CanaryAction", "spec"), ("CanaryAction", "status"))
TABLE = re.compile(r"\| field \| type \| meaning \|\n(\|.*\n?)+")
"""The tables of fields on the pages of the kinds, in the order of `TABLES`, `HISTORY` and `ACTIONS`."""

VALUES = ROOT / "src" / "pyflagger" / "cli" / "migrate" / "values.txt"
"""The values of the operator's chart, which `flagger migrate check --values` knows."""

COPIES = {
    "crds/crds.yaml": "flagger/crds/crds.yaml",
    "base/rules.yaml": "flagger/files/rules.yaml",
    "base/settings.yaml": "flagger/files/settings.yaml",
    "operator/view.yaml": "flagger/files/view.yaml",
    "operator/act.yaml": "flagger/files/act.yaml",
    "components/action-policy/policy.yaml": "flagger/files/action-policy.yaml",
    "base/election.yaml": "flagger/files/election.yaml",
    "components/network/policy.yaml": "flagger/files/policy.yaml",
    "dashboard/rules.yaml": "flagger/files/dashboard.yaml",
    "dashboard/policy.yaml": "flagger/files/dashboard-policy.yaml",
    "prometheus/prometheus.yml": "flagger/files/prometheus.yml",
    "prometheus/rules.yaml": "flagger/files/prometheus-rules.yaml",
    "tester-auth/review.yaml": "loadtester/files/review.yaml",
}
"""What the charts take from kustomize/: there is one source of it, but a chart holds nothing from outside of itself."""


def main() -> None:
    """Write all of it."""
    for name, parts in {"canary.md": TABLES, "history.md": HISTORY, "actions.md": ACTIONS}.items():
        page = ROOT / "docs" / name
        tables = iter([table(*which) + "\n" for which in parts])
        page.write_text(TABLE.sub(lambda _, tables=tables: next(tables), page.read_text()))
    page = ROOT / "docs" / "behaviour.md"
    drawn = iter(phases.diagrams())
    page.write_text(phases.BLOCK.sub(lambda _: next(drawn), page.read_text()))
    (ROOT / "docs" / "providers.md").write_text(providers.page())
    (ROOT / "docs" / "scenarios.md").write_text(scenarios.page())
    (ROOT / "docs" / "reference" / "help.md").write_text(helps.page())
    pictures.main()
    page = ROOT / "docs" / "observability.md"
    page.write_text(TABLE_OF_FIELDS.sub(lambda _: fields(), page.read_text()))
    architecture = ROOT / "docs" / "architecture.md"
    architecture.write_text(rooms.PICTURE.sub(lambda _: rooms.picture(), architecture.read_text()))
    definitions = yaml.safe_dump_all(crds(), sort_keys=False)
    (ROOT / "kustomize" / "crds" / "crds.yaml").write_text(definitions)
    parity.PAGE.write_text(parity.page())
    VALUES.write_text("\n".join(sorted(ours.values("flagger"))) + "\n")
    boards.write()
    rules.write()
    for source, copy in COPIES.items():
        shutil.copyfile(ROOT / "kustomize" / source, ROOT / "charts" / copy)


if __name__ == "__main__":
    main()
