"""The kit for routers: what conforms passes, and each way of being broken is caught and named."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from toy import Toy

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Problem, Route
from pyflagger.objects import Create, Obj, Patch, Ref, Resource
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.testing import CHECKS, NotConforming, Scene, check_router

OTHERS = Resource("example.com", "v1", "others", "Other")


class StartsOver(Toy):
    """Mends drift with the weights of a beginning: the release begins anew, or jumps."""

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        return super().set(canary, live, ALL_PRIMARY, options)


class Restless(Toy):
    """Patches whatever it finds, different or not."""

    def set(self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False) -> Any:
        found = super().set(canary, live, route, options, everyone=everyone)
        ref = self.reads(canary, options)[0]
        now = live.get(ref)
        return found or (Patch(ref, {"spec": now["spec"]}, now["metadata"]["resourceVersion"]),) if now else found


class Jealous(Toy):
    """Takes labels of others away."""

    def set(self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False) -> Any:
        found = super().set(canary, live, route, options, everyone=everyone)
        for ref, now in live.items():
            theirs = [key for key in (now or {"metadata": {}})["metadata"].get("labels") or {} if "theirs" in key]
            if now and theirs and not isinstance(found, Problem):
                body = {"metadata": {"labels": dict.fromkeys(theirs)}}
                found = (*found, Patch(ref, body, now["metadata"]["resourceVersion"]))
        return found


class Scribbler(Toy):
    """Writes into what it was shown."""

    def read(self, canary: Canary, live: Live, options: RoutingOptions) -> Route | Problem | None:
        for obj in live.values():
            if obj is not None:
                obj["spec"]["seen"] = True
        return super().read(canary, live, options)


class Blind(Toy):
    """Writes what it never looks at."""

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        found = super().reconcile(canary, live, options)
        made = live.get(self.reads(canary, options)[0])
        if made is None and not isinstance(found, Problem):
            other = copy.deepcopy(next(write.obj for write in found if isinstance(write, Create)))
            return (*found, Create({**other, "kind": OTHERS.kind}))
        return found


class Optimist(Toy):
    """Takes the canary to be whatever the primary is not, and so misses what is wrong; drops a weight of 0 besides."""

    def spec(self, canary: Canary, route: Route, everyone: bool) -> Obj | Problem:
        found = super().spec(canary, route, everyone)
        if not isinstance(found, Problem):
            found["backends"] = [backend for backend in found["backends"] if backend["weight"]]
        return found

    def route(self, spec: Obj) -> Route | Problem:
        weight = spec["backends"][0]["weight"]
        return Route(weight, 100 - weight)


class Generous(Toy):
    """Leaves a condition out that it cannot express."""

    def conditions(self, matches: Any) -> list[Any] | Problem:
        return [{name: how.exact for name, how in match.headers.items() if how.exact} for match in matches]


class Forgetful(Toy):
    """Does not see its own mirror."""

    def route(self, spec: Obj) -> Route | Problem:
        found = super().route(spec)
        return found if isinstance(found, Problem) else replace(found, mirrored=False)


class Blunt(Toy):
    """Finalizes what is gone already."""

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        return tuple(Patch(ref, {"spec": {"backends": []}}) for ref in self.reads(canary, options))


class Leaper(Toy):
    """Goes to the new weight by way of everybody."""

    def set(self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False) -> Any:
        now = live.get(self.reads(canary, options)[0])
        found = super().set(canary, live, route, options, everyone=everyone)
        if now is None or not found or isinstance(found, Problem) or route.canary in (0, 100):
            return found
        leap = super().set(canary, live, Route(0, 100), options)
        rest = tuple(replace(write, resource_version="") for write in found if isinstance(write, Patch))
        return found if isinstance(leap, Problem) else (*leap, *rest)


class Reckless(Toy):
    """Patches without saying what it saw."""

    def set(self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False) -> Any:
        found = super().set(canary, live, route, options, everyone=everyone)
        if isinstance(found, Problem):
            return found
        return tuple(replace(write, resource_version="") if isinstance(write, Patch) else write for write in found)


class Orphaner(Toy):
    """Makes objects that nobody owns."""

    def set(self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False) -> Any:
        found = super().set(canary, live, route, options, everyone=everyone)
        for write in () if isinstance(found, Problem) else found:
            if isinstance(write, Create):
                write.obj["metadata"].pop("ownerReferences")
        return found


class Drawer(Toy):
    """Draws another cookie at every weight, so nobody stays where they were."""

    def spec(self, canary: Canary, route: Route, everyone: bool) -> Obj | Problem:
        found = super().spec(canary, route, everyone)
        return {**found, "cookies": [f"kit={route.canary}"]} if isinstance(found, dict) else found


class Lingerer(Toy):
    """Leaves testers on the canary when the release is over."""

    def spec(self, canary: Canary, route: Route, everyone: bool) -> Obj | Problem:
        found = super().spec(canary, route, everyone)
        analysis = canary.spec.analysis
        if isinstance(found, dict) and analysis and analysis.testers:
            found["pinned"] = self.conditions(analysis.testers)
        return found


class Eager(Toy):
    """A new object gives the canary its share before anybody has judged it."""

    def reconcile(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes | Problem:
        missing = self.read(canary, live, options) is None
        return self.set(canary, live, Route(90, 10), options) if missing else super().reconcile(canary, live, options)


class FaultyProxy(Toy):
    """Changes an object of the user's."""

    THEIRS = Ref("v1", "ConfigMap", "test", "theirs")

    def reads(self, canary: Canary, options: RoutingOptions) -> tuple[Ref, ...]:
        return (*super().reads(canary, options), self.THEIRS)

    def set(self, canary: Canary, live: Live, route: Route, options: RoutingOptions, *, everyone: bool = False) -> Any:
        seen = live.get(self.THEIRS)
        toys = {ref: obj for ref, obj in live.items() if ref != self.THEIRS}
        spec = self.spec(canary, route, everyone)
        assert isinstance(spec, dict)
        found = Toy.set(Shy(), canary, toys, route, options, everyone=everyone)
        if seen is None or isinstance(found, Problem) or (seen.get("data") or {}).get("weight") == str(route.canary):
            return found
        return (*found, Patch(self.THEIRS, {"data": {"weight": str(route.canary)}}, "1"))

    def finalize(self, canary: Canary, live: Live, options: RoutingOptions) -> Writes:
        return Toy.finalize(Shy(), canary, live, options)


class Shy(Toy):
    """Conforms; has no capability beyond weights."""

    capabilities = Capabilities()


BROKEN: dict[type[Toy], str] = {
    StartsOver: "repairs drift without touching weights",
    Restless: "writes nothing twice",
    Jealous: "keeps what others added",
    Scribbler: "starts with all traffic on the primary",
    Blind: "writes only what it reads",
    Optimist: "reads back the weights it sets",
    Generous: "refuses conditions that it cannot express",
    Forgetful: "mirrors",
    Blunt: "finalizes once and for all",
    Leaper: "survives a crash between two writes",
    Reckless: "patches name the version they saw",
    Orphaner: "owns what it makes",
    Drawer: "keeps visitors where they were",
    Lingerer: "pins testers",
    Eager: "starts with all traffic on the primary",
    FaultyProxy: "leaves the users objects alone",
}
USERS: Obj = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "theirs", "namespace": "test", "resourceVersion": "1"},
}


def test_what_conforms_passes() -> None:
    """Every check is made of a router that can do everything, and those of weights of one that can do little."""
    assert len(check_router(Toy)) == len(CHECKS)
    assert 10 < len(check_router(Shy)) < len(CHECKS)


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_caught(broken: type[Toy]) -> None:
    """By the check that is about it, in words that a router's author can act on."""
    with pytest.raises(NotConforming) as caught:
        check_router(broken, Scene(objects=(USERS,)))
    found = dict(caught.value.failures)
    assert BROKEN[broken] in found, found
    assert len(found[BROKEN[broken]]) > 15 and BROKEN[broken] in str(caught.value)


def test_what_is_no_router_is_refused() -> None:
    """At once, with where to look."""
    with pytest.raises(AssertionError, match=r"pyflagger\.routing\.base"):
        check_router(dict)  # type: ignore[arg-type]
