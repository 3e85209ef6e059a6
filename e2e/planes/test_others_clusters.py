"""Set-ups of users that a Canary meets, visited on Envoy all the while: nobody fails, and what is theirs stays.

All are played by HTTPProxies and HTTPRoutes, on the definitions that Flagger's chart leaves behind: they drop every
field of a status that they do not name.
"""

from __future__ import annotations

import json
import runpy
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from e2e import apps
from e2e.environment import Environment, until
from e2e.planes import others
from e2e.planes.apps import ADMIN, NEW, OLD, OTHER, host
from e2e.planes.gates import Gates
from e2e.planes.others import APPS_NAMESPACE, CONTOUR, GATEWAY, OUTSIDE, ROUTES, SECOND_HOST, Setup
from e2e.planes.proxies import NAMESPACE, Proxies
from e2e.planes.release import Release, settle
from e2e.stage import ROOT, Stage, manifests
from e2e.visitors import Visitors, asked
from pyflagger.objects import Obj

PER_SECOND = 10.0
VISITS_MIN = 20
TOGETHER = 3
"""Stories that are played at the same time."""

SECONDS_MAX = 120.0
CHECKS_MAX = 1000
"""More than a release makes."""

ONE_LISTENER = '[{"op": "remove", "path": "/spec/listeners/1"}]'
LEGACY_TAG, OTHER_OLD, OTHER_NEW = "9.0.0", "7.0.0", "7.0.1"
DEFINITIONS = runpy.run_path(str(ROOT / "tests" / "stage" / "definitions.py"))
"""What the reference's definition of Canary keeps of a status."""


class Outside(BaseHTTPRequestHandler):
    """A server outside of the cluster, which answers as pods do."""

    def do_GET(self) -> None:
        """Its version is its name."""
        body = b'{"version": "outside"}'
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing: the tests tell what matters."""


@dataclass
class SharedNamespace:
    """The namespace of all set-ups, and the ways in to it."""

    env: Environment
    proxies: Proxies
    gates: Gates
    figure: Callable[[str], None]

    def release(self, setup: Setup) -> Release:
        """What becomes of the app."""
        way = self.proxies.envoy
        return Release(setup.name, self.env, way, self.gates, self.figure, chance=True)

    def visitors(self, setup: Setup, port: str = "", way: str = "") -> Visitors:
        """Visitors of a host of the app, once the proxy knows it."""
        way = way or self.proxies.envoy
        until(lambda: self.answers(setup, port, way), lambda: setup.name, SECONDS_MAX)
        return Visitors(way, host(setup.name, port), PER_SECOND, 1)

    def answers(self, setup: Setup, port: str = "", way: str = "") -> bool:
        """Whether a host of the app does; before its first route a proxy may not even listen."""
        try:
            return asked(way or self.proxies.envoy, host(setup.name, port)).status == HTTPStatus.OK
        except OSError:
            return False

    def begin(self, setup: Setup) -> None:
        """Apply its Canary."""
        self.env.apply(others.canary(setup, self.gates.url))

    def initialized(self, setup: Setup) -> None:
        """Wait until the Canary is, and some seconds longer: by then the target's pods have gone."""
        self.env.wait(setup.name, "Initialized", SECONDS_MAX)
        gone = ("get", "pods", "-l", ",".join(f"{key}={value}" for key, value in setup.selector.items()), "-o", "name")
        until(lambda: not self.env.kubectl(*gone), lambda: setup.name)

    def include(self, setup: Setup) -> None:
        """Have the user's root include the proxy that flagger made, while nobody is counted."""
        if setup.adopted:
            return
        self.patch("httpproxy", f"{setup.name}-root", others.included(setup))
        settle()
        until(lambda: self.answers(setup), lambda: setup.name)

    def patch(self, kind: str, name: str, operations: str) -> None:
        """A JSON patch by the user."""
        self.env.kubectl("patch", kind, name, "--type=json", "-p", operations)

    def condition(self, setup: Setup, kind: str) -> str:
        """Wait until a condition is True; its message."""

        def found() -> str:
            conditions = self.env.status(setup.name).get("conditions") or ()
            held = (one["message"] for one in conditions if one["type"] == kind and one["status"] == "True")
            return next(held, "")

        return until(found, lambda: f"{kind}: {self.env.status(setup.name)}\n{self.env.said(setup.name)}")

    def users(self, kind: str, name: str) -> Obj:
        """What of an object is the user's."""
        found = self.env.get(kind, name)
        return {"spec": found["spec"], **{key: found["metadata"].get(key) for key in ("labels", "annotations")}}

    def more(self, visitors: Visitors) -> None:
        """Wait until some more have come."""
        wanted = visitors.count().total() + VISITS_MIN
        until(lambda: visitors.count().total() >= wanted or visitors.failed, lambda: str(visitors.count()))

    def served(self, story: str, versions: set[str], *crowds: Visitors) -> None:
        """All were, by these versions."""
        came = sum(crowd.count().total() for crowd in crowds)
        failed = [text for crowd in crowds for text in crowd.failed]
        self.figure(f"{story}: {came} visits, {len(failed)} failed")
        assert not failed, failed[:5]
        assert came >= VISITS_MIN and {version for crowd in crowds for version in crowd.count()} == versions


# The stories ---------------------------------------------------------------------------------------------------------


def a_chart_installed_twice(shared: SharedNamespace) -> None:
    """Each app has its own visitors alone: before, during and after the takeover, and while both are released."""
    setups = others.chart(CONTOUR, OLD), others.chart(GATEWAY, OTHER_OLD)
    with shared.visitors(setups[0]) as east, shared.visitors(setups[1]) as west:
        for setup in setups:
            shared.begin(setup)
        for setup in setups:
            shared.initialized(setup)
    for setup in setups:
        shared.include(setup)
    with shared.visitors(setups[0]) as to_east, shared.visitors(setups[1]) as to_west:
        for setup, tag in zip(setups, (NEW, OTHER_NEW), strict=True):
            shared.release(setup).image(tag)
        for setup in setups:
            shared.release(setup).ended("Succeeded")
        shared.more(to_east)
        shared.more(to_west)
    shared.served("several labels, httpproxy", {OLD, NEW}, east, to_east)
    shared.served("several labels, httproute", {OTHER_OLD, OTHER_NEW}, west, to_west)


def a_port_that_leads_nowhere(way: str, shared: SharedNamespace) -> None:
    """Not taken over until the Canary names one that is there; a release that renames it is refused."""
    setup = others.ported(way)
    release, before = shared.release(setup), shared.users("service", setup.name)
    with shared.visitors(setup) as first:
        shared.begin(setup)
        text = shared.condition(setup, "Blocked")
        shared.more(first)
        assert "spec.service.targetPort" in text and "9898 (web)" in text, text
        assert shared.users("service", setup.name) == before
        shared.patch("canary", setup.name, _replaced(("/spec/service/targetPort", "web")))
        shared.initialized(setup)
    shared.include(setup)
    container = "/spec/template/spec/containers/0"
    renamed = (f"{container}/ports/0/name", "renamed"), (f"{container}/image", f"{apps.IMAGE}:{NEW}")
    with shared.visitors(setup) as second:
        shared.patch("deployment", setup.name, _replaced(*renamed))
        release.until(lambda: release.status.get("phase") == "Failed")
        assert "has a port named web" in shared.condition(setup, "Halted")
        shared.more(second)
    shared.served(f"a port that leads nowhere, {ROUTES[way]}", {OLD}, first, second)
    with shared.visitors(setup) as third:
        shared.patch("deployment", setup.name, _replaced((f"{container}/ports/0/name", "web")))
        release.ended("Succeeded")
        shared.more(third)
    shared.served(f"the port again, {ROUTES[way]}", {OLD, NEW}, third)


def a_primary_that_is_gone(way: str, shared: SharedNamespace) -> None:
    """A bad version is rolled back, once; somebody deletes the primary; the good version that is shipped ends that."""
    setup = others.lost(way)
    release = shared.release(setup)
    shared.begin(setup)
    shared.initialized(setup)
    shared.include(setup)
    with shared.visitors(setup) as before:
        release.begin(OTHER)
        release.ended("Failed")
        shared.more(before)
        assert set(release.status) <= DEFINITIONS["STATUS"]
    shared.served(f"a bad version, {ROUTES[way]}", {OLD, OTHER}, before)
    assert set(release.count(VISITS_MIN)) == {OLD}
    assert shared.env.said(setup.name).count(f"Rolling back {setup.name}") == 1
    shared.env.kubectl("delete", "deployment", f"{setup.name}-primary")
    release.until(lambda: not shared.answers(setup))
    release.let(CHECKS_MAX)
    release.image(NEW)
    with shared.visitors(setup) as after:
        release.ended("Succeeded")
        shared.more(after)
    shared.served(f"a primary that is gone, {ROUTES[way]}", {NEW}, after)
    assert set(release.status) <= DEFINITIONS["STATUS"]


def a_service_given_back(setup: Setup, shared: SharedNamespace) -> None:
    """Both ports serve from before the takeover until after the Canary's end; Service and route are what they were."""
    way = setup.way
    kinds = {"service": setup.name, ROUTES[way]: setup.root}
    before = {kind: shared.users(kind, name) for kind, name in kinds.items()}
    hosts = ("", ADMIN, *([SECOND_HOST] if way == GATEWAY else []))
    with ExitStack() as stack:
        crowds = [stack.enter_context(shared.visitors(setup, port)) for port in hosts]
        shared.begin(setup)
        shared.initialized(setup)
        shared.release(setup).image(NEW)
        shared.release(setup).ended("Succeeded")
        shared.env.kubectl("delete", "canary", setup.name, "--timeout=60s")
        primary = ("get", "deployment", f"{setup.name}-primary", "--ignore-not-found", "-o", "name")
        until(lambda: not shared.env.kubectl(*primary), lambda: setup.name)
        for crowd in crowds:
            shared.more(crowd)
    what = "a Service and a route" if setup.taken else "a Service"
    shared.served(f"{what} given back, {ROUTES[way]}", {OLD, NEW}, *crowds)
    assert {kind: shared.users(kind, name) for kind, name in kinds.items()} == before


def a_proxy_left_to_the_user(shared: SharedNamespace) -> None:
    """The HTTPProxy that flagger made serves on when the Canary goes; it is the user's then."""
    setup = others.left()
    shared.begin(setup)
    shared.initialized(setup)
    shared.include(setup)
    with shared.visitors(setup) as visitors:
        shared.env.kubectl("delete", "canary", setup.name, "--timeout=60s")
        primary = ("get", "deployment", f"{setup.name}-primary", "--ignore-not-found", "-o", "name")
        until(lambda: not shared.env.kubectl(*primary), lambda: setup.name)
        shared.more(visitors)
    shared.served("a proxy left to the user, httpproxy", {OLD}, visitors)
    assert not shared.users("httpproxy", setup.name)["annotations"]


def a_service_that_leads_elsewhere(env: str, way: str, shared: SharedNamespace) -> None:
    """Blocked before any write: its visitors get what they got before."""
    setup = others.elsewhere(env, way)
    kinds = {"service": "", ROUTES[way]: "-root"}
    before = {kind: shared.users(kind, setup.name + end) for kind, end in kinds.items()}
    with shared.visitors(setup) as visitors:
        shared.begin(setup)
        text = shared.condition(setup, "Blocked")
        shared.more(visitors)
    assert "Create another Service that selects the target's pods" in text
    shared.served(f"{env}, {ROUTES[way]}", {"outside" if env == "outside" else LEGACY_TAG}, visitors)
    assert {kind: shared.users(kind, setup.name + end) for kind, end in kinds.items()} == before
    assert not shared.env.kubectl("get", "deployment", f"{setup.name}-primary", "--ignore-not-found", "-o", "name")


def a_proxy_with_tls(shared: SharedNamespace) -> None:
    """Adopted: of the user's proxy the weights alone change, and visitors by TLS get their answers all along."""
    setup = others.secured()
    root, release = f"{setup.name}-root", shared.release(setup)
    before = shared.users("httpproxy", root)["spec"]["virtualhost"]
    with shared.visitors(setup, way=shared.proxies.secure) as visitors:
        shared.begin(setup)
        shared.initialized(setup)
        release.image(NEW)
        release.ended("Succeeded")
        shared.more(visitors)
    shared.served("a virtual host with TLS, httpproxy", {OLD, NEW}, visitors)
    assert shared.users("httpproxy", root)["spec"]["virtualhost"] == before and before["tls"]


def _replaced(*changes: tuple[str, str]) -> str:
    return json.dumps([{"op": "replace", "path": path, "value": value} for path, value in changes])


Story = Callable[[SharedNamespace], object]
STORIES: Mapping[str, Story] = {
    "several-labels": a_chart_installed_twice,
    **{f"ports-{way}": partial(a_port_that_leads_nowhere, way) for way in (CONTOUR, GATEWAY)},
    **{f"lost-{way}": partial(a_primary_that_is_gone, way) for way in (CONTOUR, GATEWAY)},
    **{f"back-{way}": partial(a_service_given_back, others.back(way)) for way in (CONTOUR, GATEWAY)},
    f"taken-{GATEWAY}": partial(a_service_given_back, others.back(GATEWAY, taken=True)),
    **{
        f"{kind}-{way}": partial(a_service_that_leads_elsewhere, kind, way)
        for kind in ("outside", "byhand")
        for way in (CONTOUR, GATEWAY)
    },
    "tls-contour": a_proxy_with_tls,
    f"left-{CONTOUR}": a_proxy_left_to_the_user,
}


# Where they play -----------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> Obj:
    """A Secret with a certificate that nobody vouches for."""
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*words, "-keyout", key, "-out", cert], check=True, capture_output=True)
    data = {"tls.key": key.read_text(), "tls.crt": cert.read_text()}
    head = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls"}
    return {**head, "metadata": {"name": name}, "stringData": data}


def create_objects(env: Environment, port: int, listener: Obj) -> None:
    """Everything that is there before any Canary; Contour's Gateway gets a second listener."""
    secure = json.dumps([{"op": "add", "path": "/spec/listeners/-", "value": listener}])
    plain = [others.chart(CONTOUR, OLD), others.chart(GATEWAY, OTHER_OLD)]
    plain += [setup(way) for setup in (others.ported, others.lost, others.back) for way in (CONTOUR, GATEWAY)]
    plain += [others.back(GATEWAY, taken=True), others.left()]
    legacy, secured = Setup("legacy", LEGACY_TAG), others.secured()
    env.apply(others.deployment(legacy), *(each for setup in plain for each in _of(setup)))
    secret = certificate(env.stage.folder, secured.name)
    env.stage.apply(secret | {"metadata": {"name": secured.name, "namespace": NAMESPACE}})
    env.stage.kubectl("-n", NAMESPACE, "patch", "gateway", "contour", "--type=json", "-p", secure)
    env.apply(secret, others.deployment(secured), others.service(secured), others.route(secured, tls=secured.name))
    for way in (CONTOUR, GATEWAY):
        setup = others.elsewhere("outside", way)
        env.apply(others.deployment(setup), others.outside(setup.name, port), others.route(setup, number=port))
    address = until(lambda: env.kubectl("get", "pods", "-l", "app=legacy", "-o", "jsonpath={.items[*].status.podIP}"))
    for way in (CONTOUR, GATEWAY):
        setup = others.elsewhere("byhand", way)
        env.apply(others.deployment(setup), *others.by_hand(setup.name, address), others.route(setup))


def _of(setup: Setup) -> tuple[Obj, ...]:
    return others.deployment(setup), others.service(setup), *others.routes(setup)


@pytest.fixture(scope="module")
def shared(stage: Stage, proxies: Proxies, gates: Gates, figure: Callable[[str], None]) -> Iterator[SharedNamespace]:
    """All set-ups, on the definitions of the reference; ours are put back in the end."""
    server = ThreadingHTTPServer((OUTSIDE, 0), Outside)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stage.define(*DEFINITIONS["reference"]())
    env = Environment(stage, APPS_NAMESPACE)
    try:
        env.operator("-min-interval", "1s", "-ingress-class", "contour")
        create_objects(env, server.server_address[1], proxies.listener(others.secured().name))
        yield SharedNamespace(env, proxies, gates, figure)
    finally:
        env.close()
        stage.kubectl("-n", NAMESPACE, "patch", "gateway", "contour", "--type=json", "-p", ONE_LISTENER, check=False)
        stage.apply(*manifests("crds"))
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def played(shared: SharedNamespace, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Any]]]:
    """The stories that this run asks for, some at a time."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    names = [str(item.callspec.params["name"]) for item in items if item.path == request.path]
    with ThreadPoolExecutor(TOGETHER) as pool:
        yield {name: pool.submit(STORIES[name], shared) for name in names}


@pytest.mark.parametrize("name", STORIES)
def test_what_users_have_serves_all_along(name: str, played: Mapping[str, Future[Any]]) -> None:
    """The docstring of each story says what it shows."""
    played[name].result()
