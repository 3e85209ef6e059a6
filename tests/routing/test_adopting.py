"""What holds for every provider that can adopt: a route of the user's own, of which only weights are ours."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from adoption import ABLE, ADOPTED, BOTH, MANY, SHAPES, TEXTS, Mine, Rule, taken

from pyflagger.api.facts import ALL_PRIMARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Obj
from pyflagger.routing.adopted import WEIGHTS
from pyflagger.testing import Scene, check_router

every_provider = pytest.mark.parametrize("provider", ABLE)
with_rules = pytest.mark.parametrize("provider", MANY)
OTHER: Rule = [("other", 100)]


def without_weights(obj: Any) -> Any:
    """An object with no weight in it."""
    if isinstance(obj, dict):
        return {key: without_weights(value) for key, value in obj.items() if key != "weight"}
    return [without_weights(each) for each in obj] if isinstance(obj, list) else obj


def as_numbers(weights: dict[str, Any]) -> dict[str, int]:
    """Texts as what they say."""
    return {name: int(weight) for name, weight in weights.items()}


def told_and_set_to(one: Mine, text: str, reached: Route) -> None:
    """Weights that are no split are a problem with the cluster, until one write makes them what the release reached."""
    found = one.read()
    assert isinstance(found, Problem) and found.fault is Fault.CLUSTER and found.todo
    assert text in found.text and "mine.test" in found.text
    assert one.reconcile() == 1 and one.read() == reached and one.reconcile() == 0


def test_the_table_has_every_kind_that_can_be_adopted() -> None:
    """Under each of its names."""
    assert {found.kinds[0].kind for found in ABLE.values()} == SHAPES.keys()
    assert MANY and set(TEXTS) < ABLE.keys()


@every_provider
@pytest.mark.parametrize("weights", [(100, 0), (50, 50), (70, 30), (1, None), (None, None)])
def test_until_it_is_taken_over_its_weights_say_nothing(provider: str, weights: tuple[Any, Any]) -> None:
    """A user's weights are no progress of a release; then they are noted, once, and everybody is on the primary."""
    one = Mine(provider, [("web-primary", weights[0]), ("web-canary", weights[1])])
    assert one.read() is None
    assert one.reconcile() == 1 and one.read() == ALL_PRIMARY
    ((_, primary), (_, other)) = one.spelled([("", weights[0]), ("", weights[1])])
    assert one.note == [[primary, other]]
    for weight in (30, 0):
        one.set(weight)
        assert one.reconcile() == 0 and one.note == [[primary, other]]


@every_provider
def test_taken_over_in_a_release_it_has_the_weight_of_then(provider: str) -> None:
    """Whatever the user had there."""
    one = taken(provider, [("web-primary", 50), ("web-canary", 50)], status={"canaryWeight": 30})
    assert one.read() == Route(70, 30)


PORTED = sorted(name for name, found in ABLE.items() if found.kinds[0].kind not in ("TrafficSplit",))


@pytest.mark.parametrize("provider", PORTED)
@pytest.mark.parametrize(
    "service, ok",
    [
        ({"port": 81}, False),
        ({"port": 81, "ports": [{"name": "more", "port": 80}]}, True),
        ({"port": 81, "portDiscovery": True}, True),
    ],
)
def test_a_port_that_the_services_lack_is_told_before_the_takeover(
    provider: str, service: dict[str, Any], ok: bool
) -> None:
    """Later it stops nothing, so that a release can always go back."""
    one, rules = Mine(provider, BOTH, service=service), Mine(provider, BOTH)
    for each in (one, rules):
        for backend in (backend for backends in each.shape.lists(each.obj) for backend in backends):
            if "destination" in backend:
                backend["destination"]["port"] = {"number": 80}
    found = one.router.reconcile(one.canary, {one.ref: one.obj}, one.options)
    assert isinstance(found, Problem) is not ok
    if isinstance(found, Problem):
        assert "mine.test sends to port 80, but spec.service.port is 81" in found.text and found.todo
    assert rules.reconcile() == 1
    later = one.router.reconcile(one.canary, {rules.ref: rules.obj}, one.options)
    assert not isinstance(later, Problem)


@every_provider
def test_weights_are_set_and_read_back(provider: str) -> None:
    """In one write each, spelled as the kind spells them; nothing else changes or is made."""
    one = taken(provider)
    for weight in (10, 100, 55, 99, 1):
        assert one.set(weight) == 1 and one.read() == Route(100 - weight, weight)
        assert one.set(weight) == 0 and one.reconcile() == 0
        wanted: Any = dict(one.spelled([("web-primary", 100 - weight), ("web-canary", weight)]))
        assert one.weights == [wanted]
        assert without_weights(one.obj["spec"]) == without_weights(one.before["spec"])
        assert one.obj["metadata"]["annotations"].keys() == {"theirs", WEIGHTS}
    assert one.set(0) == 1 and one.read() == ALL_PRIMARY and one.set(0) == 0 and one.reconcile() == 0
    assert "ownerReferences" not in one.obj["metadata"] and len(one.cluster.objects) == 1


@with_rules
def test_all_rules_with_both_are_set_alike(provider: str) -> None:
    """In any order; those that lead elsewhere stay as they are."""
    one = taken(provider, OTHER, BOTH, [("web-canary", 0), ("web-primary", 100)], weight=30)
    mine = {"web-primary": 70, "web-canary": 30}
    assert one.weights == [{"other": 100}, mine, mine] and one.read() == Route(70, 30)
    assert one.note == [[100, 0], [100, 0]]


@every_provider
def test_the_apex_may_be_the_stable_one(provider: str) -> None:
    """A route that led to it before there was a Canary."""
    one = taken(provider, [("web", 100), ("web-canary", 0)], weight=20)
    assert as_numbers(one.weights[0]) == {"web": 80, "web-canary": 20} and one.read() == Route(80, 20)
    assert one.finalize() == 1 and one.obj["spec"] == one.before["spec"]


def parts(one: Mine, number: int = 0) -> tuple[Fraction, dict[str, Fraction]]:
    """The canary's share of what is ours in a rule, and the share of each further backend of the whole."""
    weights = as_numbers({"web-canary": 0, **one.weights[number]})
    ours = weights["web-primary"] + weights["web-canary"]
    whole = sum(weights.values())
    others = {name: Fraction(weight, whole) for name, weight in weights.items() if "web-" not in name}
    return Fraction(weights["web-canary"], ours), others


@every_provider
@pytest.mark.parametrize("three", [(80, 0, 20), (1, 1, 3), (9, 0, 1), (100, 0, 7), (500_000, 0, 1_000_000)])
def test_a_third_backend_keeps_its_part(provider: str, three: tuple[int, int, int]) -> None:
    """The rest is split between primary and canary; in the end everything is as it was."""
    rule = [*zip(("web-primary", "web-canary", "other"), three, strict=True)]
    one = taken(provider, rule)
    for weight in (10, 25, 50, 100, 0):
        assert one.set(weight) == 1 and one.read() == Route(100 - weight, weight)
        assert one.set(weight) == 0 and one.reconcile() == 0
        assert parts(one) == (Fraction(weight, 100), {"other": Fraction(three[2], sum(three))})
        assert sum(as_numbers(one.weights[0]).values()) == 100 or sum(three) != 100
    assert one.finalize() == 1 and one.obj == {**one.before, "metadata": one.obj["metadata"]}
    assert one.notes == {"theirs": "note"} and one.finalize() == 0


@every_provider
def test_a_part_that_cannot_be_split_to_the_percent(provider: str) -> None:
    """A rule of 100 stays one: weights come near, the split that they stand for is noted, and nobody is left out."""
    one = taken(provider, [("web-primary", 5), ("web-canary", 0), ("other", 95)])
    for weight, wanted in ((10, 1), (25, 1), (50, 3), (99, 4), (100, 5), (1, 1)):
        one.set(weight)
        assert as_numbers(one.weights[0])["web-canary"] == wanted and one.read() == Route(100 - weight, weight)
        assert sum(as_numbers(one.weights[0]).values()) == 100 and one.reconcile() == 0


@every_provider
def test_somebody_moves_visitors_beside_a_third_backend(provider: str) -> None:
    """The split is what the weights say, not what was noted of others."""
    one = taken(provider, [("web-primary", 80), ("web-canary", 0), ("other", 20)], weight=25)
    for backend in one.listed()[:2]:
        ((_, backend["weight"]),) = one.spelled([("", 40)])
    assert one.read() == Route(50, 50)


@with_rules
def test_a_rule_with_a_third_backend_is_set_as_those_without(provider: str) -> None:
    """Each with its own weights, and in the end those of before; what the user has removed since is not missed."""
    third = [("web-primary", 1), ("web-canary", 1), ("other", 3)]
    one = taken(provider, third, BOTH, weight=40)
    assert parts(one) == (Fraction(2, 5), {"other": Fraction(3, 5)})
    assert one.weights[1] == {"web-primary": 60, "web-canary": 40} and one.read() == Route(60, 40)
    assert one.finalize() == 1 and one.obj["spec"] == one.before["spec"]
    one = taken(provider, third, weight=40)
    one.respec([("web-primary", 100), ("web-canary", 0), ("other", 50), ("more", 50)])
    assert one.set(50) == 1 and one.finalize() == 1
    assert parts(one) == (0, {"other": Fraction(1, 4), "more": Fraction(1, 4)})


@every_provider
@pytest.mark.parametrize("wrong", [(1, 2), (100, 100), (0, 0), ("half", 50), (-10, 110), (70, None), (True, 99)])
def test_weights_that_are_no_split_of_100(provider: str, wrong: tuple[Any, Any]) -> None:
    """Told, and set to what the release had reached."""
    one = taken(provider, weight=30, status={"phase": "Progressing", "canaryWeight": 10})
    for backend, weight in zip(one.listed(), wrong, strict=True):
        backend["weight"] = weight
    told_and_set_to(one, "do not add up to 100", Route(90, 10))


@with_rules
def test_uneven_rules_are_told(provider: str) -> None:
    """One of them would be wrong, whichever is taken for the split; all are set to what the release had reached."""
    one = taken(provider, BOTH, BOTH, weight=60, status={"phase": "Progressing", "canaryWeight": 30})
    one.listed(1)[0]["weight"], one.listed(1)[1]["weight"] = 100, 0
    told_and_set_to(one, "has rules with different weights", Route(70, 30))


@every_provider
def test_what_the_user_changes_meanwhile_is_no_drift(provider: str) -> None:
    """Labels, annotations and every field but the weights are the user's, and outlive all that we write."""
    one = taken(provider, weight=30)
    one.edit(metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}}, spec={"more": 1})
    for backend in one.listed():
        backend["more"] = 2
    assert one.reconcile() == 0 and one.read() == Route(70, 30)
    assert one.set(0) == one.set(60) == 1
    assert one.finalize() == 1
    assert one.obj["metadata"]["labels"] == {"a": "b"} and one.obj["spec"]["more"] == 1
    assert one.obj["metadata"]["annotations"] == {"theirs": "note", "c": "d"}
    assert [backend["more"] for backend in one.listed()] == [2, 2]


@every_provider
def test_a_route_that_is_not_there(provider: str) -> None:
    """Told with what to do; a rollback has nothing to route, and anything else is not made in a hurry."""
    one = Mine(provider, BOTH)
    del one.cluster.objects[one.ref]
    told = one.problem()
    assert told.fault is Fault.MANIFEST and told.path == "spec.routeRef"
    assert "mine.test not found" in told.text and "Create" in told.todo
    assert one.read() is None and one.set(0) == 0 and one.finalize() == 0
    assert one.router.set(one.canary, one.live, Route(90, 10), one.options) == told


HALF: Rule = [("web-primary", 100), ("other", 0)]
LACKING: list[list[Rule]] = [[], [OTHER], [HALF], [[("web-canary", 1)]]]


@pytest.mark.parametrize(
    "provider, rules",
    [(name, rules) for name in ABLE for rules in LACKING if (name, rules) != ("traefik", [HALF])],
)
def test_a_route_without_a_rule_for_both(provider: str, rules: list[Rule]) -> None:
    """Told with what to add; nothing is written, nor given back."""
    one = Mine(provider, *rules)
    told = one.problem()
    assert told.fault is Fault.MANIFEST and told.path == "spec.routeRef" and "mine.test" in told.text
    assert "has no rule with the Services web-primary and web-canary" in told.text
    assert "web-primary at weight 100" in told.todo and "web-canary at weight 0" in told.todo
    assert one.router.set(one.canary, one.live, Route(90, 10), one.options) == told
    assert one.read() is None and one.finalize() == 0


INSIDER = {"headers": {"x-canary": {"exact": "insider"}}}
BY_RULE = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": [INSIDER]}


@every_provider
@pytest.mark.parametrize(
    ("field", "analysis"),
    [
        ("testers", {"testers": [INSIDER]}),
        ("sessionAffinity", {"sessionAffinity": {"cookieName": "ck"}}),
        ("mirror", {"mirror": True}),
        ("match", BY_RULE),
    ],
)
def test_only_weights_can_be_asked_for(provider: str, field: str, analysis: Obj) -> None:
    """All else would write into what is the user's."""
    told = Mine(provider, BOTH, analysis=analysis).problem()
    assert told.fault is Fault.MANIFEST and told.path == f"spec.analysis.{field}" and told.todo
    assert "flagger changes only the weights of your route" in told.text


@every_provider
@pytest.mark.parametrize("weight", [0, 30, 100])
@pytest.mark.parametrize("before", [(100, 0), (1, 5), (None, 0), (1, None), (None, None)])
def test_it_is_given_back(provider: str, before: tuple[Any, Any], weight: int) -> None:
    """To the last key, also where there was no weight; a second time there is nothing to give."""
    one = taken(provider, [("web-primary", before[0]), ("web-canary", before[1])], weight=weight)
    assert one.finalize() == 1
    assert {**one.obj, "metadata": 0} == {**one.before, "metadata": 0}
    assert one.obj["metadata"]["annotations"] == {"theirs": "note"}
    assert one.finalize() == 0 and one.read() is None


@with_rules
def test_each_rule_has_its_own_weights_again(provider: str) -> None:
    """Rules of others, too, which never were ours."""
    one = taken(provider, [("web-primary", 9), ("web-canary", None)], OTHER, BOTH, weight=30)
    assert one.finalize() == 1 and one.obj["spec"] == one.before["spec"]


@with_rules
@pytest.mark.parametrize("rules", [[BOTH], [BOTH, OTHER, BOTH, BOTH]], ids=["fewer", "more"])
def test_given_back_after_its_rules_changed(provider: str, rules: list[Rule]) -> None:
    """Whose weight was whose is not known any more: all to the stable one."""
    one = taken(provider, [("web-primary", 5), ("web-canary", 5)], [("web-primary", 7), ("web-canary", 7)], weight=30)
    one.respec(*rules)
    one.set(50)
    assert one.finalize() == 1 and one.obj["spec"] == one.spec_of(*rules) and one.note is None


@every_provider
def test_given_back_without_a_rule_of_ours(provider: str) -> None:
    """The user sends everything elsewhere by now, and it stays so."""
    one = taken(provider, weight=30)
    one.respec(OTHER)
    assert one.finalize() == 1 and one.obj["spec"] == one.spec_of(OTHER) and one.note is None


@every_provider
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "[[1]]", "[[1, {}]]", "[[1, 2], [3, 4]]"])
def test_a_note_that_cannot_be_read(provider: str, text: str) -> None:
    """Everybody is left on the stable one; deletion is not held up."""
    one = taken(provider, [("web-primary", 5), ("web-canary", 5)], weight=30)
    one.edit(metadata={"annotations": {WEIGHTS: text}})
    assert one.read() == Route(70, 30) and one.finalize() == 1
    assert as_numbers(one.weights[0]) == {"web-primary": 100, "web-canary": 0} and one.note is None


@every_provider
def test_nothing_is_given_back_that_was_not_taken(provider: str) -> None:
    """A Canary that is deleted before it came so far."""
    one = Mine(provider, [("web-primary", 5), ("web-canary", 5)])
    assert one.finalize() == 0 and one.obj == one.before


@every_provider
def test_a_write_that_was_lost_is_made_again(provider: str) -> None:
    """Weights and the note are one write, so there is no crash between them; the next look decides the same."""
    one = Mine(provider, BOTH)
    for decided in (
        lambda: one.router.reconcile(one.canary, one.live, one.options),
        lambda: one.router.set(one.canary, one.live, Route(70, 30), one.options),
        lambda: one.router.finalize(one.canary, one.live, one.options),
    ):
        writes = decided()
        assert len(writes) == 1 and decided() == writes
        one.cluster.write(writes)
        assert decided() == ()


@every_provider
def test_an_adopted_route_conforms(provider: str) -> None:
    """To what plugins are held to."""
    one = Mine(provider, BOTH)
    scene = Scene({"provider": provider, **ADOPTED}, (one.before,), frozenset({one.ref}))
    assert len(check_router(lambda: weights_only(provider), scene)) >= 10


def weights_only(provider: str) -> Any:
    """A router of which nothing but weights is asked."""
    router = copy.copy(ABLE[provider])
    router.capabilities = Capabilities(adopt=True)
    return router
