"""The page of traffic providers: what each can do, as its router declares, and what it was held to, as a file says."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from docs.tables import table
from pyflagger.api.facts import Capabilities
from pyflagger.routing.base import Router
from pyflagger.routing.registry import PROVIDERS

HELD = Path(__file__).parent / "providers.yaml"
SHOWN = Path(__file__).parent / "shown.json"
TRAFFIC, SCHEMA, OBJECTS = GRADES = ("real traffic", "real schema", "objects only")
"""The best first."""

NAMES = sorted(name for name in PROVIDERS if not name.endswith(":"))
COLUMNS = {
    "weights": "weights",
    "ab": "A/B",
    "mirror": "mirror",
    "mirror_steps": "mirror beside weights",
    "affinity": "session affinity",
    "testers": "testers",
    "ports": "further ports",
    "adopt": "adopt",
}
EVERYWHERE = {"blue_green": "blue/green", "revert": "given back"}
"""What every provider does."""

CELLS = {TRAFFIC: "**traffic**", SCHEMA: "schema", OBJECTS: "objects"}
INTRO = """\
# Traffic providers

Written by `make docs` from what the routers declare, from what the tests on a real control plane have shown
(`tests/docs/shown.json`, which `make e2e` and `make e2e-istio` write) and from `tests/docs/providers.yaml`.

What `spec.provider` can name, and what a Canary can ask for there; what asks for a `-` is told so in the reasons of the
Canary. A word says what the ability was held to:

- **traffic**: a real proxy served it, on a real control plane, and requests were counted.
- schema: the project's own types in a real API server, which accepted each object.
- objects: rendered objects, and whole releases on them in virtual time (`tests/routing`, `tests/stage`).

The abilities:

- *weights*: `stepWeight`, `stepWeights`, `maxWeight`.
- *A/B*: `iterations` with `match`. *testers*: `analysis.testers`, pinned to the canary while the weight ramps.
- *mirror*: `analysis.mirror` of blue/green releases; *mirror beside weights*: of weighted ones.
  On an HTTPRoute the Gateway has to know the filter `RequestMirror`: Traefik 3.7 does not (`HTTPRouteRequestMirror` is
  not in its GatewayClass's `status.supportedFeatures`), accepts the route all the same, and answers everybody
  with 500. Who serves a route is in its status; where that is Traefik, it is told and gone on without the mirror.
- *session affinity*: `analysis.sessionAffinity`. *further ports*: `service.ports`.
- *adopt*: `routeRef` names a route of your own, of which only the weights are set, and given back on deletion with
  `revertOnDeletion`. Of a list in a TraefikService the canary's entry is taken out while it gets nothing: without
  endpoints it would spoil the list.
- *blue/green*: with `iterations` and no `match`, users meet a version when it is promoted.
- *given back*: with `revertOnDeletion` what was there before serves again.

A name may go on after `gloo:`, `smi:v1alpha1:`, `smi:v1alpha2:` and `smi:v1alpha3:`.
"""
BETWEEN = """
## What was not had, and what is not possible

*Deleted*: what becomes of the routing when the Canary is deleted.
"""
TESTS = """
## What was counted on real traffic

Each is a test that says so, and that passed in the run that wrote the record. At each weight at least 500 visits were
counted and their share was within 3 points of the weight; where the proxy draws lots, so many were counted that this is
four standard deviations.
"""
SIZES = """
## The size of a provider

A module is what one provider needs beyond what they share (`split.py`, `adopted.py`, `generated.py`, `matching.py`,
`ingresses.py`).
"""


def held() -> dict[str, dict[str, Any]]:
    """What the file says of each provider."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(HELD.read_text())
    return found


def shown() -> dict[tuple[str, str], dict[str, list[str]]]:
    """The tests of each grade, by provider and ability."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for provider, ability, grade, test in json.loads(SHOWN.read_text()):
        found.setdefault((provider, ability), {}).setdefault(grade, []).append(test)
    return found


def page() -> str:
    """All of it."""
    parts = (INTRO, _abilities(), BETWEEN, _held(), TESTS, _tests(), SIZES, _sizes())
    return "".join(text if at % 2 else text + "\n" for at, text in enumerate(parts))


def unable(capabilities: Capabilities) -> list[str]:
    """The columns that a provider says no to."""
    return [title for name, title in COLUMNS.items() if not getattr(capabilities, name)]


def unnamed() -> list[str]:
    """Capabilities without a column."""
    return [field.name for field in fields(Capabilities) if field.name not in COLUMNS]


def _abilities() -> str:
    titles = COLUMNS | EVERYWHERE
    return table(
        ["provider", *titles.values()], [[f"`{name}`", *(_cell(name, one) for one in titles)] for name in NAMES]
    )


def _cell(name: str, ability: str) -> str:
    if not getattr(PROVIDERS[name].capabilities, ability, ability in EVERYWHERE):
        return "-"
    grades = shown().get((name, ability), {})
    return CELLS[next((grade for grade in GRADES if grade in grades), OBJECTS)]


def _held() -> str:
    rows = [
        [f"`{name}`", said.get("why", ""), said["gone"], said.get("not", "")] for name, said in sorted(held().items())
    ]
    return table(["provider", "why no more than objects", "deleted", "why `-`"], rows)


def _tests() -> str:
    titles = COLUMNS | EVERYWHERE
    rows = [
        [f"`{provider}`", titles[ability], ", ".join(f"`{test}`" for test in grades[TRAFFIC])]
        for (provider, ability), grades in sorted(shown().items())
        if TRAFFIC in grades
    ]
    return table(["provider", "ability", "test"], rows)


def module_of(router: Router) -> Path:
    """The file of a router."""
    return Path(inspect.getfile(type(router)))


def _sizes() -> str:
    users: dict[Path, list[str]] = {}
    for name in NAMES:
        users.setdefault(module_of(PROVIDERS[name]), []).append(f"`{name}`")
    rows = [
        [f"`{path.name}`", str(len(path.read_text().splitlines())), ", ".join(names)]
        for path, names in sorted(users.items())
    ]
    return table(["module", "lines", "providers"], rows)
