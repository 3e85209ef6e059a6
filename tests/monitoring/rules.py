"""The alerting rules: a file for Prometheus, and the same as an object for its operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parents[2] / "examples" / "monitoring" / "rules.yaml"
OBJECT = FILE.with_name("prometheusrule.yaml")
HEAD = """\
# The rules of rules.yaml for the Prometheus operator. `make docs` writes this file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: flagger
  labels:
    app: flagger
spec:
"""


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]


def text() -> str:
    """The object, with the rules as they stand in the file."""
    lines = FILE.read_text().partition("groups:\n")[2].splitlines()
    return f"{HEAD}  groups:\n" + "".join(f"  {line}\n" if line else "\n" for line in lines)


def write() -> None:
    """Write the object."""
    OBJECT.write_text(text())
