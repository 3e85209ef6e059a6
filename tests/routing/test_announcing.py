"""Routes that begin to lead to other Services: new ones are named first, old ones go last, whoever owns the route."""

from __future__ import annotations

from typing import Any

import pytest
from meshed import Mesh, canary

from pyflagger.api.facts import Route
from pyflagger.objects import Obj, Patch, merge_diff, ref_of
from pyflagger.routing.announcing import BACKENDS_MAX, announced, following
from pyflagger.routing.base import Announces, Writes
from pyflagger.routing.registry import PROVIDERS

GATEWAYS = {"gatewayRefs": [{"name": "gw"}], "gateways": ["gw"], "hosts": ["web.example"]}
KINDS = {
    "gatewayapi:v1": ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    "istio": ("networking.istio.io/v1beta1", "VirtualService"),
}


def backend(provider: str, name: str, weight: int | None = None) -> Obj:
    """Where a rule leads."""
    to = {"name": name, "port": 80} if provider != "istio" else {"destination": {"host": f"{name}.test"}}
    return to if weight is None else {**to, "weight": weight}


def users(provider: str, *rules: tuple[Obj, ...]) -> Obj:
    """A route of the user's: the backends of each rule; each but the last is for a path."""
    version, kind = KINDS[provider]
    key, match, section = ("route", "match", "http") if provider == "istio" else ("backendRefs", "matches", "rules")
    made = [{key: [*backends], match: [{"path": {"value": f"/{at}"}}]} for at, backends in enumerate(rules)]
    del made[-1][match]
    spec: Obj = {section: made, **({"hosts": ["web.example"]} if provider == "istio" else {"parentRefs": []})}
    meta = {"name": "web", "namespace": "test", "resourceVersion": "1"}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}


class Steps(Mesh):
    """A route, and how it is written."""

    def __init__(self, provider: str, *objects: Obj) -> None:
        super().__init__(PROVIDERS[provider], canary(provider=provider, ingressRef=None, service=GATEWAYS), *objects)

    def to(self, *, back: bool = False) -> list[list[dict[str, int]]]:
        """Write what is wanted as it is written: the weights of each rule after each write."""
        found: list[list[dict[str, int]]] = []
        while writes := self.wanted(back):
            now = following(self.router, self.canary, self.live, writes)
            assert announced(self.router, self.canary, self.live, writes) is bool(found)
            self.cluster.write(now)
            found.append([self.weights(rule) for rule in self.rules()])
        assert following(self.router, self.canary, self.live, ()) == ()
        return found

    def finish(self) -> None:
        """Give it back."""
        while writes := self.wanted(True):
            self.cluster.write(following(self.router, self.canary, self.live, writes))

    def wanted(self, back: bool) -> Writes:
        """All that is to be written."""
        made = (self.router.finalize if back else self.router.reconcile)(self.canary, self.live, self.options)
        assert isinstance(made, tuple)
        return tuple(each for each in made if each.ref.kind != "DestinationRule") if back else made

    @property
    def route(self) -> Obj:
        """The object that holds the weights."""
        found = self.live[self.router.reads(self.canary, self.options)[0]]
        assert found is not None
        return found

    def rules(self) -> list[list[Obj]]:
        """The backends of each rule."""
        assert isinstance(self.router, Announces)
        spec = self.route["spec"]
        return [rule[key] for section, key in self.router.sections.items() for rule in spec.get(section) or ()]

    def weights(self, rule: list[Obj]) -> dict[str, int]:
        """By Service; -1 where there is none."""
        assert isinstance(self.router, Announces)
        service = self.router.service_of
        return {service(self.canary, each).split(".")[0].replace("web", "w"): each.get("weight", -1) for each in rule}


def backs(*numbers: int) -> dict[str, int]:
    """Weights of apex, primary and canary."""
    return dict(zip(("w", "w-primary", "w-canary"), numbers, strict=True))


@pytest.mark.parametrize("provider", KINDS)
def test_a_route_of_the_users(provider: str) -> None:
    """Taken over and given back in three writes each; the end is what one write makes."""
    whole, steps = (Steps(provider, users(provider, (backend(provider, "web"),))) for _ in range(2))
    before = steps.route["spec"]
    whole.cluster.write(whole.wanted(False))
    assert steps.to() == [[backs(100, 0, 0)], [backs(0, 100, 0)], [{"w-primary": 100, "w-canary": 0}]]
    assert [*merge_diff(whole.route, steps.route)["metadata"]] == ["resourceVersion"]
    assert steps.route["spec"] == whole.route["spec"]
    steps.set(25)
    assert steps.to(back=True) == [[backs(0, 75, 25)], [backs(100, 0, 0)], [{"w": -1}]]
    assert steps.route["spec"] == before and not steps.route["metadata"].get("annotations")


@pytest.mark.parametrize("provider", KINDS)
def test_what_it_was_is_stored_with_the_first_write(provider: str) -> None:
    """Given back after each of them it is what it was, and is read as not taken over until the last."""
    for count in range(1, 4):
        steps = Steps(provider, users(provider, (backend(provider, "web"),)))
        before = steps.route["spec"]
        for _ in range(count):
            assert steps.read() is None
            steps.cluster.write(following(steps.router, steps.canary, steps.live, steps.wanted(False)))
        assert steps.read() == (Route(100, 0) if count == 3 else None)
        steps.finish()
        assert steps.route["spec"] == before and not steps.route["metadata"].get("annotations"), count


@pytest.mark.parametrize("provider", KINDS)
def test_further_backends_keep_their_part(provider: str) -> None:
    """At each of the writes."""
    rule = (backend(provider, "web", 80), backend(provider, "legacy", 20))
    found = Steps(provider, users(provider, rule)).to()
    assert [weights["legacy"] for (weights,) in found] == [20, 20, 20]
    assert found[0] == [{**backs(80, 0, 0), "legacy": 20}] and found[1][0]["w-primary"] == 80


@pytest.mark.parametrize("provider", KINDS)
def test_a_service_that_another_rule_leads_to_stays_known(provider: str) -> None:
    """The rule for some paths goes on leading to the apex: there is no third write."""
    apex = (backend(provider, "web"),)
    found = Steps(provider, users(provider, apex, apex)).to()
    assert found == [[{"w": -1}, backs(100, 0, 0)], [{"w": -1}, {"w-primary": 100, "w-canary": 0}]]


def test_a_rule_without_room_is_written_once() -> None:
    """The API server would refuse it."""
    many = [backend("gatewayapi:v1", f"other-{at}", 1) for at in range(BACKENDS_MAX - 2)]
    steps = Steps("gatewayapi:v1", users("gatewayapi:v1", (backend("gatewayapi:v1", "web", 1), *many)))
    assert len(following(steps.router, steps.canary, steps.live, steps.wanted(False))) == 1
    assert len(steps.to()) == 1 and len(steps.rules()[0]) == BACKENDS_MAX


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "istio", "contour"])
def test_a_route_of_ours(provider: str) -> None:
    """Made in one write, as nobody came by it before; left to the user in three, and ours until the last."""
    steps = Steps(provider)
    assert steps.to() == [[{"w-primary": 100, "w-canary": 0}]]
    writes = steps.to(back=True)
    assert writes[:2] == [[backs(0, 100, 0)], [backs(100, 0, 0)]] and [*writes[2][0]] == ["w"]
    assert not steps.route["metadata"].get("ownerReferences") and len(writes) == 3


@pytest.mark.parametrize("provider", ["traefik", "nginx"])
def test_others_are_written_once(provider: str) -> None:
    """Their proxies learn of routes and Services together."""
    wanted: Any = (Patch(ref_of(users("istio", ())), {}, "1"),)
    router = PROVIDERS[provider]
    assert following(router, canary(), {}, wanted) is wanted and not announced(router, canary(), {}, wanted)
    assert following(None, canary(), {}, wanted) is wanted
