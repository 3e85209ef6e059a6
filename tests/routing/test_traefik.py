"""Provider traefik: what a TraefikService holds, and what Traefik makes of what it does not hold."""

from __future__ import annotations

import pytest
from splits import Way, made

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


def adopted(*services: dict[str, object]) -> Way:
    """A list of the user's, of which the weights are set."""
    head = {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService"}
    mine = {**head, "metadata": {"name": "mine", "namespace": "test"}, "spec": {"weighted": {"services": [*services]}}}
    return Way("traefik", {"routeRef": {**head, "name": "mine"}}, (mine,))


def test_in_a_list_of_the_user_too_the_canary_is_there_while_it_gets_requests() -> None:
    """Without endpoints it would spoil the list between releases; what the user wrote in its entry comes again."""
    one = adopted({"name": "web-primary", "port": 80}, {"name": "web-canary", "port": 8080, "scheme": "h2c"})
    assert one.reconcile() == 1 and one.reconcile() == 0
    assert one.backends == [{"name": "web-primary", "port": 80, "weight": 100}]
    assert one.set(20) == 1 and one.reconcile() == 0
    assert one.backends[1] == {"name": "web-canary", "port": 8080, "scheme": "h2c", "weight": 20}
    assert not one.main["metadata"].get("annotations")
    assert one.set(0) == 1 and one.reconcile() == 0 and len(one.backends) == 1
    assert one.set(100) == 1 and [entry["weight"] for entry in one.backends] == [0, 100]


@pytest.mark.parametrize("note", ["", "no JSON", "[]", "null"])
def test_an_entry_that_was_never_written_is_as_the_primary_s(note: str) -> None:
    """So is one whose note somebody spoilt."""
    one = adopted({"name": "web-primary", "port": "http", "nativeLB": True})
    one.main["metadata"]["annotations"] = {PARKED: note, "theirs": "stays"}
    one.set(30)
    assert one.backends[1] == {"name": "web-canary", "port": "http", "nativeLB": True, "weight": 30}
    assert one.main["metadata"]["annotations"] == {"theirs": "stays"}
