"""The Ingress of ours beside one that several canaries share: what it is called, and that the checks find it."""

from __future__ import annotations

import re

import pytest
from routed import Cluster, canary, ingress

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Problem, Route
from pyflagger.objects import Delete, Obj, Ref
from pyflagger.routing.base import Router, RoutingOptions
from pyflagger.routing.ingresses import INGRESSES, candidates
from pyflagger.routing.nginx import Nginx
from pyflagger.routing.skipper import FURTHER, Skipper

OPTIONS = RoutingOptions()
USUAL = INGRESSES.ref("test", "web-canary")
ROUTERS: dict[str, tuple[Router, str]] = {
    "nginx": (Nginx(), "web-second-canary"),
    "skipper": (Skipper(), "web-canary--second"),
}


def second(provider: str) -> Canary:
    """A Canary `second` of Service `web`."""
    made = canary(None, provider=provider)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"name": "second", "uid": "u2"})})


def owned(name: str, owner: Canary) -> Obj:
    """An Ingress that flagger made for a Canary."""
    return {
        **ingress(),
        "metadata": {"name": name, "namespace": "test", "ownerReferences": [names.owner_reference(owner)]},
    }


@pytest.mark.parametrize("provider", ROUTERS)
def test_the_usual_name_unless_another_canary_has_it(provider: str) -> None:
    """What is ours is found by its owner, so the name stays when the other one goes."""
    router, name = ROUTERS[provider]
    mine, other = second(provider), canary(None, provider=provider)
    cluster, further = Cluster(ingress()), INGRESSES.ref("test", name)
    refs = router.reads(mine, OPTIONS)
    assert refs == (INGRESSES.ref("test", "web"), USUAL, further)
    cluster.write(router.reconcile(mine, cluster.live(refs), OPTIONS))
    assert cluster.objects.keys() == {refs[0], USUAL}
    cluster.objects[USUAL] = theirs = owned("web-canary", other)
    assert router.read(mine, cluster.live(refs), OPTIONS) is None
    assert isinstance(router.set(mine, cluster.live(refs), Route(90, 10), OPTIONS), Problem)
    cluster.write(router.reconcile(mine, cluster.live(refs), OPTIONS))
    assert cluster.objects.keys() == {refs[0], USUAL, further} and cluster.objects[USUAL] == theirs
    del cluster.objects[USUAL]
    assert router.read(mine, cluster.live(refs), OPTIONS) == ALL_PRIMARY
    cluster.write(router.set(mine, cluster.live(refs), Route(75, 25), OPTIONS))
    assert router.read(mine, cluster.live(refs), OPTIONS) == Route(75, 25)
    assert cluster.write(router.reconcile(mine, cluster.live(refs), OPTIONS)) == 0
    assert cluster.objects.keys() == {refs[0], further}


def test_skipper_takes_away_its_own_alone() -> None:
    """On deletion: neither that of another Canary nor one of the user's."""
    router, mine = Skipper(), second("skipper")
    further = Ref(USUAL.api_version, "Ingress", "test", "web-canary--second")
    live = {INGRESSES.ref("test", "web"): ingress(), USUAL: owned("web-canary", canary(None)), further: None}
    assert router.finalize(mine, live, OPTIONS) == ()
    live[further] = owned("web-canary--second", mine)
    assert router.finalize(mine, live, OPTIONS) == (Delete(further),)
    live |= {USUAL: {**ingress(), "metadata": {"name": "web-canary", "namespace": "test"}}, further: None}
    assert router.finalize(mine, live, OPTIONS) == ()


def test_the_checks_at_skipper_find_both() -> None:
    """Skipper makes a route's name of namespace, Ingress, host, path and Service; the built-in query matches it."""
    for ref in candidates(second("skipper"), FURTHER):
        route = f"kube_test__{ref.name.replace('-', '_')}__web_local____web_canary"
        assert re.fullmatch("kube(ew)?_test__web_canary__.*__web_canary(_[0-9]+)?", route), route


@pytest.mark.parametrize("provider", ROUTERS)
def test_an_ingress_of_a_canary_is_no_source(provider: str) -> None:
    """Its paths are those of another release."""
    router, mine = ROUTERS[provider][0], second(provider)
    live = {INGRESSES.ref("test", "web"): owned("web", canary(None))}
    found = router.reconcile(mine, {**dict.fromkeys(router.reads(mine, OPTIONS)), **live}, OPTIONS)
    assert isinstance(found, Problem) and "ingress web belongs to canary web" in found.text
