"""A place a kind of target with an operator of its own; all stories of all kinds are under way at once."""

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
class House:
    """Where one kind is played; `history` is that of what is released, or of what scales it."""

    place: Environment
    history: History


@pytest.fixture(scope="package")
def houses(stage: Stage) -> Iterator[Mapping[str, House]]:
    """By kind; everything initialized, and a new version out everywhere."""
    stage.define(*definitions(DEFINED))
    places = {kind: Environment(stage, house(kind)) for kind in KINDS}
    knative = Controller(places["knative"])
    knative.start()
    try:
        with ThreadPoolExecutor() as hands:
            found = list(hands.map(lambda kind: _open(kind, places[kind]), KINDS))
            yield dict(zip(KINDS, found, strict=True))
            list(hands.map(Environment.close, places.values()))
    finally:
        knative.stop()


def _open(kind: str, place: Environment) -> House:
    place.operator("-min-interval", "1s")
    history = History(place, WATCHED[kind])
    for story in STORIES:
        place.apply(*KINDS[kind].objects(_app(kind, story), story))
    for story in STORIES:
        place.wait(_app(kind, story), "Initialized")
    for story in STORIES:
        KINDS[kind].change(place, _app(kind, story), story)
    return House(place, history)


def _app(kind: str, story: str) -> str:
    return f"{kind}-{story}"
