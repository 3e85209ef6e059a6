"""Dashboards and alerting rules: current, whole, in valid PromQL, and over series that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from monitoring import boards, rules
from monitoring.panels import COLUMNS
from pyflagger.metrics.builtin import DIALECTS
from pyflagger.operator.process.telemetry import Telemetry

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
LEGACY = {"graph", "singlestat", "table-old", "text-old"}
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
LABEL_VALUES = re.compile(r"label_values\((?:(.+), )?(\w+)\)")
OTHERS = {
    "envoy_cluster_upstream_cx_rx_bytes_total": {"kubernetes_namespace", "app", "envoy_cluster_name"},
    "envoy_cluster_upstream_rq": {"kubernetes_namespace", "app", "envoy_cluster_name", "envoy_response_code"},
}
"""Series of Envoy, with the labels that Envoy and the bundled Prometheus give them."""

BOARDS = pytest.mark.parametrize("name", boards.BOARDS)


def board(name: str) -> dict[str, Any]:
    """A dashboard as it is shipped."""
    found: dict[str, Any] = json.loads((boards.FOLDER / f"{name}.json").read_text())
    return found


def expressions(shown: dict[str, Any]) -> Iterator[str]:
    """All PromQL of a dashboard, with a value for each variable."""
    texts = [target["expr"] for panel in shown["panels"] for target in panel.get("targets", ())]
    for variable in shown["templating"]["list"]:
        if variable["type"] == "query":
            asked = LABEL_VALUES.fullmatch(variable["definition"])
            assert asked is not None
            texts.append(asked[1])
    yield from (VARIABLE.sub("shop", text) for text in texts)


def selectors(node: Any) -> Iterator[Any]:
    """The selectors in an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (below := getattr(node, name, None)) is not None:
            yield from selectors(below)
    for below in getattr(node, "args", ()) or ():
        yield from selectors(below)


def own_series() -> dict[str, set[str]]:
    """The labels of each series of /metrics, by its name."""
    telemetry = Telemetry("0", "istio")
    found = {}
    for family in telemetry.registry.collect():
        suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(family.type, ("",))
        for suffix in suffixes:
            found[f"{family.name}{suffix}"] = {"le"} if suffix == "_bucket" else set()
    labels = re.compile(r"^\| `(\w+)` \| \w+ \| ([\w, ]*) \|", re.MULTILINE)
    for name, named in labels.findall((ROOT / "docs" / "metrics.md").read_text()):
        for known in found:
            if known == name or known.removesuffix("_bucket") == name:
                found[known] |= set(filter(None, named.split(", ")))
    return found


def scraped() -> str:
    """Where names of other series stand: built-in queries, and what the bundled Prometheus keeps."""
    queries = " ".join(str(row) for row in DIALECTS.values())
    return queries + (ROOT / "kustomize" / "prometheus" / "prometheus.yml").read_text()


@BOARDS
def test_it_is_current(name: str) -> None:
    """`make docs` writes it."""
    file = boards.FOLDER / f"{name}.json"
    assert file.read_text() == boards.texts()[file]


@BOARDS
def test_every_query_is_promql_over_series_that_exist(name: str) -> None:
    """With labels that they have."""
    own = own_series()
    for text in expressions(board(name)):
        for found in selectors(promql_parser.parse(text)):
            labels = {matcher.name for matcher in found.matchers.matchers}
            if found.name.startswith("flagger_"):
                assert labels <= own[found.name] | {"namespace"}, text
            elif found.name in OTHERS:
                assert labels <= OTHERS[found.name], text
            else:
                assert known(found.name), text


def known(series: str) -> bool:
    """Whether a built-in query asks for a series, or cAdvisor's scrape keeps it."""
    return series in scraped() or series.startswith(("container_cpu_", "container_memory_", "container_network_"))


@BOARDS
def test_it_is_whole(name: str) -> None:
    """Panels of today's types, each with an id of its own, side by side; every variable is there."""
    shown = board(name)
    panels = shown["panels"]
    assert shown["uid"] == f"flagger-{name}"
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    assert not {panel["type"] for panel in panels} & LEGACY
    for one, two in combinations([panel["gridPos"] for panel in panels], 2):
        apart = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in panels)
    variables = {variable["name"] for variable in shown["templating"]["list"]}
    assert set(VARIABLE.findall(json.dumps(shown))) <= variables


def test_the_dashboards_of_flagger_have_its_uids_and_variables() -> None:
    """Links and bookmarks lead to them."""
    variables = {
        name: [one["name"] for one in board(name)["templating"]["list"]][1:] for name in ("istio", "appmesh", "envoy")
    }
    workloads = ["namespace", "primary", "canary"]
    assert variables == {"istio": workloads, "appmesh": workloads, "envoy": ["namespace", "target"]}


# Alerting rules ------------------------------------------------------------------------------------------------------


def test_the_rule_object_has_the_same_rules() -> None:
    """`make docs` writes it."""
    assert rules.OBJECT.read_text() == rules.text()


def test_every_rule_is_over_series_that_exist() -> None:
    """Of the operator alone."""
    own = own_series()
    for rule in rules.rules():
        for found in selectors(promql_parser.parse(rule["expr"])):
            assert {matcher.name for matcher in found.matchers.matchers} <= own[found.name], rule["alert"]


def test_every_rule_is_tested() -> None:
    """It fires in one story, and not in another or before."""
    stories = yaml.safe_load((HERE / "rules_test.yaml").read_text())["tests"]
    cases = [case for story in stories for case in story["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case.get("exp_alerts")}
    quiet = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert fires == quiet == {rule["alert"] for rule in rules.rules()}


def promtool() -> str | None:
    """The one on PATH, or that of the e2e parts."""
    kept = Path.home() / ".cache" / "pyflagger" / "e2e" / "debian-prometheus" / "usr" / "bin" / "promtool"
    return shutil.which("promtool") or (str(kept) if kept.exists() else None)


@pytest.mark.skipif(promtool() is None, reason="promtool is not here: make e2e-parts")
def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    """By Prometheus itself."""
    for file in (rules.FILE, HERE / "rules_test.yaml"):
        shutil.copy(file, tmp_path)
    command = [str(promtool()), "test", "rules", "rules_test.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
