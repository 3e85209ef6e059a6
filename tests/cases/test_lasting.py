"""Primaries that are gone, shared configs, Services elsewhere, definitions of others: visited on a real Traefik."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cases.visited import Cluster, cluster
from pyflagger.objects import Obj
from stage.definitions import reference
from walkthrough.sandboxed import Visitor

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("lasting")]

GOOD, BETTER = "stefanprodan/podinfo:1.1.0", "stefanprodan/podinfo:1.2.0"
BAD = "stefanprodan/podinfo:1.1.0-errors"
ITS_OWN = tuple(f"HTTPError {status}:" for status in (400, 409, 500))
"""What the bad version answers now and then; an ingress never does."""
VISITS_MIN = 20


@pytest.fixture(scope="module")
def place() -> Iterator[Cluster]:
    """One sandbox for all: each case has a namespace of its own."""
    with cluster() as found:
        yield found


def begin(place: Cluster, case: str, namespace: str, *names: str) -> None:
    """Apply a file and wait until each Canary is initialized."""
    place.apply_part(case, canaries=False)
    place.apply_part(case, canaries=True)
    for name in names:
        place.phase(namespace, name, "Initialized")


def served(place: Cluster, visitor: Visitor, version: str) -> None:
    """Wait until a version answered some more visits."""
    wanted = visitor.versions.get(version, 0) + VISITS_MIN
    place.until(lambda: visitor.versions.get(version, 0) >= wanted, lambda: (visitor.versions, visitor.failed))


def failed(visitor: Visitor) -> list[str]:
    """The failed visits, without the errors that the bad version itself gives."""
    return [text for text in visitor.failed if not any(own in text for own in ITS_OWN)]


# A config that two share ---------------------------------------------------------------------------------------------


def owners(place: Cluster) -> set[str]:
    """Names of the Canaries that a copy belongs to."""
    meta = place.object("-n", "shared", "configmap", "common-primary")["metadata"]
    return {owner["name"] for owner in meta["ownerReferences"]}


def test_two_canaries_share_a_config_and_one_goes(place: Cluster) -> None:
    """Both are released, and the copy stays with the one that is left."""
    hosts = ("one.shared.local", "two.shared.local")
    begin(place, "shared-config.yaml", "shared", "one", "two")
    for host in hosts:
        place.serves(host)
    with place.visited(*hosts) as seen:
        for name in ("one", "two"):
            place.release("shared", name, GOOD)
        for name in ("one", "two"):
            assert place.phase("shared", name, "Succeeded", "Failed") == "Succeeded"
        assert owners(place) == {"one", "two"}
        place.kubectl("-n", "shared", "delete", "canary", "one")
        place.until(lambda: owners(place) == {"two"}, lambda: (owners(place), place.events("shared")))
        place.release("shared", "two", BETTER)
        place.phase("shared", "two", "Progressing")
        assert place.phase("shared", "two", "Succeeded", "Failed") == "Succeeded"
        for host, version in zip(hosts, ("1.1.0", "1.2.0"), strict=True):
            served(place, seen[host], version)
    assert {host: visitor.failed for host, visitor in seen.items()} == {host: [] for host in hosts}
    one, two = (seen[host].versions for host in hosts)
    assert set(one) == {"1.0.0", "1.1.0"} and set(two) == {"1.0.0", "1.1.0", "1.2.0"}
    assert not [text for text in place.events("shared") if "bug in flagger" in text]


# A primary that is gone ----------------------------------------------------------------------------------------------


def test_a_good_version_ends_the_outage_of_a_lost_primary(place: Cluster) -> None:
    """By itself; nobody fails from the first answer on, and the version is promoted.

    With the record of the promoted release, the primary comes back without a new version.
    """
    begin(place, "lost-primary.yaml", "lost", "web")
    place.serves("lost.local")
    with place.visited("lost.local") as before:
        place.release("lost", "web", BAD)
        phase = place.phase("lost", "web", "Failed", "Succeeded")
    assert phase == "Failed", (before["lost.local"].versions, before["lost.local"].failed, place.events("lost"))
    assert failed(before["lost.local"]) == []
    place.kubectl("-n", "lost", "delete", "canaryreleases", "--all")
    place.kubectl("-n", "lost", "delete", "deployment", "web-primary")
    text = place.blocked("lost", "web")
    assert "web-primary.lost does not exist" in text and "Change the pod template of web" in text
    place.until(lambda: place.answers("lost.local") == 503, lambda: place.answers("lost.local"))
    place.release("lost", "web", BETTER)
    place.serves("lost.local")
    with place.visited("lost.local") as after:
        assert place.phase("lost", "web", "Succeeded", "Failed") == "Succeeded", place.events("lost")
        served(place, after["lost.local"], "1.2.0")
    assert after["lost.local"].failed == [] and set(after["lost.local"].versions) == {"1.2.0"}
    assert place.object("-n", "lost", "deployment", "web-primary")["status"]["readyReplicas"] == 1
    assert place.condition("lost", "web", "Blocked") == ""
    told = place.events("lost")
    assert [text for text in told if "web.lost gets all traffic as soon as it is ready" in text]
    place.release("lost", "web", BAD)
    place.phase("lost", "web", "Progressing")
    place.phase("lost", "web", "Failed")
    place.kubectl("-n", "lost", "delete", "deployment", "web-primary")
    place.until(lambda: "from the record of release 3" in " ".join(place.events("lost")), lambda: place.events("lost"))
    place.serves("lost.local")


# Services that lead elsewhere ----------------------------------------------------------------------------------------


class Outside(BaseHTTPRequestHandler):
    """A server outside of the cluster, which answers as pods do."""

    def do_GET(self) -> None:
        """Its version is its name."""
        body = b'{"version": "outside"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def outside() -> Iterator[int]:
    """The port of a server outside of the cluster, while the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Outside) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def address(place: Cluster) -> str:
    """Where the pod behind the endpoints by hand is."""
    found: list[str] = []

    def known() -> bool:
        pods = place.object("-n", "elsewhere", "pods", "-l", "app=legacy")["items"]
        found[:] = [pod["status"]["podIP"] for pod in pods if pod.get("status", {}).get("podIP")]
        return bool(found)

    place.until(known, lambda: place.events("elsewhere"))
    return found[0]


def users(place: Cluster) -> dict[str, Obj]:
    """Both Services as they are."""
    return {name: place.object("-n", "elsewhere", "service", name)["spec"] for name in ("outside", "by-hand")}


def test_services_that_lead_elsewhere_stay_as_they_are(place: Cluster) -> None:
    """Their visitors too; and whoever follows the text gets a release and loses nobody."""
    case = "services-elsewhere.yaml"
    with outside() as port:
        place.apply_part(case, canaries=False, PORT=port, ADDRESS="127.0.0.1")
        place.apply_part(case, canaries=False, PORT=port, ADDRESS=address(place))
        before = users(place)
        for host in ("outside.local", "by-hand.local"):
            place.serves(host)
        with place.visited("outside.local", "by-hand.local") as seen:
            place.apply_part(case, canaries=True, PORT=port)
            texts = [place.blocked("elsewhere", name) for name in ("outside", "by-hand")]
            for host, version in (("outside.local", "outside"), ("by-hand.local", "9.0.0")):
                served(place, seen[host], version)
            assert users(place) == before
            assert "-primary" not in place.kubectl("-n", "elsewhere", "get", "deployment,service", "-o", "name")
            follow(place, "by-hand")
            served(place, seen["by-hand.local"], "1.0.0")
    assert "Service outside.elsewhere is of type ExternalName: it resolves to localhost" in texts[0]
    assert "Service by-hand.elsewhere has no selector" in texts[1]
    for text in texts:
        assert "Create another Service that selects the target's pods" in text and ".;" not in text
    assert {host: visitor.failed for host, visitor in seen.items()} == {"outside.local": [], "by-hand.local": []}
    assert set(seen["outside.local"].versions) == {"outside"}
    assert users(place) == before


def follow(place: Cluster, name: str) -> None:
    """Do as the text says: another Service, visitors by that, and its name in the Canary."""
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 9898}]}
    another: Obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{name}-app"}, "spec": spec}
    place.kubectl("-n", "elsewhere", "apply", "-f", "-", said=json.dumps(another))
    backend = {"service": {"name": f"{name}-app", "port": {"number": 80}}}
    moved = [{"op": "replace", "path": "/spec/rules/0/http/paths/0/backend", "value": backend}]
    place.kubectl("-n", "elsewhere", "patch", "ingress", name, "--type=json", "-p", json.dumps(moved))
    named = {"spec": {"service": {"name": f"{name}-app"}}}
    place.kubectl("-n", "elsewhere", "patch", "canary", name, "--type=merge", "-p", json.dumps(named))
    place.phase("elsewhere", name, "Initialized")


# Definitions of somebody else ----------------------------------------------------------------------------------------


def test_a_bad_version_is_rolled_back_on_the_references_definitions(place: Cluster) -> None:
    """Within its threshold, once; a good version beside it is promoted."""
    definitions = {"apiVersion": "v1", "kind": "List", "items": reference()}
    place.kubectl("replace", "-f", "-", said=json.dumps(definitions))
    begin(place, "kept-definitions.yaml", "kept", "bad", "good")
    for host in ("bad.kept.local", "good.kept.local"):
        place.serves(host)
    with place.visited("bad.kept.local", "good.kept.local") as seen:
        place.release("kept", "bad", BAD)
        place.release("kept", "good", GOOD)
        assert place.phase("kept", "bad", "Failed", "Succeeded") == "Failed"
        assert place.phase("kept", "good", "Failed", "Succeeded") == "Succeeded"
    assert [failed(visitor) for visitor in seen.values()] == [[], []]
    assert seen["bad.kept.local"].versions["1.1.0-errors"] and seen["good.kept.local"].versions["1.1.0"]
    with place.visited("bad.kept.local") as later:
        served(place, later["bad.kept.local"], "1.0.0")
    assert later["bad.kept.local"].failed == [] and set(later["bad.kept.local"].versions) == {"1.0.0"}
    told = place.object("-n", "kept", "events")["items"]
    rolled = [event for event in told if event["message"].startswith("Rolling back bad.kept")]
    assert [event.get("count", 1) for event in rolled] == [1]
    assert not [event["message"] for event in told if "bug in flagger" in event["message"]]
