"""`flagger explain` on the real control plane: canaries in as many states, the first cause of each, and its time.

The words are those of the real API server and of its controllers. `tests/explain` has every state on virtual time, with
the remedies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from e2e.apps import IMAGE, app, canary, settings
from e2e.environment import Environment, until
from e2e.test_rights import policy
from e2e.test_steering import FAST, Says, says
from pyflagger.objects import Obj

__all__ = ["policy", "says"]
pytestmark = pytest.mark.long

EXPLAIN_SECONDS = 90.0
GATE = "flagger://gate"
AWAY = "http://gate.invalid/ask"
"""A url for which the proxy of these tests answers 502."""

BARE = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}}
LOOKED_UP = {**BARE, "templateRef": {"name": "errors"}}
SCALED = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "scaled"}
SLOW = {"interval": "1m", "iterations": 5}
POD = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "fast"}}}}}
Act = Callable[[Environment, Says, str], object]


class State(NamedTuple):
    """A canary's spec before it is initialized, what happens to it then, and the code of its first cause."""

    code: str
    act: Act
    spec: Mapping[str, Any]


def patched(kind: str, body: Obj) -> Act:
    """Change an object of this name."""
    return lambda env, says, name: env.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(body))


def released(tag: str = "6.0.1", *words: tuple[str, ...]) -> Act:
    """A new image, and then what a user asks for."""

    def act(env: Environment, says: Says, name: str) -> None:
        env.kubectl("set", "image", f"deployment/{name}", f"web={IMAGE}:{tag}")
        if words:
            env.wait(name, "Progressing")
        for verb, *rest in words:
            says(verb, name, *rest)

    return act


def deleted(kind: str) -> Act:
    """The object of this name is deleted."""
    return lambda env, says, name: env.kubectl("delete", kind, name)


def paused(env: Environment, says: Says, name: str) -> None:
    """The Deployment is paused, and has a new image."""
    env.kubectl("rollout", "pause", f"deployment/{name}")
    released()(env, says, name)


def undone(env: Environment, says: Says, name: str) -> None:
    """A user undoes the last release."""
    released("6.0.1", ("promote", "--full", "-m", "now", "-y"))(env, says, name)
    env.wait(name, "Succeeded")
    says("undo", name, "-m", "slow", "-y")


def other_target(env: Environment, says: Says, name: str) -> None:
    """The Canary names a target without a primary."""
    env.apply(settings("other"), app("other"))
    patched("canary", {"spec": {"targetRef": {"name": "other"}}})(env, says, name)


def analysis(*hooks: Obj, **more: Any) -> Obj:
    """An analysis with webhooks or metrics."""
    return {"analysis": {**SLOW, "webhooks": list(hooks), **more}}


def hook(kind: str, url: str) -> Obj:
    """A webhook."""
    return {"name": "ask", "type": kind, "url": url, "timeout": "2s"}


PLAIN: Mapping[str, Any] = {"analysis": SLOW}
PAUSE = ("pause", "-m", "looking")
STATES: Mapping[str, State] = {
    "unscheduled": State("unschedulable", patched("deployment", POD), PLAIN),
    "stopped": State("target-paused", paused, PLAIN),
    "moved": State("primary-missing", other_target, PLAIN),
    "bare": State("metric-unusable", patched("canary", {"spec": {"analysis": {"metrics": [BARE]}}}), PLAIN),
    "untemplated": State(
        "template-missing", patched("canary", {"spec": {"analysis": {"metrics": [LOOKED_UP]}}}), PLAIN
    ),
    "closed": State("gate-closed", released(), analysis(hook("confirm-rollout", GATE))),
    "failing": State("hook-failed", released(), analysis(hook("confirm-rollout", AWAY))),
    "aborted": State("rolled-back", released("6.0.1", ("abort", "-m", "no", "-y")), PLAIN),
    "undone": State("refused", undone, PLAIN),
    "held": State("paused", released("6.0.1", PAUSE), PLAIN),
    "suspended": State("suspended", patched("canary", {"spec": {"suspend": True}}), PLAIN),
    "unknown": State("manifest", patched("canary", {"spec": {"provider": "nope"}}), PLAIN),
    "lost": State("target-missing", deleted("deployment"), PLAIN),
    "ways": State("route-missing", patched("canary", {"spec": {"provider": "nginx", "ingressRef": {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "nowhere"}}}), PLAIN),
    "scaled": State("kind-missing", patched("canary", {"spec": {"autoscalerRef": SCALED}}), PLAIN),
}  # fmt: skip


def explained(says: Says, name: str) -> tuple[list[str], float]:
    """The codes of the causes of a canary, and how many seconds the answer took."""
    began = time.monotonic()
    found = json.loads(says("explain", name, "-o", "json"))
    return [cause["code"] for cause in found["causes"]], time.monotonic() - began


def test_the_first_cause_of_each(env: Environment, says: Says, figure: Callable[[str], None]) -> None:
    """The right one comes first, and that of a second Canary with the same target."""
    env.operator(*FAST)
    for name, state in STATES.items():
        env.apply(settings(name), app(name), canary(name, "kubernetes", **state.spec))
    for name, state in STATES.items():
        env.wait(name, "Initialized")
        state.act(env, says, name)
    seconds = []
    for name, state in STATES.items():
        until(lambda: explained(says, name)[0][:1] == [state.code], lambda: says("explain", name), EXPLAIN_SECONDS)  # noqa: B023
        seconds.append(explained(says, name)[1])
    env.apply(canary("rival", "kubernetes", targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "held"}))
    until(lambda: explained(says, "rival")[0][:1] == ["rival"], lambda: says("explain", "rival"), EXPLAIN_SECONDS)
    figure(f"explain named the first cause of {len(STATES) + 1} states, the slowest in {max(seconds):.2f} s")
