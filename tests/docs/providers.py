"""The page of traffic providers: what each can do, as its router declares, and what it was held to, as a file says."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from pyflagger.api.facts import Capabilities
from pyflagger.routing.base import Router
from pyflagger.routing.registry import PROVIDERS

HELD = Path(__file__).parent / "providers.yaml"
GRADES = ("real traffic", "real schema", "objects only")
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
INTRO = """\
# Traffic providers

Written by `make docs` from what the routers declare and from `tests/docs/providers.yaml`.

What `spec.provider` can name, and what a Canary can ask for there; what asks for a `-` is told
so in the reasons of the Canary. Blue/green is there for every provider: with `iterations` and no `match`, users meet a
version when it is promoted.

- *weights*: `stepWeight`, `stepWeights`, `maxWeight`.
- *A/B*: `iterations` with `match`. *testers*: `analysis.testers`, pinned to the canary while the weight ramps.
- *mirror*: `analysis.mirror` of blue/green releases; *mirror beside weights*: of weighted ones.
  On an HTTPRoute the Gateway has to know the filter `RequestMirror`: Traefik 3.7 does not, accepts the route all
  the same, and answers everybody with 500.
- *session affinity*: `analysis.sessionAffinity`. *further ports*: `service.ports`.
- *adopt*: `routeRef` names a route of your own, of which only the weights are set.

A name may go on after `gloo:`, `smi:v1alpha1:`, `smi:v1alpha2:` and `smi:v1alpha3:`.
"""
BETWEEN = """
## What each was held to

Every router has tests of its own on rendered objects, and whole releases are played on its objects in virtual time
(`tests/stage`). Beyond those:

- *real traffic*: a real proxy served it and requests were counted.
- *real schema*: the project's own types in a real API server, which accepted each object.
- *objects only*: rendered objects on an API server without the types; the reason is beside it.

*Deleted*: what becomes of the routing when the Canary is deleted.
"""
SIZES = """
## The size of a provider

A module is what one provider needs beyond what they share (`split.py`, `generated.py`, `matching.py`, `ingresses.py`).
"""


def held() -> dict[str, dict[str, Any]]:
    """What the file says of each provider."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(HELD.read_text())
    return found


def page() -> str:
    """All of it."""
    return INTRO + "\n" + _abilities() + BETWEEN + "\n" + _held() + SIZES + "\n" + _sizes()


def unable(capabilities: Capabilities) -> list[str]:
    """The columns that a provider says no to."""
    return [title for name, title in COLUMNS.items() if not getattr(capabilities, name)]


def unnamed() -> list[str]:
    """Capabilities without a column."""
    return [field.name for field in fields(Capabilities) if field.name not in COLUMNS]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _abilities() -> str:
    rows = []
    for name in NAMES:
        can = PROVIDERS[name].capabilities
        rows.append([f"`{name}`", *("yes" if getattr(can, one) else "-" for one in COLUMNS), "yes"])
    return _table(["provider", *COLUMNS.values(), "blue/green"], rows)


def _held() -> str:
    rows = []
    for name, said in sorted(held().items()):
        grade = said["held"] + (f": {said['why']}" if "why" in said else "")
        rows.append([f"`{name}`", grade, f"`{said['by']}`", said["gone"], said.get("not", "")])
    return _table(["provider", "held to", "by", "deleted", "why `-`"], rows)


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
    return _table(["module", "lines", "providers"], rows)
