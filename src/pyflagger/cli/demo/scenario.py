"""Scenarios as data: objects, visitors, releases, and the expected end of each release.

Read from the YAML files in `scenarios/`, one for each scenario; `common.yaml` has the shared objects. Played by `play`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from pyflagger.api.canary import Phase
from pyflagger.objects import Obj, Ref, merge_apply, ref_of

_FOLDER = files(__package__) / "scenarios"
_COMMON = "common.yaml"
_HOST = "podinfo.local"


class UnknownScenario(LookupError):
    """No scenario has that name. The text lists the known ones."""


@dataclass(frozen=True, slots=True)
class Visitors:
    """A group of visitors: `rate` requests a second through the ingress, each with these headers.

    `people`, unless 0, is the number of visitors with cookies. Each keeps its cookies and must stay on the version that
    a cookie selects.
    """

    name: str
    rate: int
    headers: Mapping[str, str]
    people: int = 0


@dataclass(frozen=True, slots=True)
class Press:
    """A POST to the load tester, sent when the canary is in a phase with at least this weight."""

    phase: Phase
    path: str
    about: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """One `kubectl set image`, and the expected final phase."""

    image: str
    outcome: Phase
    about: str
    presses: tuple[Press, ...] = ()
    leaves: tuple[Obj, ...] = ()
    """Partial objects that must exist after the release."""

    @property
    def revision(self) -> str:
        """The tag of the image."""
        return self.image.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Shown:
    """A field whose changes the demo shows: `about` with its value, or `without` when it is missing."""

    ref: Ref
    field: tuple[str, ...]
    about: str
    without: str

    def told(self, value: Any) -> str:
        """The text about a value."""
        if value is None:
            return self.without
        return f"{self.about} {value if isinstance(value, str) else json.dumps(value)}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario. `objects` are applied before the canary. Visitors request `host`."""

    name: str
    about: str
    objects: tuple[Obj, ...]
    canary: Obj
    visitors: tuple[Visitors, ...]
    releases: tuple[Release, ...]
    host: str
    shows: tuple[Shown, ...] = ()

    @property
    def namespace(self) -> str:
        """The canary's namespace."""
        return str(self.canary["metadata"]["namespace"])

    @property
    def provider(self) -> str:
        """The canary's traffic provider."""
        return str(self.canary["spec"]["provider"])

    @property
    def target(self) -> str:
        """The name of the target Deployment."""
        return str(self.canary["spec"]["targetRef"]["name"])

    @property
    def deployment(self) -> Obj:
        """The target's manifest."""
        return next(o for o in self.objects if o["kind"] == "Deployment" and o["metadata"]["name"] == self.target)


def names() -> list[str]:
    """All scenarios, the default one first."""
    found = sorted(file.name.removesuffix(".yaml") for file in _FOLDER.iterdir() if file.name != _COMMON)
    return sorted(found, key=lambda name: name != DEFAULT)


def load(name: str) -> Scenario:
    """A scenario by its name. Raises UnknownScenario."""
    if name not in names():
        raise UnknownScenario(f"unknown scenario {name!r} (use {', '.join(names())})")
    doc = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text())
    common = yaml.safe_load_all((_FOLDER / _COMMON).read_text())
    kept = (obj for obj in common if obj["kind"] not in doc.get("without", ()))
    objects = tuple(_changed(obj, doc.get("changes", ())) for obj in kept)
    return Scenario(
        name,
        doc["about"],
        (*objects, *doc.get("objects", ())),
        doc["canary"],
        tuple(
            Visitors(each["name"], each["rate"], each.get("headers", {}), each.get("people", 0))
            for each in doc["visitors"]
        ),
        tuple(map(_release, doc["releases"])),
        _HOST,
        tuple(
            Shown(ref_of(each["of"]), tuple(each["field"]), each["about"], each["without"])
            for each in doc.get("shows", ())
        ),
    )


def _changed(obj: Obj, changes: Iterable[Obj]) -> Obj:
    """A common object with the scenario's merge patches for its kind and name."""
    for change in changes:
        if (change["kind"], change["metadata"]["name"]) == (obj["kind"], obj["metadata"]["name"]):
            obj = merge_apply(obj, change)
    return obj


def _release(doc: Mapping[str, Any]) -> Release:
    presses = tuple(
        Press(Phase(each["phase"]), each["path"], each["about"], each.get("weight", 0))
        for each in doc.get("presses", ())
    )
    return Release(doc["image"], Phase(doc["outcome"]), doc["about"], presses, tuple(doc.get("leaves", ())))


DEFAULT = "nginx-canary"
