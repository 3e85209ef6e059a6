"""Every YAML block of the docs passes `flagger lint`, the Helm chart, or says why it is neither.

* Objects go through lint as they are, those of a block together.
* A block without `kind` is a part of one of our objects, from `spec` on or below it: it is merged into a small object.
* A block with the title `values.yaml` holds values of a chart.
* Anything else needs the comment `<!-- not linted: REASON -->` before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.blocks import ROOT, Block, blocks, guides, pages
from pyflagger.cli.lint import ERROR, findings
from pyflagger.cli.manifests import Found
from pyflagger.objects import Obj
from shipping.rendering import helm

YAML = [block for page in pages() for block in blocks(page) if block.language == "yaml"]
META = {"name": "podinfo", "namespace": "test"}
API = "flagger.app/v1beta1"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
CANARY: Obj = {
    "apiVersion": API,
    "kind": "Canary",
    "metadata": META,
    "spec": {
        "provider": "istio",
        "targetRef": TARGET,
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 5},
    },
}
STEPS = {"stepWeight": 10, "maxWeight": 50}
TEMPLATE: Obj = {
    "apiVersion": API,
    "kind": "MetricTemplate",
    "metadata": META,
    "spec": {"provider": {"type": "influxdb", "address": "http://influxdb:8086"}, "query": "1"},
}
ALERTS: Obj = {"apiVersion": API, "kind": "AlertProvider", "metadata": META, "spec": {"type": "slack"}}


def merged(base: Any, part: Any) -> Any:
    """A value with the fields of another one over its own, at every depth."""
    if not isinstance(base, Mapping) or not isinstance(part, Mapping):
        return part
    return {**base, **{key: merged(base.get(key), value) for key, value in part.items()}}


def whole(part: Obj) -> Obj:
    """The object that a part of a `spec` is from."""
    spec = part["spec"] if set(part) == {"spec"} else part
    if "query" in spec:
        return dict(merged(TEMPLATE, {"spec": spec}))
    if "type" in spec:
        return dict(merged(ALERTS, {"spec": spec}))
    analysis = merged(CANARY, {"spec": spec})["spec"]["analysis"]
    steps = {} if {"iterations", "match", "stepWeight", "stepWeights"} & analysis.keys() else STEPS
    rounds = {"iterations": 10} if "match" in analysis and "iterations" not in analysis else {}
    return dict(merged(CANARY, {"spec": {**spec, "analysis": {**analysis, **steps, **rounds}}}))


def problems(block: Block) -> list[str]:
    """What lint finds in the objects of a block."""
    found = []
    for node in yaml.compose_all(block.text, Loader=yaml.SafeLoader):
        obj = yaml.safe_load(yaml.serialize(node))
        assert isinstance(obj, dict), f"{block.place}: no mapping; say why by <!-- not linted: REASON -->"
        found.append(Found(block.place, obj if "kind" in obj else whole(obj), node))
    return [f"{block.place}: {one.path}: {one.text} {one.todo}" for one in findings(found) if one.level == ERROR]


def test_there_are_blocks() -> None:
    """An expression that finds none would make each test below pass."""
    assert len(YAML) > 20


@pytest.mark.parametrize(
    "block", [block for block in YAML if block.title != "values.yaml"], ids=lambda block: block.place
)
def test_a_block_passes_lint(block: Block) -> None:
    """An example that the operator would refuse costs a reader an hour."""
    if not block.why:
        assert problems(block) == []


@pytest.mark.parametrize(
    "block", [block for block in YAML if block.title == "values.yaml"], ids=lambda block: block.place
)
def test_the_chart_takes_the_values(block: Block) -> None:
    """Those on the page of the load tester are values of its chart."""
    chart = "loadtester" if "loadtester" in block.page else "flagger"
    done = helm(chart, yaml.safe_load(block.text))
    assert done.returncode == 0, f"{block.place}: {done.stderr}"


@pytest.mark.parametrize(
    "text, said",
    [
        ("spec: {provider: nginx}", "ingressRef"),
        ("analysis: {stepWeight: 101}", "stepWeight"),
        ("analysis: {stepWieght: 5}", "stepWieght"),
        ("query: '{{ nmae }}'", "nmae"),
        ("spec: {type: slack, chanel: x}", "chanel"),
    ],
)
def test_a_mistake_is_found(text: str, said: str) -> None:
    """In each kind of part."""
    assert any(said in one for one in problems(Block("page", 1, "yaml", "", text, "")))


def test_every_command_of_a_guide_is_played_or_says_why() -> None:
    """A page starts a sandbox and is played on it (`tests/walkthrough/guided.py`), or its blocks have marks."""
    found = []
    for page in guides():
        shells = [block for block in blocks(page) if block.language == "sh" and not block.why]
        if not any("flagger sandbox" in block.text for block in shells):
            found += [block.place for block in shells if not block.by]
    assert found == []


def test_what_a_block_is_run_by_follows_its_page() -> None:
    """The file of the test names the page."""
    marked = [block for page in guides() for block in blocks(page) if block.by]
    assert len(marked) > 5
    assert [block.place for block in marked if f'"{Path(block.page).stem}"' not in (ROOT / block.by).read_text()] == []


README = {
    "make demo": "played by tests/walkthrough/test_demo.py",
    "make install": "played by tests/walkthrough/test_readme.py",
    "docker build": "built by tests/shipping/test_image.py",
}
"""The blocks of the README by the beginning of their first line, with who plays them."""


def test_every_command_of_the_readme_is_accounted_for() -> None:
    """Its blocks are indented."""
    text = pages()[0].read_text()
    firsts = [
        after.strip()
        for before, after in zip(("", *text.splitlines()), text.splitlines(), strict=False)
        if after[:4] == "    " and not before
    ]
    assert firsts
    assert [first for first in firsts if not first.startswith(tuple(README))] == []
