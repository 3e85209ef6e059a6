"""Built-in checks: which row a canary gets, and what its queries are."""

from __future__ import annotations

import pytest
from metric_answers import answered, play, queries, vector

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.api.parse import parse_canary
from pyflagger.metrics.base import NoValues, ProviderError, Settings
from pyflagger.metrics.builtin import DIALECTS, DURATION, SUCCESS_RATE, dialect_for, named_for
from pyflagger.metrics.dialect import QUIET, Dialect
from pyflagger.metrics.evaluate import builtin, cause_of_silence, seconds, variables_for
from pyflagger.metrics.prometheus import Prometheus
from pyflagger.metrics.template import Variables, render

PROM = Prometheus(Settings("http://prom"))


def canary(**spec: object) -> Canary:
    """A canary of shop/cart with a Service named cart-web and one metric."""
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "cart-release", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
                "service": {"name": "cart-web", "port": 80},
                "analysis": {"interval": "1m", "threshold": 1, "metrics": [{"name": SUCCESS_RATE, "interval": "2m"}]},
                **spec,
            },
        }
    )


def named(dialect: Dialect, port_name: str = "http", **spec: object) -> Variables:
    """What the dialect's templates may name for that canary."""
    made = canary(**spec)
    assert made.spec.analysis is not None
    return named_for(dialect, variables_for(made, made.spec.analysis.metrics[0]), port_name)


def test_variables() -> None:
    """Names fall back to the target; the route of a Knative canary is its revision."""
    made = canary(
        ingressRef={"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "edge"},
        routeRef={"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "way"},
    )
    assert made.spec.analysis is not None
    metric = made.spec.analysis.metrics[0]
    full = variables_for(made, metric)
    assert (full.name, full.namespace, full.target, full.service) == ("cart-release", "shop", "cart", "cart-web")
    assert (full.ingress, full.route, full.interval) == ("edge", "way", "2m")
    bare = variables_for(canary(service={"port": 80}), metric.model_copy(update={"interval": ""}))
    assert (bare.service, bare.ingress, bare.route, bare.interval) == ("cart", "cart", "cart", "1m")
    assert variables_for(made, metric, "cart-00007").route == "cart-00007"
    assert seconds(metric) == 120
    assert seconds(metric.model_copy(update={"interval": ""})) == 60


@pytest.mark.parametrize(
    ("provider", "mesh", "row"),
    [
        ("", "istio", "istio"),
        ("", "nginx", "nginx"),
        ("nginx", "istio", "nginx"),
        ("kubernetes", "istio", "http"),
        ("gatewayapi:v1", "istio", "http"),
        ("gatewayapi:v1beta1", "istio", "http"),
        ("appmesh:v1beta2", "istio", "appmesh"),
        ("gloo", "istio", "gloo"),
        ("smi:v1alpha1", "istio", "istio"),
        ("knative", "istio", "knative"),
        ("nginx:service", "istio", "nginx"),
        ("kubernetes:service", "istio", "http"),
        ("nginx", "linkerd", "linkerd"),
        ("", "linkerd", "linkerd"),
        *((name, "istio", name) for name in DIALECTS if name != "http"),
    ],
)
def test_the_row_of_a_provider(provider: str, mesh: str, row: str) -> None:
    """A canary's provider decides, the operator's stands in; a Linkerd operator measures everything itself."""
    found = dialect_for(provider, mesh)
    assert isinstance(found, Dialect)
    assert found.name == row


@pytest.mark.parametrize(
    ("provider", "mesh"), [("crossover", "istio"), ("", "crossover"), ("", ""), ("nginxx", "istio")]
)
def test_unknown_providers_are_refused(provider: str, mesh: str) -> None:
    """No other provider's queries are put in silently; the known ones are listed."""
    found = dialect_for(provider, mesh)
    assert isinstance(found, Problem)
    assert all(name in found.todo for name in ("nginx", "kubernetes", "istio", "traefik", "gatewayapi"))


WANT = {
    "istio": (
        'sum(rate(istio_requests_total{reporter="destination", destination_workload_namespace="shop",'
        ' destination_workload=~"cart", response_code!~"5.*"}[2m]))'
        ' / sum(rate(istio_requests_total{reporter="destination", destination_workload_namespace="shop",'
        ' destination_workload=~"cart"}[2m])) * 100',
        'histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",'
        ' destination_workload_namespace="shop", destination_workload=~"cart"}[2m])) by (le))',
    ),
    "http": (
        'sum(rate(http_request_duration_seconds_count{kubernetes_namespace="shop",'
        ' kubernetes_pod_name=~"cart-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)", status!~"5.*"}[2m]))'
        ' / sum(rate(http_request_duration_seconds_count{kubernetes_namespace="shop",'
        ' kubernetes_pod_name=~"cart-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"}[2m])) * 100',
        'histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{kubernetes_namespace="shop",'
        ' kubernetes_pod_name=~"cart-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"}[2m])) by (le))',
    ),
    "skipper": (
        'sum(rate(skipper_response_duration_seconds_bucket{route=~"kube(ew)?_shop__cart_canary__.*__cart_web_canary'
        '(_[0-9]+)?", le="+Inf", code!~"5.."}[2m])) / sum(rate(skipper_response_duration_seconds_bucket{route=~"kube'
        '(ew)?_shop__cart_canary__.*__cart_web_canary(_[0-9]+)?", le="+Inf"}[2m])) * 100',
        'sum(rate(skipper_serve_route_duration_seconds_sum{route=~"kube(ew)?_shop__cart_canary__.*__cart_web_canary'
        '(_[0-9]+)?"}[2m])) / sum(rate(skipper_serve_route_duration_seconds_count{route=~"kube(ew)?_shop__cart_canary'
        '__.*__cart_web_canary(_[0-9]+)?"}[2m])) * 1000',
    ),
}


@pytest.mark.parametrize("name", WANT)
def test_whole_queries(name: str) -> None:
    """One row of each shape, to the letter."""
    row = DIALECTS[name]
    assert (render(row.success, named(row)), render(row.duration, named(row))) == WANT[name]


@pytest.mark.parametrize(
    ("name", "matcher"),
    [
        ("linkerd", 'namespace="shop", deployment=~"cart", direction="inbound"'),
        ("appmesh", 'kubernetes_namespace="shop", kubernetes_pod_name=~"cart-'),
        ("contour", 'envoy_cluster_name=~"shop_cart-web-canary_[0-9a-zA-Z-]+"'),
        ("gloo", 'envoy_cluster_name=~"shop-cart-web-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"'),
        ("knative", 'envoy_cluster_name=~"shop/cart"'),
        ("kuma", 'service=~"cart-web-canary_shop_svc_[0-9a-zA-Z-]+"'),
        ("osm", 'destination_namespace="shop", destination_kind="Deployment", destination_name="cart"'),
        ("apisix", 'route=~"shop_cart-cart-web-canary_.+"'),
        ("traefik", 'service=~"shop-cart-web-canary-[0-9a-zA-Z-]+@kubernetescrd"'),
        ("nginx", 'namespace="shop", ingress="cart", canary!=""'),
    ],
)
def test_matchers(name: str, matcher: str) -> None:
    """Each row asks for the canary by the name that its router gives it."""
    row = DIALECTS[name]
    assert matcher in render(row.success, named(row))
    assert matcher in render(row.duration, named(row))


@pytest.mark.parametrize("row", DIALECTS.values(), ids=lambda row: row.name)
def test_every_query_is_promql(row: Dialect) -> None:
    """All queries of all rows render and parse, clues included, and their causes read as sentences."""
    promql = pytest.importorskip("promql_parser")
    who = named(row)
    for text in (row.success, row.duration, row.total, *(clue.query for clue in row.clues)):
        if text:
            promql.parse(render(text, who))
    for clue in row.clues:
        cause = render(clue.cause, who)
        assert cause[0].isupper()
        assert cause[-1] in ".?"


def test_only_the_seconds_of_pods_are_converted() -> None:
    """The http row's histogram is in seconds; the others give milliseconds by themselves."""
    assert {name for name, row in DIALECTS.items() if row.milliseconds != 1} == {"http"}
    row = DIALECTS["http"]
    value, _ = play(builtin(PROM, row, DURATION, named(row), 0), vector("0.2345"))
    assert value == pytest.approx(234.5)
    row = DIALECTS["istio"]
    assert play(builtin(PROM, row, DURATION, named(row), 0), vector("87.4"))[0] == 87.4


def test_a_value_costs_one_query() -> None:
    """Where there is data nothing else is asked."""
    for row in DIALECTS.values():
        value, asked = play(builtin(PROM, row, SUCCESS_RATE, named(row), 0), vector("99.5"))
        assert (value, len(asked)) == (99.5, 1)


def test_all_requests_failing_is_zero_percent() -> None:
    """No good requests but some requests: 0 %, not "no values"."""
    row = DIALECTS["istio"]
    value, asked = play(builtin(PROM, row, SUCCESS_RATE, named(row), 0), vector(), vector("3.5"))
    assert value == 0
    assert queries(asked)[1] == render(row.total, named(row))
    assert "!~" not in queries(asked)[1]


@pytest.mark.parametrize("total", [vector(), vector("0"), vector("NaN")])
def test_no_requests_is_no_values(total: object) -> None:
    """Without requests there is nothing to judge."""
    row = DIALECTS["istio"]
    with pytest.raises(NoValues):
        play(builtin(PROM, row, SUCCESS_RATE, named(row), 0), vector(), total)  # type: ignore[arg-type]


def test_duration_is_never_guessed() -> None:
    """The rate of all requests says nothing about time."""
    row = DIALECTS["istio"]
    with pytest.raises(NoValues):
        play(builtin(PROM, row, DURATION, named(row), 0), vector())


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([vector()], "no series nginx_ingress_controller_requests or traefik_service_requests_total"),
        ([vector("9"), vector()], "Ingress cart received no requests"),
        ([vector("9"), vector("9"), vector()], "exported_namespace"),
        ([vector("9"), vector("9"), vector("9"), vector()], "none reached the canary"),
        ([vector("9"), vector("9"), vector("9"), vector("9")], QUIET),
        ([answered(500)], ""),
        ([vector("9"), answered(500)], ""),
    ],
)
def test_the_cause_of_silence(answers: list[object], told: str) -> None:
    """Clues are asked in order, up to the first that finds nothing; a failing one ends the guessing."""
    row = DIALECTS["nginx"]
    cause, asked = play(cause_of_silence(PROM, row, named(row)), *answers)  # type: ignore[arg-type]
    assert (told in cause) if told else (cause == "")
    assert len(asked) == len(answers)


def test_an_error_of_a_check_is_no_silence() -> None:
    """Only "no values" leads to the rate of all requests."""
    row = DIALECTS["istio"]
    with pytest.raises(ProviderError):
        play(builtin(PROM, row, SUCCESS_RATE, named(row), 0), answered(500, b"x"))
