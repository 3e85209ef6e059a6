"""Provider nginx: our Ingress beside the user's, its canary annotations, and what cannot be said with them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routed import Cluster, canary, ingress, split_by

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj, Ref
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.ingresses import LAST_APPLIED
from pyflagger.routing.nginx import Nginx

ROUTER, OPTIONS = Nginx(), RoutingOptions()
OURS = Ref("networking.k8s.io/v1", "Ingress", "test", "web-canary")
SOURCE = Ref("networking.k8s.io/v1", "Ingress", "test", "web")
P = "nginx.ingress.kubernetes.io"


class RouterRun:
    """A cluster with an Ingress, routed for a canary."""

    def __init__(self, of: Canary | None = None, source: Obj | None = None, options: RoutingOptions = OPTIONS) -> None:
        self.canary, self.options = of or canary(), options
        self.cluster = Cluster(source or ingress())

    @property
    def live(self) -> dict[Ref, Obj | None]:
        """What the router sees."""
        return self.cluster.live(ROUTER.reads(self.canary, self.options))

    def reconcile(self) -> int:
        """Bring it into shape; how many writes that took. What the router was shown must be as it was."""
        before = copy.deepcopy(self.live)
        writes = ROUTER.reconcile(self.canary, self.live, self.options)
        assert self.live == before
        return self.cluster.write(writes)

    def set(self, weight: int, *, everyone: bool = False) -> int:
        """Split traffic."""
        route = Route(100 - weight, weight)
        return self.cluster.write(ROUTER.set(self.canary, self.live, route, self.options, everyone=everyone))

    def read(self) -> Route | Problem | None:
        """The split as it is."""
        return ROUTER.read(self.canary, self.live, self.options)

    def problem(self) -> Problem:
        """What keeps it from being rendered."""
        found = ROUTER.reconcile(self.canary, self.live, self.options)
        assert isinstance(found, Problem), found
        return found

    @property
    def ours(self) -> Obj:
        """Our Ingress."""
        return self.cluster.objects[OURS]

    @property
    def annotations(self) -> dict[str, str]:
        """Ours without the marks that every object of ours has."""
        return {key: text for key, text in self.ours["metadata"]["annotations"].items() if "toolkit" not in key}


# Making it ----------------------------------------------------------------------------------------------------------


def test_it_is_a_copy_that_leads_to_the_canary() -> None:
    """Weight 0, owned by the Canary, with the user's labels and annotations."""
    source = ingress(labels={"team": "a"}, annotations={"cert-manager.io/issuer": "x", LAST_APPLIED: "{}"})
    run = RouterRun(source=source)
    assert run.read() is None
    assert run.reconcile() == 1
    assert run.read() == ALL_PRIMARY
    assert run.annotations == {"cert-manager.io/issuer": "x", f"{P}/canary": "true", f"{P}/canary-weight": "0"}
    assert run.ours["metadata"]["labels"] == {"team": "a"}
    (owner,) = run.ours["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Canary", "web", "u1", True)
    (path,) = run.ours["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"] == {"service": {"name": "web-canary", "port": {"number": 80}}}
    assert run.ours["spec"]["ingressClassName"] == "nginx"
    assert run.reconcile() == 0, "and nothing is left to do"


def test_only_paths_of_the_apex_are_copied() -> None:
    """Other services of the Ingress are no business of ours; nor is its default backend."""
    source = ingress(("/", "web", 80), ("/api", "api", 80), ("/v2", "web", 80))
    source["spec"]["rules"].append({"host": "other.example", "http": {"paths": [{"path": "/", "backend": {}}]}})
    source["spec"]["rules"].append({"host": "empty.example"})
    source["spec"]["defaultBackend"] = {"service": {"name": "web", "port": {"number": 80}}}
    run = RouterRun(source=source)
    run.reconcile()
    (rule,) = run.ours["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/", "/v2"]
    assert "defaultBackend" not in run.ours["spec"]
    assert run.cluster.objects[Ref("networking.k8s.io/v1", "Ingress", "test", "web")] == source


def test_the_users_own_canary_annotations_are_not_copied() -> None:
    """They are about the user's Ingress."""
    run = RouterRun(source=ingress(annotations={f"{P}/canary-by-header": "x", f"{P}/canary-weight": "90", "a": "b"}))
    run.reconcile()
    assert run.annotations == {"a": "b", f"{P}/canary": "true", f"{P}/canary-weight": "0"}


def test_another_prefix() -> None:
    """As a controller may be told to listen to."""
    run = RouterRun(options=RoutingOptions(annotation_prefix="custom.example"))
    run.reconcile()
    run.set(30)
    assert run.annotations == {"custom.example/canary": "true", "custom.example/canary-weight": "30"}
    assert run.read() == Route(70, 30)


def test_another_service_name() -> None:
    """The apex is what spec.service.name says."""
    run = RouterRun(canary(service={"name": "shop"}), ingress(("/", "shop", 80)))
    run.reconcile()
    (path,) = run.ours["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == "shop-canary"


def test_made_again_in_a_release_it_has_the_weight_of_then() -> None:
    """Visitors of the canary stay with it; A/B rules are set by the release itself."""
    run = RouterRun(canary(status={"phase": "Progressing", "canaryWeight": 30}))
    run.reconcile()
    assert run.read() == Route(70, 30)
    run = RouterRun(split_by({"headers": {"x": {"exact": "y"}}}, status={"phase": "Progressing", "canaryWeight": 100}))
    run.reconcile()
    assert run.read() == ALL_PRIMARY


# Weights ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 100))
def test_a_weight_is_read_back(weight: int) -> None:
    """Whatever it is; setting it again writes nothing."""
    run = RouterRun()
    run.reconcile()
    assert run.set(weight) == (0 if weight == 0 else 1)
    assert run.read() == Route(100 - weight, weight)
    assert run.set(weight) == 0
    assert run.reconcile() == 0, "repairing keeps the weight"


def divided(total: str) -> Obj:
    """The user's Ingress, that names how many parts traffic is divided in."""
    return ingress(annotations={f"{P}/canary-weight-total": total})


@pytest.mark.parametrize("total, raw", [("1000", "300"), ("100", "30"), ("50", "30"), ("0", "30"), ("many", "30")])
def test_a_weight_is_its_share_of_the_total_that_the_user_names(total: str, raw: str) -> None:
    """Where each percentage is a whole number of parts; else it is percent, as with no total, and no total is left."""
    run = RouterRun(source=divided(total))
    run.reconcile()
    run.set(30)
    named = {f"{P}/canary-weight-total": total} if total == "1000" else {}
    assert run.annotations == {f"{P}/canary": "true", f"{P}/canary-weight": raw, **named}
    assert run.read() == Route(70, 30) and run.reconcile() == 0 and run.set(30) == 0


def test_another_total_in_the_middle_of_a_release_moves_nobody() -> None:
    """The weight is written anew as another number of parts, in the same write."""
    run = RouterRun()
    run.reconcile()
    run.set(30)
    for total, raw in (("1000", "300"), ("10000", "3000"), (None, "30")):
        run.cluster.objects[SOURCE]["metadata"]["annotations"] = {f"{P}/canary-weight-total": total} if total else {}
        assert run.reconcile() == 1 and run.read() == Route(70, 30)
        assert run.annotations[f"{P}/canary-weight"] == raw
        assert run.annotations.get(f"{P}/canary-weight-total") == total
        assert run.reconcile() == 0


def test_a_total_that_somebody_gave_to_ours_is_read_as_it_is_and_taken_away() -> None:
    """30 of 1000 parts are what visitors get by then: three percent, which are kept."""
    run = RouterRun()
    run.reconcile()
    run.set(30)
    run.ours["metadata"]["annotations"][f"{P}/canary-weight-total"] = "1000"
    assert run.read() == Route(97, 3)
    assert run.reconcile() == 1 and run.read() == Route(97, 3)
    assert f"{P}/canary-weight-total" not in run.annotations
    run.ours["metadata"]["annotations"] |= {f"{P}/canary-weight-total": "1000", f"{P}/canary-weight": "305"}
    found = run.read()
    assert isinstance(found, Problem) and "'305', which is not a whole percentage of 1000" in found.text
    assert run.reconcile() == 1 and run.read() == ALL_PRIMARY


def test_only_annotations_change() -> None:
    """The rules of our Ingress are not touched by a weight."""
    run = RouterRun()
    run.reconcile()
    before = copy.deepcopy(run.ours["spec"])
    run.set(50)
    assert run.ours["spec"] == before


@pytest.mark.parametrize("text", ["fifty", "-1", "101", "1.5", "", "٣", "1e1"])
def test_a_weight_that_is_none(text: str) -> None:
    """Somebody else writes to our Ingress: told, not guessed."""
    run = RouterRun()
    run.reconcile()
    run.ours["metadata"]["annotations"][f"{P}/canary-weight"] = text
    found = run.read()
    assert isinstance(found, Problem) and found.fault is Fault.CLUSTER
    assert "web-canary.test" in found.text and repr(text) in found.text and found.todo


@pytest.mark.parametrize("lost", [f"{P}/canary", f"{P}/canary-weight"])
def test_a_mark_that_was_taken_away(lost: str) -> None:
    """Without either of them all visitors are on the primary."""
    run = RouterRun()
    run.reconcile()
    run.set(50)
    del run.ours["metadata"]["annotations"][lost]
    assert run.read() == ALL_PRIMARY


# Drift --------------------------------------------------------------------------------------------------------------

DRIFT: dict[str, Any] = {
    "a rule taken away": lambda obj: obj["spec"].update(rules=[]),
    "another backend": lambda obj: obj["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="x"),
    "another class": lambda obj: obj["spec"].update(ingressClassName="other"),
    "a default backend": lambda obj: obj["spec"].update(defaultBackend={"service": {"name": "x"}}),
    "a label taken away": lambda obj: obj["metadata"].update(labels={}),
    "the mark taken away": lambda obj: obj["metadata"]["annotations"].pop(f"{P}/canary"),
}


@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_mended_and_the_weight_kept(what: str) -> None:
    """In one write; the live weight is what the visitors have."""
    run = RouterRun(source=ingress(labels={"team": "a"}))
    run.reconcile()
    run.set(30)
    good = copy.deepcopy(run.ours)
    run.cluster.objects[OURS] = copy.deepcopy(good)
    DRIFT[what](run.ours)
    assert run.reconcile() == 1
    for part in ("spec", "metadata"):
        assert {**run.ours[part], "resourceVersion": ""} == {**good[part], "resourceVersion": ""}
    assert run.read() == Route(70, 30)
    assert run.reconcile() == 0


def test_what_others_added_stays() -> None:
    """Annotations and labels of other controllers."""
    run = RouterRun()
    run.reconcile()
    run.ours["metadata"]["annotations"]["other.example/x"] = "y"
    run.ours["metadata"]["labels"] = {"other": "z"}
    assert run.reconcile() == 0
    run.set(10)
    assert run.annotations["other.example/x"] == "y"


def test_a_change_of_the_users_ingress_is_followed() -> None:
    """A new host, a new path: the canary is there too, at the weight of now."""
    run = RouterRun()
    run.reconcile()
    run.set(20)
    source = run.cluster.objects[Ref("networking.k8s.io/v1", "Ingress", "test", "web")]
    source["spec"]["tls"] = [{"hosts": ["web.example"], "secretName": "tls"}]
    source["metadata"]["annotations"] = {"new": "one"}
    assert run.reconcile() == 1
    assert run.ours["spec"]["tls"] == source["spec"]["tls"] and run.annotations["new"] == "one"
    del source["spec"]["tls"]
    assert run.reconcile() == 1
    assert "tls" not in run.ours["spec"] and run.read() == Route(80, 20)


# A/B ----------------------------------------------------------------------------------------------------------------

RULES: dict[str, tuple[list[dict[str, Any]], dict[str, str]]] = {
    "a header with a value": (
        [{"headers": {"X-Canary": {"exact": "insider"}}}],
        {"canary-by-header": "X-Canary", "canary-by-header-value": "insider"},
    ),
    "a header with a pattern": (
        [{"headers": {"User-Agent": {"regex": ".*Firefox.*"}}}],
        {"canary-by-header": "User-Agent", "canary-by-header-pattern": ".*Firefox.*"},
    ),
    "a cookie": ([{"headers": {"cookie": {"exact": "canary"}}}], {"canary-by-cookie": "canary"}),
    "a cookie spelt otherwise": ([{"headers": {"Cookie": {"exact": "canary"}}}], {"canary-by-cookie": "canary"}),
    "a header and a cookie": (
        [{"headers": {"x": {"exact": "y"}}}, {"headers": {"cookie": {"exact": "c"}}}],
        {"canary-by-header": "x", "canary-by-header-value": "y", "canary-by-cookie": "c"},
    ),
    "the same twice": (
        [{"headers": {"x": {"exact": "y"}}}, {"headers": {"x": {"exact": "y"}}}],
        {"canary-by-header": "x", "canary-by-header-value": "y"},
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_rules_are_annotations(case: str) -> None:
    """Weight 0 beside them, so that nobody else is sent to the canary; taken away again with the route."""
    match, wanted = RULES[case]
    run = RouterRun(split_by(*match))
    run.reconcile()
    assert run.set(100) == 1
    assert run.annotations == {
        f"{P}/canary": "true",
        f"{P}/canary-weight": "0",
        **{f"{P}/{key}": text for key, text in wanted.items()},
    }
    assert run.read() == ALL_CANARY
    assert run.set(100) == 0 and run.reconcile() == 0
    assert run.set(0) == 1
    assert run.annotations == {f"{P}/canary": "true", f"{P}/canary-weight": "0"}
    assert run.read() == ALL_PRIMARY


UNSAID: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a prefix": ([{"headers": {"x": {"prefix": "y"}}}], "headers.x"),
    "a suffix": ([{"headers": {"x": {"suffix": "y"}}}], "headers.x"),
    "a pattern of a cookie": ([{"headers": {"cookie": {"regex": "a.*"}}}], "headers.cookie"),
    "a query parameter": ([{"queryParams": {"a": {"exact": "b"}}}], "queryParams"),
    "source labels": ([{"sourceLabels": {"app": "x"}}], "sourceLabels"),
    "two headers": ([{"headers": {"x": {"exact": "1"}, "y": {"exact": "1"}}}], "headers.y"),
    "two values": ([{"headers": {"x": {"exact": "1"}}}, {"headers": {"x": {"exact": "2"}}}], "headers.x"),
    "two cookies": (
        [{"headers": {"cookie": {"exact": "1"}}}, {"headers": {"cookie": {"exact": "2"}}}],
        "headers.cookie",
    ),
    "nothing": ([{}], "spec.analysis.match"),
}


@pytest.mark.parametrize("case", UNSAID)
def test_what_annotations_cannot_say_is_refused(case: str) -> None:
    """With its path; no rule is silently left out, which would send the wrong visitors."""
    match, path = UNSAID[case]
    run = RouterRun(split_by(*match))
    run.reconcile()
    found = ROUTER.set(run.canary, run.live, ALL_CANARY, OPTIONS)
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST
    assert path in found.path and found.path in found.text and found.todo
    assert run.read() == ALL_PRIMARY


def test_everyone_means_everyone() -> None:
    """After a failed promotion the proved canary serves all visitors, rules or not."""
    run = RouterRun(split_by({"headers": {"x": {"exact": "y"}}}))
    run.reconcile()
    run.set(100)
    assert run.set(100, everyone=True) == 1
    assert run.annotations == {f"{P}/canary": "true", f"{P}/canary-weight": "100"}
    assert run.read() == ALL_CANARY


def test_rules_left_standing_when_everyone_was_owed_the_canary() -> None:
    """The status says 100, the rules give it a few: that is not yet all of them."""
    run = RouterRun(split_by({"headers": {"x": {"exact": "y"}}}, status={"phase": "Failed", "canaryWeight": 100}))
    run.reconcile()
    run.set(100)
    assert run.read() == ALL_PRIMARY


# What is wrong ------------------------------------------------------------------------------------------------------


def test_no_ingress_is_named() -> None:
    """Told by its path; nothing is read."""
    run = RouterRun(canary(ingressRef=None))
    assert ROUTER.reads(run.canary, OPTIONS) == () and run.read() is None
    assert run.problem().path == "spec.ingressRef"
    assert ROUTER.set(run.canary, {}, ALL_PRIMARY, OPTIONS) == ()


def test_the_ingress_is_not_there() -> None:
    """In the words of an API server, with what to do."""
    run = RouterRun(source=ingress(name="other"))
    found = run.problem()
    assert found.text == 'ingress web.test get query error: ingresses.networking.k8s.io "web" not found'
    assert found.path == "spec.ingressRef" and "Create ingress web" in found.todo


def test_the_ingress_leads_elsewhere() -> None:
    """No path of it goes to the apex Service."""
    found = RouterRun(source=ingress(("/", "other", 80))).problem()
    assert found.text == "backend web not found in ingress web" and found.path == "spec.ingressRef"


@pytest.mark.parametrize(
    "port, service, ok",
    [
        (80, {}, True),
        (81, {}, False),
        ("http", {}, True),
        ("web", {}, False),
        ("web", {"portName": "web"}, True),
        (9898, {"port": 9898}, True),
        (9898, {"portDiscovery": True}, True),
    ],
)
def test_the_port_that_visitors_use(port: Any, service: dict[str, Any], ok: bool) -> None:
    """One that the Service does not have gives 503s and no metrics; that is told before the first release."""
    run = RouterRun(canary(service=service), ingress(("/", "web", port)))
    if ok:
        assert run.reconcile() == 1
        return
    found = run.problem()
    path, has = ("spec.service.portName", "http") if isinstance(port, str) else ("spec.service.port", "80")
    assert f"sends to port {port}" in found.text and f"{path} is {has}" in found.text
    assert "503" in found.text and f"{path} to {port}" in found.todo and found.path == path


@pytest.mark.parametrize(
    "paths, further, wrong",
    [
        ((("/", "web", 80), ("/admin", "web", 9000)), (), "/admin"),
        ((("/admin", "web", "admin"), ("/", "web", "http")), (), "/admin"),
        ((("/", "web", 80), ("/admin", "web", 9000)), ({"name": "admin", "port": 9000},), ""),
        ((("/", "web", 80), ("/admin", "web", "admin")), ({"name": "admin", "port": 9000},), ""),
        ((("/", "web", 80), ("/other", "api", 9000)), (), ""),
    ],
)
def test_every_path_needs_its_port(paths: Any, further: Any, wrong: str) -> None:
    """One right path does not help visitors of another one; paths to other Services are not judged."""
    run = RouterRun(canary(service={"ports": list(further)}), ingress(*paths))
    if not wrong:
        assert run.reconcile() == 1
        return
    found = run.problem()
    assert f"visitors of web.example{wrong} get 503" in found.text and "spec.service.ports" in found.todo


def test_a_route_without_our_ingress() -> None:
    """All on the primary is what is there; anything else has to wait for it."""
    run = RouterRun()
    assert run.set(0) == 0
    found = ROUTER.set(run.canary, run.live, Route(90, 10), OPTIONS)
    assert isinstance(found, Problem) and "ingress web-canary does not exist" in found.text


def test_ours_is_taken_away_at_the_end() -> None:
    """Before the Services that it leads to, in the middle of a release as well; the user's was never touched."""
    run = RouterRun()
    run.reconcile()
    run.set(50)
    before = run.live[Ref("networking.k8s.io/v1", "Ingress", "test", "web")]
    assert run.cluster.write(ROUTER.finalize(run.canary, run.live, OPTIONS)) == 1
    assert [obj for obj in run.live.values() if obj is not None] == [before]
    assert ROUTER.finalize(run.canary, run.live, OPTIONS) == ()


# Testers and further ports ------------------------------------------------------------------------------------------

TESTERS = {"testers": [{"headers": {"x-tester": {"exact": "yes"}}}, {"headers": {"cookie": {"exact": "beta"}}}]}


def test_testers_are_pinned_while_the_weight_ramps() -> None:
    """Their header leads to the canary at every weight over 0, and nobody is left there when it ends."""
    run = RouterRun(canary(analysis=TESTERS))
    run.reconcile()
    for weight in (10, 30):
        assert run.set(weight) == 1 and run.read() == Route(100 - weight, weight)
        annotations = run.ours["metadata"]["annotations"]
        assert annotations[f"{P}/canary-by-header"] == "x-tester" and annotations[f"{P}/canary-by-cookie"] == "beta"
        assert run.reconcile() == 0 and run.set(weight) == 0
    run.set(0)
    assert run.read() == ALL_PRIMARY
    assert not [key for key in run.ours["metadata"]["annotations"] if "canary-by" in key]


def test_testers_that_annotations_cannot_say_are_a_problem() -> None:
    """With the path of the field they were written in."""
    run = RouterRun(canary(analysis={"testers": [{"headers": {"x-tester": {"prefix": "y"}}}]}))
    run.reconcile()
    found = ROUTER.set(run.canary, run.live, Route(90, 10), OPTIONS)
    assert isinstance(found, Problem) and found.path == "spec.analysis.testers[0].headers.x-tester"


@pytest.mark.parametrize("port, fine", [(9000, True), ("grpc", True), (9001, False)])
def test_an_ingress_may_send_to_any_of_the_ports(port: int | str, fine: bool) -> None:
    """Only a port that the Services lack is a mismatch."""
    of = canary(service={"ports": [{"name": "grpc", "port": 9000}]})
    found = ROUTER.reconcile(of, RouterRun(of, ingress(("/", "web", port))).live, OPTIONS)
    assert isinstance(found, Problem) is not fine
