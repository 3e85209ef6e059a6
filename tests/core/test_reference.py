"""The recorded stories of the reference, played in the world: what is said and what the status goes through.

Compared are the events (type, phase, text) and the status (phase, weight, iterations, failed checks), each in order.
Texts about pods on their way and repeats are left out on both sides; every other difference is named in `MENDED`.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.world import World
from pyflagger.api.canary import Canary, Metric, Phase
from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.core.situation import NoData, QueryFailed

ORACLE = Path(__file__).resolve().parents[1] / "oracle"
NOISE = re.compile(
    r"^(?!Rolling back).*not ready: |^all the metrics providers|^skipping canary run"
    r"|not signaling a rollback| get query error: "
)
"""Said as often as there are ticks, or as pods take time."""
Row = tuple[str, ...]


def story(name: str) -> dict[str, Any]:
    """A scenario."""
    return yaml.safe_load((ORACLE / "scenarios" / f"{name}.yaml").read_text())  # type: ignore[no-any-return]


def recorded(name: str) -> tuple[list[Row], list[Row]]:
    """The events and the status of the reference."""
    said, status = list[Row](), list[Row]()
    for line in (ORACLE / "transcripts" / f"{name}.jsonl").read_text().splitlines():
        d = json.loads(line)
        meta = d.get("body", {}).get("metadata", {}) if d["what"] == "hook" else {}
        if "eventMessage" in meta:
            said.append((meta["eventType"][0], d["body"]["phase"], meta["eventMessage"]))
        if d["what"] == "say":
            said.append((d["type"][0], d["phase"], d["message"]))
        if d["what"] == "status" and d["phase"]:
            status.append((d["phase"], f"w{d['weight']} i{d['iterations']} f{d['failed']}"))
    return said, status


class Play:
    """A story in the world: its hooks and metrics answer as scripted, its steps are done when their time comes."""

    def __init__(self, name: str) -> None:
        self.script = story(name)
        kinds: dict[str, dict[str, Any]] = {}
        for doc in self.script["objects"]:
            kinds.setdefault(doc["kind"], {})[doc["metadata"]["name"]] = doc
        (doc,) = kinds["Canary"].values()
        doc["metadata"]["namespace"] = self.script["namespace"]
        self.templates = {key: value["spec"]["query"] for key, value in kinds.get("MetricTemplate", {}).items()}
        provider = doc["spec"].get("provider", "nginx")
        self.world = World(Canary.model_validate(doc), provider=provider, capabilities=Capabilities(ab=True))
        self.world.hooks = {path: answers(codes) for path, codes in self.script.get("hooks", {}).items()}
        self.world.metrics = {}
        self.revisions = 1

    def play(self) -> tuple[list[Row], list[Row]]:
        """Its events and its status."""
        world = self.world
        for step in self.script["steps"]:
            for _ in range(600):
                self._script()
                if self._holds(step.get("when", {})):
                    break
                world.run(0.5)
            world.run(step.get("after", 0) + 0.01)
            self._do(step["do"])
        self._script()
        world.run(300)
        said = [(kind, phase, text) for _, kind, phase, _, text in world.said]
        status = [(s.phase.value, f"w{s.canary_weight} i{s.iterations} f{s.failed_checks}") for s in world.statuses]
        return said, status

    def _script(self) -> None:
        """Hand the world the answers by hook and metric name."""
        analysis = self.world.canary.spec.analysis
        assert analysis is not None
        for webhook in analysis.webhooks:
            path = webhook.url.removeprefix("{hooks}")
            self.world.hooks.setdefault(webhook.name, self.world.hooks.get(path, True))
        for metric in analysis.metrics:
            if metric.name not in self.world.metrics:
                self.world.metrics[metric.name] = self._values(metric)

    def _values(self, metric: Metric) -> Any:
        texts = {
            "request-success-rate": "nginx_ingress_controller_requests http_request_duration_seconds_count",
            "request-duration": "nginx_ingress_controller_response_duration_seconds",
        }
        template = self.templates[metric.template_ref.name] if metric.template_ref else ""
        text = f"{texts.get(metric.name, '')} {metric.query} {template}"
        found = [e["value"] for e in self.script.get("metrics", []) if e["match"] in text]
        value = found[0] if found else 100
        values = value if isinstance(value, list) else [value]
        return [number(metric, v) for v in values]

    def _holds(self, when: dict[str, Any]) -> bool:
        status, spec = self.world.status, self.world.canary.spec
        analysis = spec.analysis
        assert analysis is not None
        called = {w.url.removeprefix("{hooks}") for w in analysis.webhooks for c in self.world.calls if c[0] == w.name}
        phases = when.get("phase", status.phase.value)
        return (
            status.phase.value in phases
            and status.canary_weight >= when.get("weight", 0)
            and status.iterations >= when.get("iterations", 0)
            and status.failed_checks >= when.get("failed", 0)
            and ("called" not in when or when["called"] in called)
        )

    def _do(self, do: dict[str, Any]) -> None:
        analysis = self.world.canary.spec.analysis
        assert analysis is not None
        if "image" in do:
            self.revisions += 1
            self.world.change(f"v1:r{self.revisions}", failing="deadline" if "broken" in do["image"]["image"] else "")
        if "hook" in do:
            names = [w.name for w in analysis.webhooks if w.url.endswith(do["hook"]["path"])]
            self.world.hooks |= {name: answers(do["hook"]["answer"]) for name in names}
        if "metric" in do:
            entry = next(e for e in self.script["metrics"] if e["match"] == do["metric"]["match"])
            entry["value"] = do["metric"]["value"]
            self.world.metrics.clear()
        if "patch" in do and do["patch"]["object"].startswith("canary/"):
            self.world.spec(suspend=do["patch"]["merge"]["spec"]["suspend"])
        if "delete" in do:
            self.world.delete()


def answers(codes: Any) -> Any:
    """A status code, or a list of them, as the world's answers."""
    if isinstance(codes, list):
        return [answers(code) for code in codes]
    return True if isinstance(codes, dict) or codes < 300 else "scripted refusal"


def number(metric: Metric, value: Any) -> Any:
    """A scripted value as the metric rooms would tell it."""
    prefix = "running query failed: " if metric.name.startswith("request-") else ""
    if value in ("none", "nan"):
        return NoData(f"{prefix}no values found")
    if value == "error":
        text = f"{prefix}error response: Status 500 Internal Server Error: scripted failure"
        return QueryFailed(Problem(Fault.PROVIDER, text))
    return value * 1000 if metric.name == "request-duration" and value < 10 else value


def mended(rows: list[Row]) -> list[Row]:
    """What the reference would say if its events told the phase that they lead to, and its hooks what they answered."""
    out = list[Row]()
    failed = False
    for kind, phase, text in rows:
        failed = failed or text.startswith("Canary failed!")
        to = "Promoting" if text.startswith("Copying ") else phase
        to = "Failed" if failed and text.startswith("Post-rollout") else to
        to = "Terminating" if text.startswith("Terminated ") else to
        out.append((kind, to, re.sub(r"failed POST .*", "failed scripted refusal", text)))
    return out


def difference(theirs: list[Row], ours: list[Row]) -> list[str]:
    """What only one of the two has, in order."""
    lines = difflib.ndiff([" ".join(row) for row in theirs], [" ".join(row) for row in ours])
    return [line for line in lines if line[0] in "+-"]


MENDED: dict[str, tuple[list[str], list[str]]] = {
    "ab-header": ([], []),
    "bad-metric": ([], []),
    "daemonset": ([], []),
    "deadline": (["+ W Progressing Rolling back chat.o-deadline progress deadline exceeded *"], []),
    "good": ([], []),
    "hpa": ([], []),
    "metric-dip": ([], ["- Succeeded w0 i0 f2", "+ Succeeded w0 i0 f0"]),
    "metric-template": ([], ["- Succeeded w0 i0 f2", "+ Succeeded w0 i0 f0"]),
    "no-values": ([], []),
    "pre-rollout-failing": ([], []),
    "provider-error": ([], []),
    "restart": ([], ["- Succeeded w0 i0 f1", "+ Succeeded w0 i0 f0"]),
    "revert-on-deletion": ([], []),
    "rollback-hook": ([], []),
    "step-weights": ([], []),
    "suspend": ([], []),
    "uneven-max": ([], []),
    "blue-green": (["- N Progressing Confirm-promotion check go passed"], []),
    "skip-analysis": ([], ["+ Promoting w0 i0 f0"]),
    "gates": (
        [
            "- N Progressing Starting canary analysis for bank.o-gates",
            "- N Progressing Pre-rollout check check passed",
            "- W Progressing Halt bank.o-gates advancement waiting for traffic increase approval approve-more",
            "- N Progressing Starting canary analysis for bank.o-gates",
            "- N Progressing Pre-rollout check check passed",
        ],
        [
            "- WaitingPromotion w0 i-1 f0",
            "+ WaitingPromotion w80 i0 f0",
            "- Promoting w0 i-1 f0",
            "+ Promoting w80 i0 f0",
        ],
    ),
}
"""What differs on purpose, by story: events and status. A gate asks once and hides no weight, a closed one repeats
nothing, skipping waits for the primary, success forgets failed checks, and a deadline is told of."""


@pytest.mark.parametrize("name", MENDED)
def test_a_story_of_the_reference(name: str) -> None:
    """Same events, same status, in the same order."""
    said, status = recorded(name)
    ours, our_status = Play(name).play()
    events = difference(
        [row for row in mended(said) if not NOISE.search(row[2])], [row for row in ours if not NOISE.search(row[2])]
    )
    assert [re.sub(r"exceeded .*", "exceeded *", line) for line in events] == MENDED[name][0]
    steps = [list(dict.fromkeys(rows)) if name != "restart" else rows for rows in (status, our_status)]
    assert difference(*(collapsed(rows) for rows in steps)) == MENDED[name][1]


def collapsed(rows: list[Row]) -> list[Row]:
    """Without rows that say the same as the one before."""
    return [row for before, row in zip([("",), *rows], rows, strict=False) if row != before and row[0] != Phase.NEW]
