"""Objects that a real API server admits and that make no sense: told on the object itself, harmless to all others.

All of them lie in one namespace beside a calm canary, so one of them that spoilt a list, a watch or the operator would
spoil the calm one's release.
"""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from e2e.environment import Environment, until
from e2e.faults import releases
from e2e.stage import Stage
from pyflagger.objects import Obj

CALM = "calm"
ANNOTATION_BYTES_MAX = 256 << 10
LONG = "l" * 253


def bad(name: str, analysis: Mapping[str, Any] = MappingProxyType({}), target: str = "", **spec: Any) -> Obj:
    """A Canary with fields of its analysis, or of its spec, replaced; None takes one away."""
    found = releases.canary(name, releases.GOOD, **spec)
    if target:
        found["spec"]["targetRef"]["name"] = target
    both = found["spec"]["analysis"] | dict(analysis)
    found["spec"]["analysis"] = {key: value for key, value in both.items() if value is not None}
    return found


def stepped(**analysis: Any) -> Obj:
    """With stepWeight in place of a list of steps."""
    return {"stepWeights": None, "stepWeight": 10, **analysis}


METRIC = {"name": "m", "interval": "1m", "query": "vector(1)", "thresholdRange": {"min": 5, "max": 1}}

# What is wrong, the Canary, and what of it has to be told.
ADMITTED: dict[str, tuple[Obj, str]] = {
    "fraction-of-a-step": (bad("fraction-of-a-step", stepped(stepWeight=2.5)), r"stepWeight must be a whole number"),
    "fraction-in-a-list": (bad("fraction-in-a-list", {"stepWeights": [10, 20.5]}), r"stepWeights\[1\] must be a whole"),
    "fraction-of-a-maximum": (bad("fraction-of-a-maximum", stepped(maxWeight=50.5)), r"maxWeight must be a whole"),
    "fraction-of-a-failure": (bad("fraction-of-a-failure", {"threshold": 1.5}), r"threshold must be a whole number"),
    "fraction-of-a-port": (bad("fraction-of-a-port", service={"port": 80.5}), r"service\.port must be a whole number"),
    "fraction-of-a-second": (bad("fraction-of-a-second", progressDeadlineSeconds=0.5), r"progressDeadlineSeconds"),
    "weight-over-100": (bad("weight-over-100", stepped(maxWeight=150)), r"maxWeight is 150"),
    "step-over-100": (bad("step-over-100", stepped(stepWeight=500)), r"stepWeight is 500"),
    "list-over-100": (bad("list-over-100", {"stepWeights": [50, 120]}), r"stepWeights\[1\] is 120"),
    "step-below-0": (bad("step-below-0", stepped(stepWeight=-5)), r"stepWeight is -5"),
    "unordered-steps": (bad("unordered-steps", {"stepWeights": [10, 50, 30]}), r"stepWeights\[2\] is 30"),
    "interval-of-10ms": (bad("interval-of-10ms", {"interval": "10ms"}), r"interval is '10ms'"),
    "interval-of-words": (bad("interval-of-words", {"interval": "1mad"}), r"interval is '1mad'"),
    "interval-for-ever": (bad("interval-for-ever", {"interval": "9" * 40 + "s"}), r"interval is '999"),
    "range-of-nothing": (bad("range-of-nothing", {"metrics": [METRIC]}), r"has min 5 greater than max 1"),
    "unknown-provider": (bad("unknown-provider", provider="ngnix"), r"'ngnix' is not a known traffic provider"),
    "target-of-253": (bad("target-of-253", target=LONG), r"spec\.targetRef\.name is too long"),
    "service-of-63": (bad("service-of-63", service={"port": 80, "name": "s" * 63}), r"spec\.service\.name is too long"),
    LONG: (bad(LONG), r"is too long"),
    "annotations-of-256k": (
        bad("annotations-of-256k", {"interval": "10ms"})
        | {"metadata": {"name": "annotations-of-256k", "annotations": {"a": "x" * (ANNOTATION_BYTES_MAX - 1)}}},
        r"interval is '10ms'",
    ),
}


@pytest.fixture(scope="module")
def env(stage: Stage) -> Iterator[Environment]:
    """All of them at once, and the calm one released beside them."""
    made = Environment(stage, "bad-input")
    try:
        made.operator("-min-interval", "1s")
        made.apply(*releases.objects(CALM, made.namespace, releases.GOOD))
        for obj, _ in ADMITTED.values():
            stage.plane.ask("POST", collection(made), obj)
        made.wait(CALM, "Initialized")
        yield made
    finally:
        made.close()


def collection(env: Environment) -> str:
    """Where Canaries are."""
    return f"/apis/flagger.app/v1beta1/namespaces/{env.namespace}/canaries"


@pytest.mark.parametrize("name", ADMITTED, ids=lambda name: name[:40])
def test_it_is_told_on_the_object(name: str, env: Environment) -> None:
    """A condition and an Event say what is wrong; nothing is made for it."""
    pattern = ADMITTED[name][1]
    blocked = until(lambda: condition(env, name), lambda: str(env.status(name)), 20)
    assert re.search(pattern, blocked["message"]), blocked
    until(lambda: events(env, name, pattern), lambda: str(events(env, name, "")), 20)
    made = env.kubectl("get", "services,deployments,ingresses", "-o", "name")
    assert not [line for line in made.splitlines() if line.split("/")[1].startswith(name)]


def condition(env: Environment, name: str) -> Obj | None:
    """The condition that says what has to be mended."""
    conditions = env.status(name).get("conditions") or ()
    return next((found for found in conditions if found["type"] == "Blocked" and found["status"] == "True"), None)


def events(env: Environment, name: str, pattern: str) -> list[str]:
    """Warnings about one Canary that say this."""
    listed = env.stage.plane.ask("GET", f"/api/v1/namespaces/{env.namespace}/events")["items"]
    about = [event for event in listed if event["involvedObject"]["name"] == name and event["type"] == "Warning"]
    return [event["message"] for event in about if re.search(pattern, event["message"])]


def test_nothing_else_is_disturbed(env: Environment) -> None:
    """The calm one's release takes its steps, and none of its Events speaks of the others."""
    env.kubectl("set", "image", f"deployment/{CALM}", "app=podinfo:2.0.0")
    # Without visitors there is nothing to measure: the check is taken away, the steps stay.
    env.kubectl("patch", "canary", CALM, "--type=merge", "-p", '{"spec":{"analysis":{"metrics":[]}}}')
    env.wait(CALM, "Succeeded", 60)
    assert not events(env, CALM, r"whole number|too long|10ms")


REFUSED = {
    "ten megabytes of annotations": bad("huge")
    | {"metadata": {"name": "huge", "annotations": {"a": "x" * (10 << 20)}}},
    "a byte too many": bad("big") | {"metadata": {"name": "big", "annotations": {"a": "x" * ANNOTATION_BYTES_MAX}}},
    "a name of 254": bad("n" * 254),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_server_itself_refuses(what: str, env: Environment) -> None:
    """It never reaches the operator. Of what is far too large the server does not even read the end."""
    obj = REFUSED[what]
    with pytest.raises(urllib.error.URLError):
        env.stage.plane.ask("POST", collection(env), obj)
    listed = env.stage.plane.ask("GET", collection(env))["items"]
    assert obj["metadata"]["name"] not in {item["metadata"]["name"] for item in listed}
