"""Every recorded scenario of the reference, as a script: a rehearsal gives its phases and weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from oracle.replay import HERE, HOOKS, KINDS, PODS_TAKE, PROMETHEUS
from oracle.test_oracle import NAMES
from pyflagger_sandbox.rehearsal import virtual
from pyflagger_sandbox.rehearsal.player import play
from pyflagger_sandbox.rehearsal.production import production
from pyflagger_sandbox.rehearsal.script import parsed

BUILT_IN = {
    "request-success-rate": "nginx_ingress_controller_requests{ http_request_duration_seconds_count{",
    "request-duration": "nginx_ingress_controller_response_duration_seconds{ http_request_duration_seconds_bucket{",
}
"""Series in the queries of the built-in metrics, for the providers of the scenarios."""
UNITS = {"http_request_duration_seconds_bucket": 1000}
"""Milliseconds of a value that the scenario gives in another unit."""


class Translated:
    """A scenario in the words of a script."""

    def __init__(self, file: Path) -> None:
        self.doc = yaml.safe_load(file.read_text().replace("{hooks}", HOOKS).replace("{prom}", PROMETHEUS))
        objects = self.doc["objects"]
        self.objects = [{**obj, "metadata": {**obj["metadata"], "namespace": self.doc["namespace"]}} for obj in objects]
        (canary,) = (obj for obj in objects if obj["kind"] == "Canary")
        self.analysis = canary["spec"].get("analysis") or {}
        templates = [obj for obj in objects if obj["kind"] == "MetricTemplate"]
        self.queries = {obj["metadata"]["name"]: obj["spec"]["query"] for obj in templates}

    def script(self) -> dict[str, Any]:
        """The document."""
        end = dict(self.doc["end"])
        return {
            "kind": "Rehearsal",
            "name": self.doc["name"],
            "operator": ["-mesh-provider=nginx", *(self.doc.get("operator") or ())],
            "limit": f"{self.doc.get('limit', 240)}s",
            "pods": {"ready": f"{PODS_TAKE:g}s", "broken": ["*:broken"]},
            "series": self.series(self.doc.get("metrics") or ()) | self.unmatched(),
            "hooks": self.hooks(self.doc.get("hooks") or {}),
            "settle": f"{end.pop('settle', 0)}s",
            "until": end,
            "steps": list(self.steps()),
        }

    def asked(self) -> Iterator[tuple[str, str]]:
        """Name and query of each metric."""
        for metric in self.analysis.get("metrics") or ():
            template = (metric.get("templateRef") or {}).get("name")
            yield metric["name"], metric.get("query") or self.queries.get(template) or BUILT_IN[metric["name"]]

    def series(self, entries: Any) -> dict[str, Any]:
        """The first entry that matches a query answers it."""
        found: dict[str, Any] = {}
        for name, query in self.asked():
            for entry in entries:
                if entry["match"] in query:
                    found.setdefault(name, answers(entry["value"], UNITS.get(entry["match"], 1)))
        return found

    def unmatched(self) -> dict[str, Any]:
        """The scenarios' Prometheus answers 100 to any other query."""
        matched = self.series(self.doc.get("metrics") or ())
        return {name: 100 for name, _ in self.asked() if name not in matched}

    def hooks(self, by_path: dict[str, Any]) -> dict[str, Any]:
        """The answers by the names of webhooks."""
        names = {hook["name"]: hook["url"].removeprefix(HOOKS) for hook in self.analysis.get("webhooks") or ()}
        return {name: by_path[path] for name, path in names.items() if path in by_path}

    def steps(self) -> Iterator[dict[str, Any]]:
        """Each with its condition."""
        for step in self.doc["steps"]:
            when = {{"failed": "failedChecks"}.get(key, key): value for key, value in (step.get("when") or {}).items()}
            if "called" in when:
                when["hook"] = next(iter(self.hooks({when.pop("called"): 200})))
            made = {"after": f"{step.get('after', 0)}s", **({"when": when} if when else {})}
            for verb, what in step["do"].items():
                made |= self.action(verb, what)
            yield made

    def action(self, verb: str, what: Any) -> dict[str, Any]:
        """What a step does."""
        if verb == "image":
            return {"release": what["image"], "container": what["container"]}
        if verb == "metric":
            return {"series": self.series([what])}
        if verb == "hook":
            return {"hooks": self.hooks({what["path"]: what["answer"]})}
        if verb == "patch":
            return {"patch": {"object": named(what["object"]), "merge": what["merge"]}}
        return {verb: named(what) if verb == "delete" else what}


def named(text: str) -> str:
    """`Kind/name`."""
    kind, _, name = text.partition("/")
    return f"{KINDS[kind]}/{name}"


def answers(value: Any, unit: int) -> Any:
    """A value, or a list that is used up."""
    scaled = [
        each * unit if isinstance(each, int | float) else each
        for each in (value if isinstance(value, list) else [value])
    ]
    return {"answers": scaled}


def recorded(name: str) -> tuple[list[str], list[int]]:
    """Phases and weights since the first step after the objects were applied."""
    folder = HERE / ("ours" if name in DIFFERENT else "transcripts")
    lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    first = [at for at, line in enumerate(lines) if line["what"] == "step"][1]
    before = [line for line in lines[:first] if line["what"] == "status"][-1:]
    gone = (
        [{"phase": "gone", "weight": 0}] if any(line["what"] == "canary" and line.get("gone") for line in lines) else []
    )
    seen = [*before, *(line for line in lines[first:] if line["what"] == "status"), *gone]
    return [key for key, _ in groupby(line["phase"] for line in seen)], [
        key for key, _ in groupby(line["weight"] for line in seen)
    ]


DIFFERENT = {"skip-analysis"}
"""Their phases differ from the reference's on purpose (`accept.txt`)."""

QUICK = ("good", "restart")
"""The others take ten seconds together."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
)
def test_a_rehearsal_gives_the_phases_and_weights_of_the_reference(name: str) -> None:
    """From the first step on."""
    scenario = Translated(HERE / "scenarios" / f"{name}.yaml")
    made = production(parsed(scenario.script()), scenario.objects, complete=False)
    (played,) = virtual.run(play(made)).values()
    assert played.ended
    track, (phases, weights) = played.track, recorded(name)
    assert [entry.text for entry in track.entries if entry.kind == "phase"] == phases[1:]
    assert [weight for _, weight in track.weights] == weights[1:]
