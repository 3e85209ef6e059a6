"""Provider traefik: what a TraefikService holds, and what Traefik makes of what it does not hold."""

from __future__ import annotations

import copy

import pytest
from adoption import Mine
from splits import Way, made

from pyflagger.api.facts import ALL_PRIMARY, Route
from pyflagger.routing.adopted import WEIGHTS
from pyflagger.routing.traefik import PARKED


def entry(name: str, weight: int, port: int = 80) -> dict[str, object]:
    """A Service of a weighted list."""
    return {"name": name, "namespace": "test", "port": port, "weight": weight}


@pytest.mark.parametrize("weight", [20, 40, 60, 80, 100, 0])
def test_the_canary_is_listed_while_it_gets_requests(weight: int) -> None:
    """A Service without endpoints spoils the list, a missing weight counts as 1: so 0 is written for the primary."""
    one = made(Way("traefik"), weight)
    (services,) = one.router.backends(one.main)
    wanted = [entry("web-primary", 100 - weight), entry("web-canary", weight)][: 2 if weight else 1]
    assert services == wanted
    assert (one.main["apiVersion"], one.main["kind"]) == ("traefik.io/v1alpha1", "TraefikService")
    one.main["spec"]["weighted"]["services"][0].pop("port")
    assert one.reconcile() == 1 and one.router.backends(one.main)[0] == wanted


def test_stickiness_and_entries_of_the_user_stay() -> None:
    """They are not ours."""
    one = made(Way("traefik"), 10)
    one.main["spec"]["weighted"]["sticky"] = {"cookie": {"name": "theirs"}}
    one.main["spec"]["weighted"]["services"][0]["nativeLB"] = True
    one.set(0)
    one.set(20)
    assert one.main["spec"]["weighted"]["sticky"] and one.backends[0]["nativeLB"] is True


def test_a_service_of_traefik_is_no_service_of_ours() -> None:
    """An entry of another kind by the same name gets no weight of ours."""
    one = made(Way("traefik"), 10)
    one.backends[1]["kind"] = "TraefikService"
    assert one.read() != made(Way("traefik"), 10).read()


def test_each_port_has_a_service_of_traefik() -> None:
    """Named after the port; the first one is named as the apex."""
    one = made(Way("traefik", {"service": {"ports": [{"name": "grpc", "port": 9000}]}}), 30)
    specs = {obj["metadata"]["name"]: one.router.backends(obj)[0] for obj in one.cluster.objects.values()}
    assert specs == {
        "web": [entry("web-primary", 70), entry("web-canary", 30)],
        "web-grpc": [entry("web-primary", 70, 9000), entry("web-canary", 30, 9000)],
    }


PRIMARY, TELLING = {"name": "web-primary", "port": 80}, {"name": "web-canary", "port": 80, "scheme": "h2c"}


def adopted(*services: dict[str, object], notes: dict[str, str] | None = None) -> Mine:
    """A list of the user's, of which the weights are set."""
    one = Mine("traefik")
    one.before["spec"] = {"weighted": {"services": [*services]}}
    one.before["metadata"]["annotations"] = notes or {}
    one.cluster.replace(one.ref, copy.deepcopy(one.before))
    return one


def test_in_a_list_of_the_user_too_the_canary_is_there_while_it_gets_requests() -> None:
    """Without endpoints it would spoil the list between releases; what the user wrote in its entry comes again."""
    one = adopted(PRIMARY, TELLING)
    assert one.reconcile() == 1 and one.reconcile() == 0
    assert one.listed() == [{**PRIMARY, "weight": 100}]
    assert one.set(20) == 1 and one.reconcile() == 0
    assert one.listed()[1] == {**TELLING, "weight": 20} and PARKED not in one.notes
    assert one.set(0) == 1 and one.reconcile() == 0 and len(one.listed()) == 1
    assert one.set(100) == 1 and [entry["weight"] for entry in one.listed()] == [0, 100]


def test_the_entry_is_as_the_user_has_it_by_now() -> None:
    """Edited while it was listed, or written again while it was out; it comes back so in the end."""
    one = adopted(PRIMARY, TELLING)
    one.reconcile()
    one.set(20)
    one.listed()[1]["port"] = 9090
    one.set(0)
    one.set(20)
    assert one.listed()[1] == {**TELLING, "port": 9090, "weight": 20}
    one.set(0)
    one.listed().append({**TELLING, "port": 7070, "weight": 0})
    assert one.read() == ALL_PRIMARY and one.reconcile() == 1 and len(one.listed()) == 1
    assert one.finalize() == 1
    assert one.listed() == [PRIMARY, {**TELLING, "port": 7070}] and one.notes == {}


def test_an_entry_as_the_stable_one_s_follows_it() -> None:
    """It is not parked, so it has the port that the user gives the other one between two releases."""
    one = adopted({**PRIMARY, "name": "web", "weight": 5}, {**PRIMARY, "name": "web-canary", "weight": 1})
    one.reconcile()
    assert PARKED not in one.notes
    one.listed()[0]["port"] = 8080
    one.set(20)
    assert one.listed()[1] == {"name": "web-canary", "port": 8080, "weight": 20}
    one.set(0)
    assert one.finalize() == 1
    assert one.listed() == [
        {"name": "web", "port": 8080, "weight": 5},
        {"name": "web-canary", "port": 8080, "weight": 1},
    ]


@pytest.mark.parametrize("note", ["", "no JSON", "[]", "null"])
def test_an_entry_that_was_never_written_is_as_the_stable_one_s(note: str) -> None:
    """So is one whose note somebody spoilt; in the end the list has none again."""
    one = adopted({"name": "web-primary", "port": "http", "nativeLB": True}, notes={PARKED: note, "theirs": "stays"})
    assert one.read() is None and one.reconcile() == 1 and one.reconcile() == 0
    assert one.set(30) == 1 and one.read() == Route(70, 30)
    assert one.listed()[1] == {"name": "web-canary", "port": "http", "nativeLB": True, "weight": 30}
    assert one.notes.keys() == {WEIGHTS, "theirs"}
    for weight in (0, 40):
        one.set(weight)
        fork = copy.deepcopy(one)
        assert fork.finalize() == 1 and fork.obj["spec"] == one.before["spec"] and fork.notes == {"theirs": "stays"}


def test_a_list_that_became_something_else_is_let_go() -> None:
    """No list is made in it, and no note is left."""
    one = adopted(PRIMARY, TELLING)
    one.reconcile()
    assert PARKED in one.notes
    one.edit(spec={"weighted": None, "mirroring": {"name": "web"}})
    assert one.problem().path == "spec.routeRef"
    assert one.finalize() == 1 and one.obj["spec"] == {"mirroring": {"name": "web"}} and one.notes == {}


def test_an_adopted_list_of_three() -> None:
    """The canary's entry comes and goes beside the further one, which may be another TraefikService."""
    third = {"name": "web-canary", "kind": "TraefikService", "weight": 1}
    one = adopted({"name": "web", "port": 80, "weight": 3}, third)
    assert one.read() is None and one.reconcile() == 1 and one.read() == ALL_PRIMARY
    for weight, wanted in ((20, [240, 60, 100]), (100, [0, 300, 100]), (0, [300, 100])):
        one.set(weight)
        assert [each["weight"] for each in one.listed()] == wanted and one.read() == Route(100 - weight, weight)
        assert one.reconcile() == 0 and one.set(weight) == 0
    one.set(50)
    assert one.finalize() == 1 and one.obj["spec"] == one.before["spec"] and one.finalize() == 0
