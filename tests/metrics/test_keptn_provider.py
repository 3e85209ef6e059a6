"""Asking Keptn: which objects of the cluster are read and created, and which outcome every answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import MetricError, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.keptn import PAUSE, POLLS, Keptn
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

ROOT = "/apis/metrics.keptn.sh/v1beta1/namespaces/shop"
METRIC = "keptnmetric/shop/lag"
ANALYSIS = "analysis/shop/health/5m/workload=Cart;stage=Prod"
MADE = answered(201, {"metadata": {"name": "health-x7k2p"}})
DELETED = answered(200, {"status": "Success"})


def run(text: str, *answers: HttpAnswer | HttpFailure, namespace: str = "") -> tuple[float, list[HttpRequest]]:
    """The value of a query, and its requests."""
    return play(Keptn(Settings(namespace=namespace)).query(Question(text)), *answers)


def metric(value: Any) -> HttpAnswer:
    """A KeptnMetric."""
    return answered(200, {"kind": "KeptnMetric", "status": {"value": value, "rawValue": "e30="}})


def state(**status: Any) -> HttpAnswer:
    """An Analysis."""
    return answered(200, {"kind": "Analysis", "status": status})


@pytest.mark.parametrize(
    "text", [METRIC, f"\n{METRIC}\n", "KeptnMetrics/Shop/LAG", "keptnmetrics/shop/lag/1m", " keptnmetric / shop / lag "]
)
def test_a_metric_is_read(text: str) -> None:
    """One object of the cluster, by flagger's own identity."""
    value, (request,) = run(text, metric("2.5"))
    assert value == 2.5
    assert (request.method, request.url, request.cluster) == ("GET", f"{ROOT}/keptnmetrics/lag", True)


def test_an_analysis_is_created_read_and_deleted() -> None:
    """Arguments keep their case; flagger polls each second until the Analysis completes."""
    value, asked = run(
        ANALYSIS, MADE, state(), state(state="Progressing"), state(state="Completed", **{"pass": True}), DELETED
    )
    assert value == 1.0
    made = f"{ROOT}/analyses/health-x7k2p"
    assert [(request.method, request.url, request.after) for request in asked] == [
        ("POST", f"{ROOT}/analyses", 0.0),
        *[("GET", made, PAUSE)] * 3,
        ("DELETE", made, 0.0),
    ]
    assert all(request.cluster for request in asked)
    body = json.loads(asked[0].body or b"")
    assert body["metadata"] == {"generateName": "health-", "namespace": "shop"}
    assert body["spec"] == {
        "analysisDefinition": {"name": "health"},
        "timeframe": {"recent": "5m"},
        "args": {"workload": "Cart", "stage": "Prod"},
    }


@pytest.mark.parametrize(
    ("text", "recent", "arguments"),
    [
        ("analyses/shop/health", "1m", {}),
        ("analysis/shop/health/2M", "2m", {}),
        ("analysis/shop/health/2m/a=b;;c;d=e=f;g=", "2m", {"a": "b", "g": ""}),
        ("analysis/shop/health/2m/path=/x/y", "2m", {"path": "/x/y"}),
    ],
)
def test_what_an_analysis_is_about(text: str, recent: str, arguments: dict[str, str]) -> None:
    """The last minute unless said; arguments without exactly one `=` are dropped, as in Flagger."""
    _, asked = run(text, MADE, state(state="Completed"), DELETED)
    spec = json.loads(asked[0].body or b"")["spec"]
    assert (spec["timeframe"], spec["args"]) == ({"recent": recent}, arguments)


@pytest.mark.parametrize("status", [{}, {"pass": False}])
def test_an_analysis_that_fails(status: dict[str, Any]) -> None:
    """It is 0 at once: Keptn leaves out `pass` when it is false."""
    assert run(ANALYSIS, MADE, state(state="Completed", **status), DELETED)[0] == 0.0


def test_an_analysis_that_cannot_be_deleted_counts() -> None:
    """The outcome is known."""
    done = state(state="Completed", **{"pass": True})
    for answer in (answered(403), HttpFailure("connect", "refused")):
        assert run(ANALYSIS, MADE, done, answer)[0] == 1.0


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([*[state(state="Progressing")] * POLLS], "has not completed within 10s"),
        ([answered(500, b"etcd")], "Status 500"),
        ([HttpFailure("connect", "refused")], "refused"),
        ([answered(200, b"<html>")], "not JSON"),
    ],
)
def test_an_analysis_is_deleted_whatever_happens(answers: list[HttpAnswer | HttpFailure], told: str) -> None:
    """The error is that of the Analysis; the object goes."""
    exchange = Keptn(Settings()).query(Question(ANALYSIS))
    with pytest.raises(ProviderError, match=told):
        play(exchange, MADE, *answers, DELETED)


@pytest.mark.parametrize(
    "text",
    ["", "keptnmetric", "keptnmetric/shop", "metric/shop/lag", "keptnmetric//lag", "analysis/../x", "analysis/a b/c"],
)
def test_queries_that_name_nothing(text: str) -> None:
    """The manifest is at fault, and the text says how to write it."""
    with pytest.raises(ProviderError, match="names no object") as caught:
        next(Keptn(Settings()).query(Question(text)))
    assert caught.value.problem.fault is Fault.MANIFEST and "keptnmetric/NAMESPACE/NAME" in caught.value.problem.todo


def test_other_namespaces() -> None:
    """Without references to other namespaces a query names the template's."""
    assert run(METRIC, metric("1"), namespace="shop")[0] == 1.0
    for text in (METRIC, ANALYSIS):
        with pytest.raises(ProviderError, match="namespace shop: references to other namespaces are not allowed"):
            next(Keptn(Settings(namespace="mall")).query(Question(text)))


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-inf"])
def test_no_values(text: str) -> None:
    """What is not finite is no value."""
    with pytest.raises(NoValues):
        run(METRIC, metric(text))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (metric(""), "KeptnMetric shop/lag has no value"),
        (metric(None), "has no value"),
        (answered(200, {}), "has no value"),
        (answered(200, {"status": "x"}), "has no value"),
        (metric("many"), "not a number: many"),
        (answered(404, {"message": 'keptnmetrics.metrics.keptn.sh "lag" not found'}), "not found"),
        (answered(401), "Status 401"),
        (answered(403, {"message": "keptnmetrics is forbidden"}), "is forbidden"),
        (answered(503), "Status 503"),
        (answered(200, b'{"status":'), "not JSON"),
    ],
)
def test_errors(answer: HttpAnswer, told: str) -> None:
    """Everything else is an error with something to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        run(METRIC, answer)
    assert caught.value.problem.todo


def test_a_created_analysis_without_a_name() -> None:
    """flagger does not poll what it cannot name."""
    with pytest.raises(ProviderError, match="has no name"):
        run(ANALYSIS, answered(201, {}))


def test_online() -> None:
    """The cluster serves the API group."""
    _, (request,) = play(Keptn(Settings()).online(), answered(200, {"kind": "APIResourceList"}))
    assert (request.method, request.url, request.cluster) == ("GET", "/apis/metrics.keptn.sh/v1beta1", True)
    with pytest.raises(ProviderError, match="404"):
        play(Keptn(Settings()).online(), answered(404))


@given(st.text(max_size=20), st.recursive(st.none() | st.text(max_size=3), lambda inner: st.lists(inner), max_leaves=3))
@settings(max_examples=100, deadline=None)
def test_any_answer(text: str, value: Any) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for answer in (metric(value), metric(text), answered(200, {"status": value}), answered(200, value)):
        try:
            assert abs(run(METRIC, answer)[0]) < float("inf")
        except MetricError as error:
            assert error.problem.text
