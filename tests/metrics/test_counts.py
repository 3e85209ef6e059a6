"""The requests of both sides in units of time, evaluated over the series of each traffic provider."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("promql_parser")

from metrics.metric_answers import answered, data, play
from pyflagger.api.parse import parse_canary
from pyflagger.metrics.base import Exchange, NoValues, ProviderError, Settings
from pyflagger.metrics.builtin import DIALECTS, named_for, of_primary
from pyflagger.metrics.counts import UNITS_MAX, Named, Tally, bound_for, comparable, failures, slow, units_between
from pyflagger.metrics.prometheus import Prometheus, Times
from pyflagger.metrics.template import Variables
from pyflagger_sandbox.metrics import Engine, Store, labels_of

T0 = 1_700_000_000
WHO = Variables("cart", "my-shop", "cart", "cart-web", "edge", "cart", "1m")
SERVER = Prometheus(Settings(address="http://prometheus:9090"))

Result = TypeVar("Result")
Samples = Mapping[int, float]
Series = tuple[str, Mapping[str, str], Samples]

PODS = {"kubernetes_namespace": "my-shop"}
ENVOY = "envoy_cluster_upstream_rq"
LABELS: Mapping[str, tuple[str, str, str, str, Mapping[str, str]]] = {
    "istio": ("istio_requests_total", "destination_workload", "cart", "response_code", {
        "reporter": "destination", "destination_workload_namespace": "my-shop",
    }),
    "linkerd": ("response_total", "deployment", "cart", "classification", {
        "namespace": "my-shop", "direction": "inbound",
    }),
    "http": ("http_request_duration_seconds_count", "kubernetes_pod_name", "cart-5f7-x2", "status", PODS),
    "appmesh": (ENVOY, "kubernetes_pod_name", "cart-5f7-x2", "envoy_response_code", PODS),
    "contour": (ENVOY, "envoy_cluster_name", "my-shop_cart-web-canary_80", "envoy_response_code", {}),
    "gloo": (ENVOY, "envoy_cluster_name", "my-shop-cart-web-canaryupstream-80_gloo-system", "envoy_response_code", {}),
    "kuma": (ENVOY, "service", "cart-web-canary_my-shop_svc_80", "envoy_response_code", {}),
    "osm": ("osm_request_total", "destination_name", "cart", "response_code", {
        "destination_namespace": "my-shop", "destination_kind": "Deployment",
    }),
    "traefik": ("traefik_service_request_duration_seconds_bucket", "service",
                "my-shop-cart-web-canary-80@kubernetescrd", "code", {"le": "+Inf"}),
    "nginx": ("nginx_ingress_controller_requests", "canary", "my-shop-cart-web-canary-80", "status", {
        "namespace": "my-shop", "ingress": "edge",
    }),
}  # fmt: skip
"""By dialect: its counter, the label that names the side, the canary's, the label of the outcome, and other labels."""

PRIMARY = {
    "istio": "cart-primary", "linkerd": "cart-primary", "osm": "cart-primary",
    "http": "cart-primary-77c-p1", "appmesh": "cart-primary-77c-p1",
    "contour": "my-shop_cart-web-primary_80", "gloo": "my-shop-cart-web-primaryupstream-80_gloo-system",
    "kuma": "cart-web-primary_my-shop_svc_80", "traefik": "my-shop-cart-web-primary-80@kubernetescrd", "nginx": "",
}  # fmt: skip


def sides(name: str) -> tuple[Named, Named]:
    """The queries of both sides."""
    ours = DIALECTS[name], named_for(DIALECTS[name], WHO, "http")
    theirs = of_primary(*ours, "cart-primary")
    assert theirs is not None
    return ours, theirs


def evaluated(exchange: Exchange[Result], series: Sequence[Series]) -> Result:
    """Run an exchange on these series."""
    store = Store()
    for name, labels, samples in series:
        for at, value in samples.items():
            store.append(labels_of([("__name__", name), *labels.items()]), (T0 + at) * 1000, value)
    engine = Engine(store)
    try:
        request = next(exchange)
        while True:
            asked = parse_qs(request.body.decode() if request.body else urlsplit(request.url).query)
            found = engine.range(asked["query"][0], *(float(asked[key][0]) for key in ("start", "end", "step")))
            result = [
                {
                    "metric": dict(one.labels),
                    "values": [[time / 1000, f"{value:g}"] for time, value in zip(one.times, one.values, strict=True)],
                }
                for one in found.series
            ]
            request = exchange.send(data("matrix", result))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def counter(name: str, side: str, outcome: str, samples: Samples) -> Series:
    """A counter of requests of one side."""
    metric, where, _, how, other = LABELS[name]
    return metric, {where: side, how: outcome, **other}, samples


def steadily(per_scrape: float, start: float = 0.0, since: int = 0) -> Samples:
    """A counter that grows by so much every 10 seconds."""
    return {at: start + per_scrape * (at - since) / 10 for at in range(since, 601, 10)}


UNITS = Times(T0 + 540, T0 + 600, 30.0)


@pytest.mark.parametrize("name", LABELS)
def test_both_sides_of_every_provider(name: str) -> None:
    """Whole numbers of requests and of failures, by unit."""
    ours, theirs = LABELS[name][2], PRIMARY[name]
    good, bad = ("success", "failure") if name == "linkerd" else ("200", "503")
    series = [
        counter(name, ours, good, steadily(9, 70)),
        counter(name, ours, bad, steadily(1)),
        counter(name, theirs, good, steadily(90, 4000)),
        counter(name, theirs, bad, steadily(2)),
    ]
    unit = (3.0, 30.0, 6.0, 276.0)
    assert evaluated(failures(SERVER, sides(name), UNITS), series) == tuple(
        Tally(float(T0 + at), *unit) for at in (540, 570, 600)
    )


def test_the_first_errors_of_a_new_series_count() -> None:
    """`increase` loses them: the series has no sample before the first error."""
    series = [
        counter("istio", "cart", "200", steadily(10)),
        counter("istio", "cart", "503", dict.fromkeys(range(590, 601, 10), 7.0)),
        counter("istio", "cart-primary", "200", steadily(90)),
    ]
    last = evaluated(failures(SERVER, sides("istio"), UNITS), series)[-1]
    assert (last.bad, last.requests) == (7.0, 37.0)


def test_a_reset_is_no_evidence() -> None:
    """What came between the reset and the next sample is lost, and nothing is negative."""
    reset = {**{at: 1000.0 + at for at in range(0, 581, 10)}, 590: 5.0, 600: 8.0}
    series = [counter("istio", "cart", "200", reset), counter("istio", "cart-primary", "200", steadily(90))]
    last = evaluated(failures(SERVER, sides("istio"), UNITS), series)[-1]
    assert (last.bad, last.requests) == (0.0, 0.0)


def test_one_side_only() -> None:
    """The other has no requests, and the failures of a side without good requests are all of them."""
    series = [counter("istio", "cart", "503", steadily(1))]
    assert evaluated(failures(SERVER, sides("istio"), UNITS), series)[-1] == Tally(float(T0 + 600), 3.0, 3.0, 0.0, 0.0)
    assert evaluated(failures(SERVER, sides("istio"), UNITS), []) == ()


def histogram(side: str, bounds: Mapping[str, float]) -> list[Series]:
    """A histogram in milliseconds, that grows by so much every 10 seconds."""
    labels = {**LABELS["istio"][4], "destination_workload": side}
    name = "istio_request_duration_milliseconds_bucket"
    return [(name, {**labels, "le": bound}, steadily(grows)) for bound, grows in bounds.items()]


BOTH = [
    *histogram("cart", {"100": 5, "500": 8, "1000": 9, "+Inf": 10}),
    *histogram("cart-primary", {"100": 80, "500": 88, "1000": 90, "+Inf": 90}),
]


def test_slow_requests() -> None:
    """Those above a bound."""
    found = evaluated(slow(SERVER, sides("istio"), "500", UNITS), BOTH)[-1]
    assert found == Tally(float(T0 + 600), 6.0, 30.0, 6.0, 270.0)


@pytest.mark.parametrize(("limit", "bound"), [(0.5, "500"), (0.3, "500"), (0.05, "100"), (9.0, "1000"), (0.0, "100")])
def test_the_bound_of_a_limit(limit: float, bound: str) -> None:
    """The next one above, or the largest."""
    assert evaluated(bound_for(SERVER, sides("istio")[1], limit, T0 + 600), BOTH) == bound


def test_no_bounds() -> None:
    """Without a histogram of the primary there is nothing to count."""
    with pytest.raises(NoValues, match="the primary's histogram has no bounds"):
        evaluated(bound_for(SERVER, sides("istio")[1], 0.5, T0 + 600), BOTH[:4])


@pytest.mark.parametrize(
    ("since", "unit", "many", "step"),
    [
        (60, 30, 2, 30.0),
        (59.5, 30, 1, 59.5),
        (61, 30, 2, 30.5),
        (10, 30, 1, 10.0),
        (0.5, 30, 1, 0.5),
        (1e6, 1, UNITS_MAX, 4166.666),
    ],
)
def test_units_between(since: float, unit: float, many: int, step: float) -> None:
    """As many equal units as fit, at least one, that end now."""
    start, end, found = units_between(T0 - since, T0, unit)
    assert (end, round((end - start) / found) + 1, found) == (T0, many, step)


def test_what_is_comparable() -> None:
    """Not APISIX, whose route has both versions, and not the pods of a DaemonSet by their names."""
    spec = {"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "cart"}, "service": {"port": 80}}
    daemons = parse_canary({"metadata": {"name": "cart", "namespace": "my-shop"}, "spec": spec})
    assert [comparable(daemons, DIALECTS[name]) for name in ("http", "istio")] == [False, True]
    assert of_primary(DIALECTS["apisix"], WHO, "cart-primary") is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"resultType": "vector", "result": []}, "answer has no ranges of samples"),
        ({"resultType": "matrix", "result": None}, "answer has no ranges of samples"),
        ({"resultType": "matrix", "result": [1]}, "a result of the answer is not a range of samples"),
        ({"resultType": "matrix", "result": [{"metric": {}}]}, "a result of the answer is not a range of samples"),
        ({"resultType": "matrix", "result": [{"metric": {}, "values": [["x", "1"]]}]}, "has no time"),
        ({"resultType": "matrix", "result": [{"metric": {}, "values": [[True, "1"]]}]}, "has no time"),
        ({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, 1]]}]}, "is not a number"),
    ],
)
def test_answers_of_another_shape(body: object, text: str) -> None:
    """Each is an error that names it."""
    answer = answered(200, json.dumps({"status": "success", "data": body}).encode())
    with pytest.raises(ProviderError, match=text):
        play(failures(SERVER, sides("istio"), UNITS), answer)
