"""A namespace with its own operator for each kind of target. All stories run at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from e2e.definitions import definitions
from e2e.environment import Environment
from e2e.history import History
from e2e.stage import Stage
from e2e.targets.apps import KINDS, STORIES, house
from e2e.targets.knative import Controller

DEFINED = ("scaledobjects.keda.sh", "services.serving.knative.dev", "revisions.serving.knative.dev")
WATCHED = {
    "daemonset": "daemonsets",
    "scaledobject": "scaledobjects",
    "service": "services",
    "knative": "services.serving.knative.dev",
}


@dataclass(frozen=True)
class KindSetUp:
    """Where one kind is played; `history` is that of what is released, or of what scales it."""

    env: Environment
    history: History


@pytest.fixture(scope="package")
def kind_setups(stage: Stage) -> Iterator[Mapping[str, KindSetUp]]:
    """By kind; everything initialized, and a new version out everywhere."""
    stage.define(*definitions(DEFINED))
    envs = {kind: Environment(stage, house(kind)) for kind in KINDS}
    knative = Controller(envs["knative"])
    knative.start()
    try:
        with ThreadPoolExecutor() as hands:
            found = list(hands.map(lambda kind: _open(kind, envs[kind]), KINDS))
            yield dict(zip(KINDS, found, strict=True))
            list(hands.map(Environment.close, envs.values()))
    finally:
        knative.stop()


def _open(kind: str, env: Environment) -> KindSetUp:
    env.operator("-min-interval", "1s")
    history = History(env, WATCHED[kind])
    for story in STORIES:
        env.apply(*KINDS[kind].objects(_app(kind, story), story))
    for story in STORIES:
        env.wait(_app(kind, story), "Initialized")
    for story in STORIES:
        KINDS[kind].change(env, _app(kind, story), story)
    return KindSetUp(env, history)


def _app(kind: str, story: str) -> str:
    return f"{kind}-{story}"
