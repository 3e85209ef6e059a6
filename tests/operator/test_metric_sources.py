"""Where a check finds its template, its Secret and its metrics server: which of them is read when, and how it fails."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from shelf import Shelf

from pyflagger.api.canary import MetricTemplate
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.parse import parse_canary
from pyflagger.clock import SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.kube.resources import learn
from pyflagger.objects import Obj
from pyflagger.operator.evidence.metric_sources import Failed, Lookups, Sources, cluster_lookups, prefixed
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from pyflagger.workloads.knative import Knative
from stage.manifests import canary


class Cluster:
    """A watch cache, and an API server that answers each request with the status and body that the test sets."""

    def __init__(self) -> None:
        self.asked: list[ApiRequest] = []
        self.status, self.body = 200, b"{}"
        self.shelf, clock = Shelf(), SystemClock()
        self.lookups: Lookups = cluster_lookups(Client(self, clock), Store(self.shelf, clock))  # type: ignore[arg-type]

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Answer a request of the client."""
        self.asked.append(request)
        return ApiAnswer(self.status, {}, self.body)

    def answer(self, status: int, **body: Any) -> None:
        """Set the next answers."""
        self.status, self.body = status, json.dumps(body).encode()


@pytest.fixture
def cluster() -> Cluster:
    """An empty cluster."""
    return Cluster()


def template(**spec: Any) -> Obj:
    """The MetricTemplate `depth`."""
    meta = {"name": "depth", "namespace": "mall"}
    whole = {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": "depth", **spec}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": meta, "spec": whole}


async def test_templates_are_read_from_the_watch_cache(cluster: Cluster) -> None:
    """Each check sees the latest template, and asks the API server for none."""
    assert await cluster.lookups.template("mall", "depth") is None
    for query in ("one", "two"):
        cluster.shelf.put(template(query=query))
        found = await cluster.lookups.template("mall", "depth")
        assert isinstance(found, MetricTemplate) and found.spec.query == query
    assert await cluster.lookups.template("town", "depth") is None
    assert cluster.asked == []


async def test_an_invalid_template_is_a_problem(cluster: Cluster) -> None:
    """It is the manifest's, not an exception."""
    cluster.shelf.put(template(provider={"type": 1}))
    found = await cluster.lookups.template("mall", "depth")
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST and "spec.provider.type" in found.text


async def test_secrets_are_read_from_the_api_server(cluster: Cluster) -> None:
    """Each time, so that a rotated Secret works at once. The values are decoded."""
    for token in (b"one", b"\xff\x00"):
        cluster.answer(200, data={"token": base64.b64encode(token).decode()})
        assert await cluster.lookups.secret("mall", "login") == {"token": token}
    assert [request.path for request in cluster.asked] == ["/api/v1/namespaces/mall/secrets/login"] * 2
    cluster.answer(200, data=None)
    assert await cluster.lookups.secret("mall", "login") == {}


UNREADABLE: dict[str, tuple[int, dict[str, Any], str]] = {
    "denied": (403, {"message": "secrets is forbidden"}, "secrets is forbidden"),
    "not base64": (200, {"data": {"token": "hush1"}}, ""),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_a_secret_that_cannot_be_read_is_a_problem(case: str, cluster: Cluster) -> None:
    """It names the Secret, and never a value."""
    status, body, text = UNREADABLE[case]
    cluster.answer(status, **body)
    found = await cluster.lookups.secret("mall", "login")
    assert isinstance(found, Problem) and found.fault is Fault.CLUSTER and text in found.text
    assert found.todo == "Check secret login in namespace mall." and "hush" not in found.text


async def test_a_missing_secret_is_none(cluster: Cluster) -> None:
    """The caller knows the template that names it, and reports both."""
    cluster.answer(404, message="not found")
    assert await cluster.lookups.secret("mall", "login") is None


async def test_a_knative_canary_is_measured_by_its_latest_revision(cluster: Cluster) -> None:
    """It is read from the watch cache. Without the Service the check fails, and others have no revision."""
    sources = Sources(cluster.lookups, Options())
    with pytest.raises(Failed, match=r"^Error fetching Knative service mall/web services.serving.knative.dev"):
        await sources.revision(parse_canary(knative("web")))
    learn(Knative.kinds)
    meta = {"name": "web", "namespace": "mall"}
    status = {"latestCreatedRevisionName": "web-00007"}
    cluster.shelf.put({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": meta, "status": status})
    assert await sources.revision(parse_canary(knative("web"))) == "web-00007"
    assert await sources.revision(parse_canary(canary("web"))) == "" and cluster.asked == []


def knative(name: str) -> Obj:
    """A Canary of a Knative Service."""
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}
    made = canary(name, provider="knative", targetRef=target)
    return {**made, "metadata": {**made["metadata"], "namespace": "mall"}}


@pytest.mark.parametrize(
    ("spec", "address"), [({}, "http://theirs:9090"), ({"metricsServer": "http://own:9090"}, "http://own:9090")]
)
def test_a_canarys_own_metrics_server_comes_first(spec: Obj, address: str, cluster: Cluster) -> None:
    """The option names the default."""
    sources = Sources(cluster.lookups, Options(metrics_server="http://theirs:9090"))
    assert sources.address(parse_canary(canary("web", **spec))) == address


def test_the_password_of_a_metrics_server_stays_out_of_the_text(cluster: Cluster) -> None:
    """The address is shown without it."""
    sources = Sources(cluster.lookups, Options(metrics_server="ftp://me:hush@prometheus:9090/?token=hush"))
    with pytest.raises(Failed, match=r"^Error building Prometheus client for ftp://prometheus:9090/ ") as failed:
        sources.metrics_server(parse_canary(canary("web")))
    assert "hush" not in f"{failed.value} {failed.value.problem.todo}"


def test_a_prefix_changes_the_text_alone() -> None:
    """Whose problem it is, what to do and where stay."""
    problem = Problem(Fault.PROVIDER, "no answer", "Wait.", "spec.query")
    assert prefixed("query: ", problem) == Problem(Fault.PROVIDER, "query: no answer", "Wait.", "spec.query")
