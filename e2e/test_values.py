"""Values of Canaries before a real API server: flagger refuses beforehand what the server refuses, and nothing else.

Routes are rendered as `unsayable` renders them and sent with `dryRun=All`: no operator runs, and nothing is stored.
Values that only a webhook or a proxy refuses are in tests/routing/test_accepted.py.
"""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from e2e.environment import Environment, until
from e2e.faults import releases
from e2e.stage import Stage
from e2e.test_schemas import CANARIES, NEEDS, RULED, STEPS, serve
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.parse import parse_canary
from pyflagger.api.validate import validate
from pyflagger.objects import Obj, Ref, Resource, merge_apply
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.registry import PROVIDERS, known_providers
from pyflagger.routing.rehearsal import after, splits, unsayable

GATEWAY_API, ISTIO, CONTOUR = "gatewayapi:v1", "istio", "contour"
ALL = (GATEWAY_API, ISTIO, CONTOUR, "appmesh", "smi:v1alpha3", "kuma", "traefik")
Row = tuple[str, Obj]


def service(provider: str, field: str, *values: Any) -> list[Row]:
    """One field of `spec.service`, for each of these values."""
    return [(provider, {"service": {field: value}}) for value in values]


def ruled(provider: str, *matches: list[Obj]) -> list[Row]:
    """A/B with these conditions."""
    return [(provider, {"analysis": {**RULED, "match": match}}) for match in matches]


def header(name: str = "x-beta", **how: str) -> list[Obj]:
    """One condition on a header."""
    return [{"headers": {name: how}}]


def uris(way: str, *texts: str) -> list[list[Obj]]:
    """Matches of a path."""
    return [[{"uri": {way: text}}] for text in texts]


def numbered(count: int) -> Obj:
    """So many headers."""
    return {f"x-{at}": "a" for at in range(count)}


PATHS = ("/", "/api/", "api", "/a b", "/a//b", "/a/../b", "/a/.", "/ä", "/a%2fb", "/a%zz", "/a%20b", "/a?b", "/a{b}")
REF = {"name": "gw"}
BACKEND = {"backendRef": {"name": "a", "port": 80}}

ROWS: list[Row] = [
    *service(
        GATEWAY_API, "hosts", ["a.example"], ["A.example"], ["*.example"], ["*"], ["a_b"], ["a:80"], ["a..b"], [""]
    ),
    *service(GATEWAY_API, "hosts", ["-a.example"], ["a" * 254], [f"h{at}" for at in range(17)]),
    *service(GATEWAY_API, "timeout", "15s", "1m30s", "0s", "0", "1.5s", "500us", "100000s", "1ms1s", "1h1m1s1ms"),
    *service(GATEWAY_API, "match", *uris("prefix", *PATHS), *uris("exact", *PATHS), *uris("regex", "/a b", "a" * 1025)),
    *service(GATEWAY_API, "match", [{"method": {"exact": "GET"}}], [{"method": {"exact": "get"}}]),
    *service(GATEWAY_API, "match", *([{"headers": {name: {"exact": "a"}}}] for name in ("x-a", "x a", "", ":path"))),
    *service(
        GATEWAY_API, "match", [{"headers": {"x": {"exact": "a" * 4097}}}], [{"queryParams": {"é": {"exact": "a"}}}]
    ),
    *service(GATEWAY_API, "match", *([{"uri": {"prefix": f"/{at}"}} for at in range(count)] for count in (64, 65))),
    *service(GATEWAY_API, "headers", *({"request": {"add": numbered(count)}} for count in (16, 17))),
    *service(GATEWAY_API, "headers", {"response": {"set": {"x a": "b"}}}, {"response": {"set": {"x": ""}}}),
    *service(GATEWAY_API, "headers", {"request": {"set": {"x": 1}}}, {"request": {"set": {"x": "a" * 4097}}}),
    *service(GATEWAY_API, "headers", {"request": {"remove": ["a", "a"]}}, {"request": {"remove": ["a", "A"]}}),
    *service(GATEWAY_API, "rewrite", {"uri": "/x"}, {"uri": "/" * 1025}, {"authority": "a:80"}, {"authority": "a.b"}),
    *service(
        GATEWAY_API, "corsPolicy", {"allowOrigin": ["*"]}, {"allowOrigin": ["a.example"]}, {"allowMethods": ["get"]}
    ),
    *service(
        GATEWAY_API, "corsPolicy", {"allowOrigin": ["https://*.a.example:443"]}, {"allowOrigin": ["*", "https://a"]}
    ),
    *service(GATEWAY_API, "corsPolicy", {"allowMethods": ["GET", "*"]}, {"allowMethods": ["GET", "GET"]}),
    *service(GATEWAY_API, "corsPolicy", {"allowHeaders": ["x a"]}, {"exposeHeaders": ["a" * 257]}, {"maxAge": "24h"}),
    *service(GATEWAY_API, "corsPolicy", {"maxAge": "500ms"}, {"allowHeaders": [f"h{at}" for at in range(65)]}),
    *service(GATEWAY_API, "gatewayRefs", [REF, REF], [REF, REF | {"namespace": "y"}], [REF | {"namespace": "a.b"}]),
    *service(GATEWAY_API, "gatewayRefs", [REF, REF | {"sectionName": "a"}], [REF | {"sectionName": "A"}]),
    *service(GATEWAY_API, "gatewayRefs", [REF | {"sectionName": "a"}, REF | {"sectionName": "b"}]),
    *service(GATEWAY_API, "gatewayRefs", [REF | {"kind": "a b"}], [REF | {"group": "a b"}], [REF | {"namespace": ""}]),
    *service(GATEWAY_API, "mirror", [BACKEND], [{}], [{"backendRef": {"name": "a"}}], [BACKEND | {"percent": 101}]),
    *service(GATEWAY_API, "mirror", [BACKEND | {"percent": 1, "fraction": {"numerator": 1}}], [BACKEND] * 17),
    *service(GATEWAY_API, "mirror", [BACKEND | {"fraction": {"numerator": 2, "denominator": 1}}]),
    *(
        (GATEWAY_API, {"service": {"timeout": most, "backendTimeout": each}})
        for most, each in (("1s", "2s"), ("2s", "1s"), ("0s", "5s"), ("1m", "90s"), ("1s", "1000ms"))
    ),
    *(
        (GATEWAY_API, {"service": {"rewrite": {"uri": "/x", "type": "ReplacePrefixMatch"}, "match": match}})
        for match in ([], *uris("prefix", "/a"), *uris("exact", "/a"), [*uris("prefix", "/a")[0]] * 2)
    ),
    *ruled(GATEWAY_API, header(exact="a"), header(exact=""), header(exact="a" * 4097), header("x" * 257, exact="a")),
    *ruled(GATEWAY_API, header(exact="a") * 16, header(exact="a") * 65, [{"queryParams": {"a b": {"exact": "a"}}}]),
    (GATEWAY_API, {"analysis": {**STEPS, "sessionAffinity": {"cookieName": "ck", "path": "/" + "a" * 4100}}}),
    (
        GATEWAY_API,
        {
            "service": {"headers": {"response": {"add": numbered(16)}}},
            "analysis": {**STEPS, "sessionAffinity": {"cookieName": "ck"}},
        },
    ),
    *service(
        ISTIO,
        "retries",
        {"attempts": 0, "perTryTimeout": None, "retryOn": None},
        {"attempts": 2, "perTryTimeout": "500us"},
    ),
    *service(ISTIO, "corsPolicy", {"allowOrigins": [{"exact": "https://a"}], "unmatchedPreflights": "IGNORE"}),
    *service(ISTIO, "timeout", "15s", "0s", "500us", "1h", "5"),
    *service(
        ISTIO, "match", [{"uri": "/"}], [{"uri": {"exact": "a", "prefix": "b"}}], [{"port": "80"}], [{"port": 80}]
    ),
    *service(
        ISTIO, "match", [{"uri": {"suffix": "a"}}], [{"ignoreUriCase": "yes"}], [{"uri": {"exact": 1}}], [{"port": -1}]
    ),
    *service(ISTIO, "headers", {"request": {"set": {"x": 1}}}, {"request": {"remove": "x"}}, {"request": []}),
    *service(ISTIO, "corsPolicy", {"allowOrigins": [{"exact": "a", "regex": "b"}]}, {"allowMethods": "GET"}),
    *service(ISTIO, "corsPolicy", {"allowCredentials": "true"}, {"maxAge": "1d"}, {"maxAge": "24h"}),
    *(
        row
        for policy in (
            {"tls": {"mode": "DISABLE"}},
            {"tls": {"mode": "NOPE"}},
            {"loadBalancer": {"simple": "LEAST_REQUEST"}},
            {"loadBalancer": {"simple": "X"}},
            {"loadBalancer": {"simple": "RANDOM", "consistentHash": {"useSourceIp": True}}},
            {"loadBalancer": {"consistentHash": {"httpHeaderName": "a", "useSourceIp": True}}},
            {"loadBalancer": {"consistentHash": {"httpCookie": {"ttl": "0s"}}}},
            {"loadBalancer": {"consistentHash": {"httpCookie": {"name": "a", "ttl": "0s"}}}},
            {"connectionPool": {"http": {"http1MaxPendingRequests": "a"}}},
            {"connectionPool": {"http": {"http1MaxPendingRequests": 1, "h2UpgradePolicy": "UPGRADE"}}},
            {"connectionPool": {"tcp": {"connectTimeout": "30"}}},
            {"connectionPool": {"tcp": {"connectTimeout": "30ms", "tcpKeepalive": {"probes": -1}}}},
            {"outlierDetection": {"interval": "0s"}},
            {"outlierDetection": {"consecutive5xxErrors": 5, "baseEjectionTime": "30s", "interval": "1m"}},
            {"portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "NOPE"}}]},
        )
        for row in service(ISTIO, "trafficPolicy", policy)
    ),
    *service(CONTOUR, "timeout", "15s", "0", "1d", "abc", ".5s"),
    *service(CONTOUR, "retries", {"retryOn": "5xx"}, {"retryOn": "gateway-error, reset"}, {"perTryTimeout": "1d"}),
    *ruled(CONTOUR, header(exact="a"), header(regex="a.*"), [{"queryParams": {"v": {"exact": "a"}}}]),
    *(row for provider in ALL for row in service(provider, "hosts", ["a.example"])),
]


def shown(row: Row) -> str:
    """A row as the name of a test."""
    return f"{row[0]} {json.dumps(row[1], default=str)}"[:90]


@pytest.fixture(scope="module")
def env(stage: Stage) -> Iterator[Environment]:
    """One namespace. Nothing is stored in it."""
    made = Environment(stage, "values")
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("row", ROWS, ids=shown)
def test_flagger_refuses_what_the_server_refuses(row: Row, env: Environment) -> None:
    """The server's answers to every route of a release, against the problems that flagger finds without it."""
    provider, fields = row
    router, options = PROVIDERS[provider], RoutingOptions()
    serve(env.stage, *(kind.full_name for kind in router.kinds if kind.group))
    canary = made_of(provider, fields, env.namespace)
    live: dict[Ref, Obj | None] = dict.fromkeys(router.reads(canary, options))
    able, known = router.capabilities, known_providers()
    problems = validate(canary, provider=provider, capabilities=able, known_providers=known)
    problems += unsayable(router, canary, live, options)
    told, answers = [problem.text for problem in problems], answered(env, canary, live)
    assert bool(told) == bool(answers), f"flagger: {told}; server: {answers}"
    assert all(problem.path and problem.todo for problem in problems)


def made_of(provider: str, fields: Obj, namespace: str) -> Canary:
    """A Canary with these fields, as the server would give it."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    base = {"provider": provider, "targetRef": target, "service": {"port": 80}, "analysis": STEPS}
    metadata = {"name": "web", "namespace": namespace, "uid": "u", "generation": 1, "resourceVersion": "1"}
    spec = merge_apply(merge_apply(base, NEEDS[provider]), fields)
    return parse_canary({"apiVersion": CANARIES.api_version, "kind": "Canary", "metadata": metadata, "spec": spec})


def answered(env: Environment, canary: Canary, live: Mapping[Ref, Obj | None]) -> list[str]:
    """What the server says against the routes, at the beginning and at each split of a release."""
    router, options = PROVIDERS[canary.spec.provider], RoutingOptions()
    made = router.reconcile(canary, live, options)
    assert not isinstance(made, Problem), made.text
    stages = [after(live, made)]
    there = {
        ref: obj and {**obj, "metadata": {**obj["metadata"], "resourceVersion": "1"}} for ref, obj in stages[0].items()
    }
    for route in splits(canary):
        writes = router.set(canary, there, route, options)
        assert not isinstance(writes, Problem), writes.text
        stages.append(after(there, writes))
    kinds = {(kind.api_version, kind.kind): kind for kind in router.kinds}
    routes = [(kinds.get((ref.api_version, ref.kind)), obj) for stage in stages for ref, obj in stage.items()]
    return [text for kind, obj in routes if kind and obj for text in refusal(env, kind, obj)]


def refusal(env: Environment, kind: Resource, obj: Obj) -> Iterator[str]:
    """The server's text, if it does not take this new object."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    path = kind.path(env.namespace if kind.namespaced else "", "") + "?dryRun=All&fieldValidation=Strict"
    try:
        env.stage.plane.ask("POST", path, {**obj, "metadata": metadata})
    except urllib.error.HTTPError as error:
        yield json.loads(error.read())["message"]


def test_a_field_that_the_definition_does_not_have(stage: Stage) -> None:
    """The server drops it from each write. Blocked names the field and the object, and accuses nobody."""
    there = Environment(stage, "dropped")
    try:
        serve(stage, *(kind.full_name for kind in PROVIDERS[ISTIO].kinds))
        there.operator("-min-interval", "1s")
        policy = {"loadBalancer": {"simple": "LEAST_REQUEST", "warmup": {"duration": "1s"}}, "tsl": {}}
        spec = {"provider": ISTIO, "ingressRef": None, "service": {"port": 80, "trafficPolicy": policy}}
        for obj in releases.objects("web", there.namespace, releases.GOOD):
            there.apply(merge_apply(obj, {"spec": spec}) if obj["kind"] == "Canary" else obj)
        found = until(lambda: blocked(there), lambda: str(there.status("web")), 30)
        assert "spec.trafficPolicy.tsl of destinationrule web-" in found["message"] and found["reason"] == "Manifest"
    finally:
        there.close()


def blocked(env: Environment) -> Obj | None:
    """The condition of the Canary, while it is set."""
    conditions = env.status("web").get("conditions") or ()
    return next((each for each in conditions if each["type"] == "Blocked" and each["status"] == "True"), None)
