"""Values that the routes of a provider do not accept: found with their path before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from routed import canary, ingress

from pyflagger.api import shapes
from pyflagger.api.canary import Canary
from pyflagger.objects import Obj, Ref, ref_of
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.limits import beyond
from pyflagger.routing.registry import PROVIDERS
from pyflagger.routing.rehearsal import unsayable

GATEWAY = {"gatewayRefs": [{"name": "gateway"}]}
ISTIO, CONTOUR, GLOO, MESH = "istio", "contour", "gloo", "appmesh:v1beta2"
GATEWAY_API, SMI, KUMA, NGINX = "gatewayapi:v1", "smi:v1alpha3", "kuma", "nginx"
RULED: Obj = {"stepWeight": None, "maxWeight": None, "iterations": 5}
SERVICE, MATCH = "spec.service", "spec.analysis.match[0]"
GATEWAYS, CORS = f"{SERVICE}.gatewayRefs", f"{SERVICE}.corsPolicy"


def made(provider: str, service: Obj, analysis: Obj | None = None, **spec: Any) -> Canary:
    """A Canary of this provider."""
    return canary(provider=provider, service={**GATEWAY, **service}, analysis=analysis or {}, **spec)


def ruled(provider: str, *match: Obj, **service: Any) -> Canary:
    """A/B with these conditions."""
    return made(provider, service, {**RULED, "match": list(match)})


def header(name: str = "x-beta", **how: str) -> Obj:
    """A condition on one header."""
    return {"headers": {name: how}}


def told(of: Canary) -> dict[str, str]:
    """The texts of the problems by path, each of which says what to do."""
    router = PROVIDERS[of.spec.provider]
    live: dict[Ref, Obj | None] = dict.fromkeys(router.reads(of, RoutingOptions()))
    if ref_of(ingress()) in live:
        live[ref_of(ingress())] = ingress()
    found = unsayable(router, of, live, RoutingOptions())
    assert all(problem.path in problem.text and problem.todo for problem in found)
    return {problem.path: problem.text for problem in found}


@pytest.mark.parametrize(
    "host",
    [
        *("a_b.example", "shop.example:8080", "a..b", "-a.example", "a-.example", "shop.*", "a.*.example", ""),
        *(f"{'a' * 64}.example", ".".join(["a" * 60] * 5), "10.0.0.0/8", "shop.1", "https://shop.example", "a b"),
    ],
)
def test_hosts_that_istio_does_not_accept(host: str) -> None:
    """Names of DNS without a port; a wildcard only at the beginning."""
    assert list(told(made(ISTIO, {"hosts": ["ok.example", host]}))) == ["spec.service.hosts[1]"]


@pytest.mark.parametrize(
    "host", ["*", "*.example.com", "*-eu.example.com", "Shop.example.com", "shop.example.com.", "10.0.0.1", "fd00::1"]
)
def test_hosts_that_istio_accepts(host: str) -> None:
    """Wildcards, uppercase, a final dot and addresses."""
    assert told(made(ISTIO, {"hosts": [host], "gateways": ["istio-system/public"]})) == {}


@pytest.mark.parametrize(
    ("hosts", "path"),
    [
        (["a.example", "a.example"], f"{SERVICE}.hosts[1]"),
        (["*.example", "a.example"], f"{SERVICE}.hosts[1]"),
        (["a.b.example", "*.b.example"], f"{SERVICE}.hosts[1]"),
        (["*", "a.example"], f"{SERVICE}.hosts[1]"),
        (["*.example", "example", "*.b.other", "a.other"], None),
    ],
)
def test_hosts_that_contain_each_other(hosts: list[str], path: str | None) -> None:
    """Istio rejects them within one VirtualService."""
    assert list(told(made(ISTIO, {"hosts": hosts}))) == ([path] if path else [])


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ({"gateways": ["a/b/c"]}, "gateways[0]"),
        ({"gateways": ["mesh", "public gateway"]}, "gateways[1]"),
        ({"gateways": ["a.b/public"]}, "gateways[0]"),
        ({"timeout": "0s"}, "timeout"),
        ({"timeout": "500us"}, "timeout"),
        ({"timeout": "1.5ms"}, "timeout"),
        ({"retries": {"attempts": 1, "perTryTimeout": "1us"}}, "retries.perTryTimeout"),
        ({"retries": {"attempts": 1, "retryOn": "5xx, reset"}}, "retries.retryOn"),
        ({"retries": {"attempts": 1, "retryOn": "5xx,599"}}, "retries.retryOn"),
        ({"retries": {"perTryTimeout": "1s"}}, "retries.attempts"),
        ({"retries": {"retryOn": "5xx"}}, "retries.attempts"),
        ({"corsPolicy": {"maxAge": "10"}}, "corsPolicy.maxAge"),
        ({"headers": {"request": {"set": {"x a": "1"}}}}, "headers.request.set.x a"),
        ({"headers": {"response": {"add": {"Host": "1"}}}}, "headers.response.add.Host"),
        ({"headers": {"response": {"add": {":path": "1"}}}}, "headers.response.add.:path"),
        ({"headers": {"request": {"set": {"x": "100%"}}}}, "headers.request.set.x"),
        ({"headers": {"request": {"set": {"x": "a\r\nb: c"}}}}, "headers.request.set.x"),
        ({"match": [{"uri": {"regex": "/(?!admin).*"}}]}, "match[0].uri.regex"),
        ({"match": [{"headers": {"x": {"regex": ""}}}]}, "match[0].headers.x.regex"),
        ({"match": [{"uri": {"suffix": ".js"}}]}, "match[0].uri"),
    ],
)
def test_fields_of_the_service_that_istio_does_not_accept(service: Obj, path: str) -> None:
    """Each is named with its path in the Canary."""
    assert list(told(made(ISTIO, service))) == [f"{SERVICE}.{path}"]


NOT_RE2 = ["(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", "(?>a)b", r"(a)\1", "a*+", "a{1001}", r"a\Z", "(a"]


@pytest.mark.parametrize("provider", [ISTIO, CONTOUR, GLOO, MESH])
@pytest.mark.parametrize("pattern", NOT_RE2)
def test_patterns_that_envoy_cannot_compile(provider: str, pattern: str) -> None:
    """Envoy and Go have no lookaround and no backreferences."""
    assert list(told(ruled(provider, header(regex=pattern)))) == [f"{MATCH}.headers.x-beta.regex"]


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "a*+"])
def test_patterns_of_a_gateway_are_not_judged(pattern: str) -> None:
    """The dialect of an HTTPRoute depends on the implementation."""
    assert told(ruled(GATEWAY_API, header(regex=pattern))) == {}


@pytest.mark.parametrize(
    ("of", "path"),
    [
        (made(CONTOUR, {"timeout": "0"}), f"{SERVICE}.timeout"),
        (made(CONTOUR, {"retries": {"attempts": 1, "perTryTimeout": "+1s"}}), f"{SERVICE}.retries.perTryTimeout"),
        (made(CONTOUR, {"match": [{"uri": {"prefix": "api"}}]}), f"{SERVICE}.match[0].uri.prefix"),
        (made(MESH, {"match": [{"uri": {"prefix": "api"}}]}), f"{SERVICE}.match[0].uri.prefix"),
        (ruled(MESH, header("x" * 51, exact="a")), f"{MATCH}.headers.{'x' * 51}"),
        (ruled(MESH, header(exact="a" * 256)), f"{MATCH}.headers.x-beta.exact"),
        (ruled(MESH, header(suffix="")), f"{MATCH}.headers.x-beta.suffix"),
        (ruled(MESH, {"headers": {f"x-{n}": {"exact": "a"} for n in range(11)}}), f"{MATCH}.headers"),
        (ruled(MESH, *[header(exact="a")] * 100), "spec.analysis.match"),
        (made(SMI, {"hosts": ["web:8080"]}), f"{SERVICE}.hosts[0]"),
        (made(SMI, {"hosts": ["a_b"]}), f"{SERVICE}.hosts[0]"),
        (ruled(GATEWAY_API, header("x" * 257, exact="a")), f"{MATCH}.headers.{'x' * 257}"),
        (ruled(GATEWAY_API, {"queryParams": {"a b": {"exact": "a"}}}), f"{MATCH}.queryParams.a b"),
        (ruled(GATEWAY_API, {"queryParams": {"a": {"exact": "a" * 1025}}}), "spec.analysis.match"),
        (made(GATEWAY_API, {"match": [{"uri": {"prefix": "api"}}]}), f"{SERVICE}.match[0].uri.prefix"),
        (made(GATEWAY_API, {"match": [{"uri": {"exact": "/a//b"}}]}), f"{SERVICE}.match[0].uri.exact"),
        (made(GATEWAY_API, {"match": [{"uri": {"prefix": "/a/.."}}]}), f"{SERVICE}.match[0].uri.prefix"),
        (made(GATEWAY_API, {"match": [{"uri": {"prefix": "/a b"}}]}), f"{SERVICE}.match[0].uri.prefix"),
        (made(GATEWAY_API, {"match": [{"uri": {"exact": "/a%zz"}}]}), f"{SERVICE}.match[0].uri.exact"),
        (made(GATEWAY_API, {"match": [{"headers": {"x a": {"exact": "a"}}}]}), f"{SERVICE}.match[0].headers.x a"),
        (made(GATEWAY_API, {"gatewayRefs": [{"name": "gw", "namespace": "a.b"}]}), f"{GATEWAYS}[0].namespace"),
        (made(GATEWAY_API, {"gatewayRefs": [{"name": "gw", "sectionName": ""}]}), f"{GATEWAYS}[0].sectionName"),
        (made(GATEWAY_API, {"gatewayRefs": [{"name": "gw", "group": "a b"}]}), f"{GATEWAYS}[0].group"),
        (made(GATEWAY_API, {"gatewayRefs": [{"name": "gw", "kind": "a b"}]}), f"{GATEWAYS}[0].kind"),
        (made(GATEWAY_API, {"match": [{"uri": {"regex": "a" * 1025}}]}), f"{SERVICE}.match[0].uri.regex"),
        (made(GATEWAY_API, {"match": [{"method": {"exact": "get"}}]}), f"{SERVICE}.match[0].method.exact"),
        (made(GATEWAY_API, {"headers": {"request": {"add": {"x": ""}}}}), f"{SERVICE}.headers.request.add.x"),
        (made(GATEWAY_API, {"headers": {"request": {"add": {"a b": "1"}}}}), f"{SERVICE}.headers.request.add.a b"),
        (made(GATEWAY_API, {"rewrite": {"uri": "/" * 1025}}), f"{SERVICE}.rewrite.uri"),
        (made(GATEWAY_API, {"rewrite": {"authority": "a:80"}}), f"{SERVICE}.rewrite.authority"),
        (made(GATEWAY_API, {"hosts": [".".join(["a" * 60] * 5)]}), f"{SERVICE}.hosts"),
        (ruled(NGINX, header("x|beta", exact="a")), f"{MATCH}.headers.x|beta"),
        (ruled(NGINX, header(exact='a"; return 200')), f"{MATCH}.headers.x-beta.exact"),
        (ruled(NGINX, header(exact="a\nb")), f"{MATCH}.headers.x-beta.exact"),
        (ruled(NGINX, header(exact="a;b")), f"{MATCH}.headers.x-beta.exact"),
        (ruled(NGINX, header("cookie", exact="a$b")), f"{MATCH}.headers.cookie.exact"),
        (ruled(NGINX, header(regex='^a";$')), f"{MATCH}.headers.x-beta.regex"),
        (ruled(NGINX, header(regex="^a\n$")), f"{MATCH}.headers.x-beta.regex"),
        (made(NGINX, {}, {"testers": [header(exact="a;b")]}), "spec.analysis.testers[0].headers.x-beta.exact"),
    ],
)
def test_values_that_other_providers_do_not_accept(of: Canary, path: str) -> None:
    """Each is named once, with its path in the Canary."""
    assert list(told(of)) == [path]


def test_labels_and_meshes() -> None:
    """Labels of Istio's sources, and the mesh of Kuma."""
    found = told(ruled(ISTIO, {"sourceLabels": {"app": "a" * 64}}))
    assert list(found) == [f"{MATCH}.sourceLabels.app"] and "the limit is 63" in found[f"{MATCH}.sourceLabels.app"]
    of = made(KUMA, {})
    of.metadata.annotations["kuma.io/mesh"] = "My Mesh"
    assert list(told(of)) == ["metadata.annotations.kuma.io/mesh"]


@pytest.mark.parametrize(
    "of",
    [
        ruled(
            ISTIO, header("user-agent", regex=".*Firefox.*"), header("cookie", regex="^(.*?;)?(type=insider)(;.*)?$")
        ),
        ruled(ISTIO, {"sourceLabels": {"app.kubernetes.io/name": "ingress-nginx"}}),
        made(
            ISTIO,
            {
                "gateways": ["public-gateway.istio-system.svc.cluster.local", "mesh"],
                "hosts": ["frontend.example.com", "frontend.istio"],
                "headers": {"request": {"add": {"x-some-header": "value", ":authority": "a"}}},
                "corsPolicy": {"allowOrigin": ["example.com"], "allowMethods": ["GET"], "maxAge": "24h"},
                "match": [{"uri": {"prefix": "/"}}, {"headers": {"x": {"regex": "^a{1,3}$"}}}],
                "rewrite": {"uri": "/"},
                "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error,connect-failure,503"},
                "timeout": "3m",
            },
        ),
        made(ISTIO, {"retries": {"attempts": 0}, "headers": {"response": {"set": {"x": "%START_TIME%", "y": "5%%"}}}}),
        made(CONTOUR, {"timeout": "15s", "retries": {"attempts": 3, "perTryTimeout": "5s", "retryOn": "5xx"}}),
        ruled(CONTOUR, header("x-canary", exact="insider"), {"queryParams": {"a": {"exact": "b"}}}),
        ruled(GLOO, header("x-canary", exact="insider"), header("cookie", regex="^(.*?;)?(canary=always)(;.*)?$")),
        ruled(MESH, header("user-agent", regex=".*Firefox.*")),
        ruled(NGINX, header("X-Canary", regex="^insider$"), header("cookie", exact="canary")),
        ruled(NGINX, header("X-Canary", exact="a b")),
        made(GATEWAY_API, {"hosts": ["app.example.com"], "match": [{"uri": {"prefix": "/api/"}}], "timeout": "15s"}),
        made(SMI, {"hosts": ["web.example.com"]}),
        made(KUMA, {}),
    ],
)
def test_examples_of_the_documentation_are_accepted(of: Canary) -> None:
    """Manifests like those of the reference's tutorials."""
    assert told(of) == {}


def test_match_is_ignored_in_a_release_by_weights() -> None:
    """A condition that no route renders is no problem."""
    assert told(made(ISTIO, {}, {"match": [header(regex="(?=a)b")]})) == {}


def test_an_adopted_route_gets_only_weights() -> None:
    """Hosts and times of the Canary are not written into it."""
    ref = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "name": "theirs"}
    assert told(made(ISTIO, {"hosts": ["a_b"]}, routeRef=ref)) == {}


@pytest.mark.parametrize(
    "pattern",
    [
        "^(.*?;)?(canary=always)(;.*)?$",
        "a??",
        "a{2}?",
        "[]a]*",
        "[^]a]",
        "(?i)a",
        "(?P<n>a)",
        "(?i:a)b",
        "(?)a",
        r"\d\.\-",
        "[*+?]",
    ],
)
def test_patterns_of_re2(pattern: str) -> None:
    """Lazy repetition, flags and named groups."""
    assert shapes.re2(pattern) == ""


def test_names_and_annotations_of_generated_objects() -> None:
    """The limits of every object, for each by the field that it is named after."""
    long, large = {"name": "a" * 254}, {"annotations": {"a": "b" * 262144, "gone": None}}
    assert [problem.path for problem in beyond({"kind": "ApisixRoute", "metadata": long})] == ["spec.routeRef.name"]
    assert [problem.path for problem in beyond({"kind": "Ingress", "metadata": large})] == ["spec.ingressRef.name"]
    assert beyond({"kind": "TrafficRoute", "metadata": {"name": "a" * 253, "annotations": {"gone": None}}}) == ()


@pytest.mark.parametrize("provider", ["kuma", "traefik", GATEWAY_API])
def test_the_longest_names_of_further_ports_fit(provider: str) -> None:
    """115 characters of 253."""
    ports = [{"name": "p" * 60, "port": 81, "targetPort": 8081}]
    assert told(made(provider, {"name": "s" * 54, "ports": ports})) == {}


NAMED = {"name": "gw"}
COPIED = {"backendRef": {"name": "copies", "port": 80}}


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ({"timeout": "1s", "backendTimeout": "2s"}, f"{SERVICE}.backendTimeout"),
        ({"timeout": "0s", "backendTimeout": "2s"}, None),
        ({"timeout": "2s", "backendTimeout": "2s"}, None),
        ({"gatewayRefs": [NAMED, NAMED]}, GATEWAYS),
        ({"gatewayRefs": [NAMED, NAMED, NAMED]}, GATEWAYS),
        ({"gatewayRefs": [NAMED, {**NAMED, "sectionName": "a"}]}, GATEWAYS),
        ({"gatewayRefs": [NAMED, {**NAMED, "port": 80}]}, GATEWAYS),
        ({"gatewayRefs": [{**NAMED, "sectionName": "a"}, {**NAMED, "sectionName": "b"}]}, None),
        ({"gatewayRefs": [{**NAMED, "port": 80}, {**NAMED, "port": 81}]}, None),
        ({"gatewayRefs": [NAMED, {**NAMED, "namespace": "other"}]}, None),
        ({"rewrite": {"uri": "/a", "type": "ReplacePrefixMatch"}}, None),
        (
            {"rewrite": {"uri": "/a", "type": "ReplacePrefixMatch"}, "match": [{"uri": {"exact": "/b"}}]},
            f"{SERVICE}.rewrite.type",
        ),
        ({"headers": {"request": {"add": {f"x-{n}": "a" for n in range(17)}}}}, f"{SERVICE}.headers.request.add"),
        ({"headers": {"response": {"remove": ["a", "a"]}}}, f"{SERVICE}.headers.response.remove"),
        ({"mirror": [COPIED] * 16}, None),
        ({"mirror": [COPIED] * 17}, f"{SERVICE}.mirror"),
        ({"mirror": [{"backendRef": {"name": "copies"}}]}, f"{SERVICE}.mirror"),
        ({"mirror": [{"backendRef": {"name": "copies", "kind": "Copier", "group": "x.y"}}]}, None),
        ({"mirror": [{**COPIED, "fraction": {"numerator": 3, "denominator": 2}}]}, f"{SERVICE}.mirror"),
        ({"corsPolicy": {"allowOrigin": ["shop.example"]}}, f"{CORS}.allowOrigin"),
        ({"corsPolicy": {"allowOrigin": ["*", "https://shop.example"]}}, f"{CORS}.allowOrigin"),
        ({"corsPolicy": {"allowOrigin": ["https://*.shop.example:8443"]}}, None),
        ({"corsPolicy": {"allowMethods": ["get"]}}, f"{CORS}.allowMethods"),
        ({"corsPolicy": {"allowMethods": ["GET", "GET"]}}, f"{CORS}.allowMethods"),
        ({"corsPolicy": {"allowHeaders": [f"x-{n}" for n in range(65)]}}, f"{CORS}.allowHeaders"),
        ({"corsPolicy": {"exposeHeaders": ["x a"]}}, f"{CORS}.exposeHeaders"),
        ({"corsPolicy": {"maxAge": "500ms"}}, f"{CORS}.maxAge"),
        ({"corsPolicy": {"maxAge": "1s", "allowHeaders": ["*"], "allowMethods": ["*"]}}, None),
    ],
)
def test_rules_of_a_gateway_about_several_values(service: Obj, path: str | None) -> None:
    """References, filters and timeouts: found in the rendered route, told with the field of the Canary."""
    assert list(told(made(GATEWAY_API, service))) == ([path] if path else [])


def test_cookies_of_a_gateway_are_headers() -> None:
    """A response has at most 16 added headers, and their values at most 4,096 characters."""
    affinity = {"sessionAffinity": {"cookieName": "ck", "path": "/" + "a" * 4096}}
    assert list(told(made(GATEWAY_API, {}, affinity))) == ["spec.analysis.sessionAffinity"]
