"""The page of traffic providers: what each can do, as its router declares, and how that was tested, as files say."""

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

`make docs` writes this page from three sources: what the routers declare, what the tests on a real control plane have
shown (`tests/docs/shown.json`, which `make e2e` and `make e2e-istio` write), and `tests/docs/providers.yaml`.

The table lists the values of `spec.provider` and what a Canary can ask for with each. A Canary that asks for an
unsupported ability (`-`) is rejected with a reason. A word says how the ability was tested:

- **traffic**: a real proxy served it on a real control plane, and the test counted requests.
- schema: a real API server with the project's own types accepted each object.
- objects: tests render the objects and play whole releases on them in virtual time (`tests/routing`, `tests/stage`).

The abilities:

- *weights*: `stepWeight`, `stepWeights`, `maxWeight`.
- *A/B*: `iterations` with `match`. *testers*: `analysis.testers`, who always get the canary while its weight increases.
- *mirror*: `analysis.mirror` in blue/green releases. *mirror beside weights*: the same in weighted releases. The
  Gateway of an HTTPRoute must support the filter `RequestMirror`. Traefik 3.7 does not: the
  `status.supportedFeatures` of its GatewayClass lacks `HTTPRouteRequestMirror`. It accepts the route and then answers
  every request with 500. The status of a route names the controller that serves it. If that is Traefik, flagger
  reports it and goes on without the mirror.
- *session affinity*: `analysis.sessionAffinity`. *further ports*: `service.ports`.
- *adopt*: `routeRef` names a route of yours. flagger sets only its weights, and restores them on deletion with
  `revertOnDeletion`. flagger removes the canary's entry from the list of a TraefikService while the canary gets no
  traffic: an entry without endpoints breaks the whole list.
- *blue/green*: with `iterations` and without `match`, users get a version only after its promotion.
- *given back*: with `revertOnDeletion` the objects that served before serve again.

The names `gloo:`, `smi:v1alpha1:`, `smi:v1alpha2:` and `smi:v1alpha3:` may have a suffix.
"""
BETWEEN = """
## Limits

The second column says why the tests of a provider go no further than objects. *Deleted* says what happens to the
routing objects when you delete the Canary. The last column says why a provider cannot do what the table above marks
with `-`.
"""
TESTS = """
## Tests on real traffic

Each of these tests declares what it shows, and passed in the run that wrote the record. At each weight it counts at
least 500 visits, and their share must be within 3 points of the weight. Where the proxy chooses at random, it counts
enough visits for 3 points to be four standard deviations.
"""
SIZES = """
## The size of a provider

A module holds what one provider needs in addition to the shared modules (`split.py`, `adopted.py`, `generated.py`,
`matching.py`, `ingresses.py`).
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
    return table(["provider", "why only objects", "deleted", "why `-`"], rows)


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
