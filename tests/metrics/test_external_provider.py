"""External metrics of Kubernetes: which server gets the query, with which identity, and the outcome of each answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.external import ExternalMetrics, quantity
from pyflagger.wire import HttpAnswer, HttpFailure

API = "/apis/external.metrics.k8s.io/v1beta1"


def items(*values: Any) -> HttpAnswer:
    """A list of values, as adapters answer."""
    listed = [
        {"metricName": "s0", "metricLabels": None, "timestamp": "2026-11-30T10:00:00Z", "value": v} for v in values
    ]
    return answered(200, {"kind": "ExternalMetricValueList", "metadata": {}, "items": listed})


def value_of(answer: HttpAnswer | HttpFailure) -> float:
    """What an answer gives."""
    return play(ExternalMetrics(Settings()).query(Question("shop/s0-rps")), answer)[0]


@pytest.mark.parametrize(
    ("text", "path", "selector"),
    [
        ("shop/s0-rps", "/namespaces/shop/s0-rps", None),
        ("\nshop/s0-rps\n", "/namespaces/shop/s0-rps", None),
        ("s0-rps", "/namespaces/default/s0-rps", None),
        ("/s0-rps", "/namespaces/default/s0-rps", None),
        ("shop/a|b:c", "/namespaces/shop/a%7Cb%3Ac", None),
        ("shop/m?labelSelector=app%3Dcart%2Ctier%3Dx", "/namespaces/shop/m", "app=cart,tier=x"),
        ("m?labelSelector=a in (b,c)", "/namespaces/default/m", "a in (b,c)"),
        ("m?labelSelector=scaledobject.keda.sh/name=cart", "/namespaces/default/m", "scaledobject.keda.sh/name=cart"),
    ],
)
def test_queries(text: str, path: str, selector: str | None) -> None:
    """Namespace, metric and selector, asked of flagger's own API server; the end of a YAML block is of no account."""
    _, (request,) = play(ExternalMetrics(Settings()).query(Question(text)), items("1"))
    parts = urlsplit(request.url)
    assert (request.method, parts.path, request.cluster, request.headers) == ("GET", f"{API}{path}", True, ())
    assert parse_qs(parts.query).get("labelSelector") == ([selector] if selector else None)


@pytest.mark.parametrize(
    "text", ["", "a/b/c", "shop/", "?labelSelector=a", "A B/m", "../..", "m?x=y", "m?labelSelector"]
)
def test_queries_that_name_nothing(text: str) -> None:
    """The manifest is at fault; nothing is sent."""
    with pytest.raises(ProviderError, match="names no external metric") as caught:
        next(ExternalMetrics(Settings()).query(Question(text)))
    assert caught.value.problem.fault is Fault.MANIFEST and caught.value.problem.todo


@pytest.mark.parametrize("host", ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local:443"])
def test_the_own_api_server(host: str) -> None:
    """By its name in the cluster it is asked as without an address."""
    provider = ExternalMetrics(Settings(f"https://{host}", secret={"token": b"t"}))
    _, (request,) = play(provider.query(Question("m")), items("1"))
    assert request.cluster and request.url.startswith("/apis/")


@pytest.mark.parametrize(("secret", "want"), [({"token": b"hunter2\n"}, "Bearer hunter2"), ({}, None), (None, None)])
def test_other_servers(secret: Any, want: str | None) -> None:
    """They get the token of the Secret, and never an identity of flagger's."""
    provider = ExternalMetrics(Settings("https://metrics.example.com/x/", verify=False, secret=secret))
    for exchange, path in ((provider.query(Question("m")), "/namespaces/default/m"), (provider.online(), "")):
        _, (request,) = play(exchange, items("1"))  # type: ignore[type-var]
        assert request.url == f"https://metrics.example.com/x{API}{path}" and not request.cluster
        assert dict(request.headers).get("Authorization") == want and not request.verify


def test_other_namespaces() -> None:
    """Without references to other namespaces a query names the template's."""
    provider = ExternalMetrics(Settings(namespace="shop"))
    assert play(provider.query(Question("shop/m")), items("1"))[0] == 1.0
    with pytest.raises(ProviderError, match="namespace default: references to other namespaces are not allowed"):
        next(provider.query(Question("m")))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        *(("0", 0.0), ("42", 42.0), ("-1.5", -1.5), (".5", 0.5), ("1500m", 1.5), ("5u", 5e-6), ("7n", 7e-9)),
        *(("2k", 2000.0), ("3M", 3e6), ("1G", 1e9), ("1T", 1e12), ("1P", 1e15), ("1E", 1e18)),
        *(("1Ki", 1024.0), ("1.5Mi", 1572864.0), ("1Ei", 2.0**60), ("12e2", 1200.0), ("1E3", 1000.0), ("1e-3", 0.001)),
    ],
)
def test_quantities(text: str, want: float) -> None:
    """Every suffix of Kubernetes."""
    assert quantity(text) == pytest.approx(want, rel=1e-12)
    assert value_of(items(text)) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("value", ["", "x", "1 k", "1ki", "NaN", "1e9999", None, 3, True, {}])
def test_what_is_no_quantity(value: Any) -> None:
    """It is an error of the adapter."""
    with pytest.raises(ProviderError, match="not a quantity"):
        value_of(items(value))


def test_several_items() -> None:
    """They are one value when they agree, and ambiguous otherwise."""
    assert value_of(items("1", "1000m")) == 1.0
    with pytest.raises(MultipleValues):
        value_of(items("1", "2"))


def test_no_values() -> None:
    """No items."""
    with pytest.raises(NoValues):
        value_of(items())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answered(401), "Status 401"),
        (answered(403, {"message": 'external.metrics.k8s.io "s0" is forbidden'}), "is forbidden"),
        (answered(404, {"message": "the server could not find the metric s0-rps"}), "could not find the metric"),
        (answered(429), "Status 429"),
        (answered(503, b"error trying to reach service"), "error trying to reach service"),
        (answered(200, b'{"items": ['), "not JSON"),
        (answered(200, b"<html>"), "not JSON"),
        (answered(200, {}), "no list of items"),
        (answered(200, {"items": [1]}), "no list of items"),
        (HttpFailure("connect", "refused"), "refused"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str) -> None:
    """Everything else is an error with something to do; that of a denial names the ServiceAccount."""
    with pytest.raises(ProviderError, match=told) as caught:
        value_of(answer)
    todo = caught.value.problem.todo
    assert todo and ("ServiceAccount" in todo) == ("401" in str(caught.value) or "403" in str(caught.value))


def test_online() -> None:
    """The API group is served."""
    _, (request,) = play(ExternalMetrics(Settings()).online(), answered(200, {"kind": "APIResourceList"}))
    assert (request.url, request.cluster) == (API, True)
    with pytest.raises(ProviderError, match="404"):
        play(ExternalMetrics(Settings()).online(), answered(404))


@given(st.recursive(st.none() | st.text(max_size=6) | st.floats(), lambda inner: st.lists(inner), max_leaves=3))
@settings(max_examples=100, deadline=None)
def test_any_answer(value: Any) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for answer in (items(value), answered(200, {"items": value}), answered(200, value)):
        try:
            assert abs(value_of(answer)) < float("inf")
        except MetricError as error:
            assert error.problem.text
