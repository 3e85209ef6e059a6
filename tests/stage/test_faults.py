"""Metric servers, hooks, pods and people that misbehave in a release: told, contained, never a jump of traffic."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.operator.act.render import Renderer
from pyflagger.operator.evidence.metrics import Checks
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from stage.manifests import MAX, STEP, analysis, canary, image
from stage.trouble import Answer, Pair, body, nothing, value

pytestmark = pytest.mark.looptime

DEADLINE_SECONDS = 60

TOTALS = (("calm", 1.0), ("sick", 0.0))
"""Canaries by namespace, when the sick one's is gone."""

ERRORS = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}}
GATE = {"name": "gate", "type": "pre-rollout", "url": "http://hooks.sick/gate", "timeout": "5s"}


async def hangs(request: HttpRequest) -> HttpAnswer | None:
    """No answer within any time-out."""
    if "vector" in request.url or "calm" in request.url:
        return None
    await asyncio.sleep(request.timeout)
    raise HttpFailure("timeout", f"GET {request.url.split('?')[0]}: no answer within {request.timeout:g}s")


async def huge(request: HttpRequest) -> HttpAnswer | None:
    """What the HTTP room says of a body that does not end."""
    if "/api/v1/query" not in request.url or "vector" in request.url:
        return None
    raise HttpFailure("too-large", f"the answer is larger than {request.max_bytes} bytes")


HISTOGRAM = (
    b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[0,{"count":"1"}]}]}}'
)
TEXT = b'{"status":"success","data":{"resultType":"string","result":[0,"plenty"]}}'

# What the metric server does, and what has to be told of it.
PROVIDERS: dict[str, tuple[Answer, str]] = {
    "is down": (body(503, b"upstream is down"), r"query failed.*503.*upstream is down"),
    "refuses the query": (
        body(400, b'{"status":"error","error":"parse error at char 3"}'),
        r"query failed.*parse error",
    ),
    "hangs": (hangs, r"query failed.*no answer within"),
    "says NaN": (value("NaN"), r"no values found"),
    "says Inf": (value("+Inf"), r"no values found"),
    "says a word": (value("plenty"), r"not a number: plenty"),
    "has no values": (
        body(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
        r"no values found",
    ),
    "sends a histogram": (body(200, HISTOGRAM), r"a native histogram, not a number"),
    "sends a string": (body(200, TEXT), r"a string, not a number"),
    "sends a page": (body(200, b"<html>sign in</html>"), r"query failed"),
    "sends without end": (huge, r"query failed.*larger than"),
    "sends elsewhere": (body(302, b""), r"query failed.*302"),
}


@pytest.mark.parametrize("trouble", PROVIDERS)
async def test_a_metric_server_that(trouble: str) -> None:
    """The check fails with the server's own words, the weight does not rise, and the release is rolled back."""
    sick, pattern = PROVIDERS[trouble]
    pair = Pair(sick=sick)
    await pair.begin(spoilt=canary("sick", metricsServer="http://prometheus.sick"))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.tells(pattern)
    assert (await pair.stage.status("sick", "sick"))["canaryWeight"] <= STEP
    await pair.calm_is_prompt()
    await pair.phase("sick", "Failed")
    await pair.is_halted("MetricProvider", pattern)
    assert not [text for text in await pair.told() if f"canary weight {MAX}" in text]
    assert (await pair.traffic())[2][1]["containers"][0]["image"] == image("sick", "1")


async def test_a_metric_server_that_comes_back() -> None:
    """One failed check counts, and the release goes on once the server answers again."""
    pair = Pair(sick=body(503, b"restarting"))
    await pair.begin(spoilt=canary("sick", metricsServer="http://prometheus.sick", analysis=analysis(threshold=5)))
    await pair.phase("sick", "Initialized")
    await pair.release("sick")
    await pair.tells(r"restarting")
    pair.sick = nothing
    await pair.phase("sick", "Succeeded")
    assert (await pair.stage.status("sick", "sick"))["failedChecks"] == 0


# What a hook does, and what has to be told of it.
HOOKS: dict[str, tuple[Answer, str]] = {
    "hangs": (hangs, r"pre-rollout check gate failed.*no answer within 5s"),
    "says no": (body(403, b"not today", hooks=True), r"pre-rollout check gate failed.*403.*not today"),
    "breaks": (body(500, b"\xff\xfe\x00 stack trace", hooks=True), r"pre-rollout check gate failed.*500"),
    "sends elsewhere": (body(302, b"", hooks=True), r"pre-rollout check gate failed.*302"),
}


@pytest.mark.parametrize("trouble", HOOKS)
async def test_a_hook_that(trouble: str) -> None:
    """The canary gets no traffic, others do not wait for it, and the release is rolled back in the end."""
    sick, pattern = HOOKS[trouble]
    pair = Pair(sick=sick)
    await pair.begin(spoilt=canary("sick", analysis=analysis(webhooks=[GATE])))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    text = await pair.tells(pattern)
    assert len(text) < 1200
    await pair.calm_is_prompt()
    await pair.phase("sick", "Failed")
    await pair.is_halted("Hook", pattern)
    assert not [text for text in await pair.told() if "canary weight" in text]


async def test_garbage_with_a_good_status_passes() -> None:
    """A 2xx is a yes whatever comes with it."""
    pair = Pair(sick=body(207, b"\xff" * 100, hooks=True))
    await pair.begin(spoilt=canary("sick", analysis=analysis(webhooks=[GATE])))
    await pair.phase("sick", "Initialized")
    await pair.release("sick")
    await pair.phase("sick", "Succeeded")


async def test_a_new_revision_does_not_wait_for_a_hook() -> None:
    """While a hook thinks, another revision is noticed at once and judged instead."""
    pair = Pair(sick=hangs)
    slow = {**GATE, "timeout": "60s"}
    await pair.begin(spoilt=canary("sick", analysis=analysis(webhooks=[slow], threshold=5)))
    await pair.phase("sick", "Initialized")
    await pair.release("sick")
    await pair.phase("sick", "Progressing")
    await pair.stage.clock.sleep(5)
    pair.sick = nothing
    await pair.release("sick", version="3")
    await pair.tells(r"Restarting analysis for sick\.sick", seconds=2)
    await pair.phase("sick", "Succeeded")
    primary = await pair.stage.get("Deployment", "sick-primary", "sick")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == image("sick", "3")


async def test_a_pod_that_never_gets_ready() -> None:
    """No traffic ever, and a rollback that names the deadline."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm")
    await pair.stage.set_image("sick", "sick", image("sick", "broken"), "sick")
    await pair.calm_is_prompt()
    await pair.tells(r"Rolling back sick\.sick progress deadline exceeded")
    await pair.phase("sick", "Failed")
    await pair.is_halted("Cluster", r"progress deadline exceeded.*Check the target's pods")
    assert not [text for text in await pair.told() if "canary weight" in text]
    assert (await pair.stage.get("Deployment", "sick", "sick"))["spec"]["replicas"] == 0


async def test_a_primary_that_fails_in_its_promotion() -> None:
    """The proved canary keeps serving, and the next good version mends the primary."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm")
    await pair.stage.set_image("sick", "sick", image("sick", "brokenprimary"), "sick")
    await pair.calm_is_prompt()
    await pair.tells(r"Promotion of sick\.sick failed, primary not ready", seconds=200)
    await pair.is_halted("Cluster", r"Promotion of sick\.sick failed.*Check the primary's pods")
    weight, _, _ = await pair.traffic()
    assert weight["nginx.ingress.kubernetes.io/canary-weight"] == "100"
    assert (await pair.stage.get("Deployment", "sick", "sick"))["spec"]["replicas"] == 2
    await pair.stage.set_image("sick", "sick", image("sick", "4"), "sick")
    await pair.phase("sick", "Succeeded")
    assert (await pair.traffic())[0]["nginx.ingress.kubernetes.io/canary-weight"] == "0"


async def test_a_rollout_that_its_controller_overlooks() -> None:
    """Somebody wrote to the primary just as its rollout began, so nobody else counts its deadline: we do."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release()
    await pair.stage.set_image("sick", "sick", image("sick", "brokenprimary"), "sick")
    await pair.tells(r"sick-primary\.sick not ready: waiting for rollout to finish: 1 out of 2")
    status = (await pair.stage.get("Deployment", "sick-primary", "sick"))["status"]
    before = [entry | {"reason": "NewReplicaSetAvailable"} for entry in status["conditions"]]
    await pair.stage.patch("Deployment", "sick-primary/status", {"status": {"conditions": before}}, "sick")
    await pair.phase("sick", "Failed", seconds=DEADLINE_SECONDS + 5)
    assert (await pair.traffic())[0]["nginx.ingress.kubernetes.io/canary-weight"] == "100"


# Templates of queries -----------------------------------------------------------------------------------------------

TEMPLATES: dict[str, tuple[str, str]] = {
    "an unknown function": ("{{ evil }}", r"evil"),
    "an attribute of Python": ("{{ name.__class__ }}", r"[tT]emplate|__class__"),
    "a loop without end": ('{{ range $x := 1 }}{{ template "a" }}{{ end }}', r"[tT]emplate|range"),
    "a bracket too few": ('sum(rate(x{a="{{ name }"}[1m]))', r"[tT]emplate"),
    "too much of it": ('{{ printf "%999999999s" name }}', r"[tT]emplate|too"),
}


@pytest.mark.parametrize("trouble", TEMPLATES)
async def test_a_template_with(trouble: str) -> None:
    """It is never sent; what is wrong with it is told before a release, which does not begin."""
    query, pattern = TEMPLATES[trouble]
    asked: list[str] = []

    async def listen(request: HttpRequest) -> HttpAnswer | None:
        asked.append(request.url)
        return None

    pair = Pair(sick=listen)
    metric = {**ERRORS, "templateRef": {"name": "errors"}}
    await pair.begin(spoilt=canary("sick", analysis=analysis(metrics=[metric])))
    provider = {"type": "prometheus", "address": "http://prometheus.sick"}
    template = {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "errors"}}
    await pair.stage.create({**template, "spec": {"provider": provider, "query": query}}, "sick")
    await pair.phase("sick", "Initialized")
    before = await pair.traffic()
    await pair.release("calm", "sick")
    await pair.tells(rf"Warning .*({pattern})")
    await pair.calm_is_prompt()
    await pair.is_blocked("Manifest", pattern)
    assert (await pair.stage.status("sick", "sick"))["phase"] == "Initialized" and await pair.traffic() == before
    assert not [url for url in asked if "/api/v1/query" in url and "vector" not in url]


# Deleting ------------------------------------------------------------------------------------------------------------

DELETED = (
    ("Service", "sick"),
    ("Service", "sick-canary"),
    ("Service", "sick-primary"),
    ("Ingress", "sick-canary"),
)


@pytest.mark.parametrize("at", [STEP, MAX])
@pytest.mark.parametrize("kind, name", DELETED)
async def test_what_we_made_is_deleted(kind: str, name: str, at: int) -> None:
    """It comes back with the weight of then, and the release ends well."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.weight(at)
    before = (await pair.traffic())[0]
    await pair.stage.delete(kind, name, "sick")
    await pair.stage.clock.sleep(2)
    assert (await pair.stage.get(kind, name, "sick"))["metadata"]["name"] == name
    assert (await pair.traffic())[0] == before
    await pair.calm_is_prompt()
    await pair.phase("sick", "Succeeded")


@pytest.mark.parametrize("kind, name", (*DELETED, ("ConfigMap", "sick-env-primary"), ("Deployment", "sick-primary")))
async def test_what_we_made_is_deleted_at_rest(kind: str, name: str) -> None:
    """It comes back, and the next release is none the worse for it."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    before = await pair.traffic()
    await pair.stage.delete(kind, name, "sick")
    await pair.stage.clock.sleep(5)
    assert (await pair.stage.get(kind, name, "sick"))["metadata"]["name"] == name
    assert (await pair.traffic())[:2] == before[:2]
    await pair.release("calm", "sick")
    await pair.calm_is_prompt()
    await pair.phase("sick", "Succeeded")


@pytest.mark.parametrize("kind", ["Ingress", "Deployment"])
async def test_what_others_made_is_deleted(kind: str) -> None:
    """It is told, nobody else waits, and the release goes on when it is back."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.weight(STEP)
    kept = await pair.stage.get(kind, "sick", "sick")
    await pair.stage.delete(kind, "sick", "sick")
    await pair.tells(rf"{kind.lower()} sick\.sick get query error")
    await pair.calm_is_prompt()
    assert (await pair.traffic())[2][1]["containers"][0]["image"] == image("sick", "1")
    own = {key: kept["metadata"][key] for key in ("name", "labels", "annotations") if key in kept["metadata"]}
    fresh: dict[str, Any] = {**{key: kept[key] for key in ("apiVersion", "kind", "spec")}, "metadata": own}
    await pair.stage.create(fresh, "sick")
    await pair.phase("sick", "Succeeded")


async def test_the_primary_is_deleted() -> None:
    """In a release there is nothing to restore it from but the new version: that is told, traffic holds."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.weight(STEP)
    await pair.stage.delete("Deployment", "sick-primary", "sick")
    await pair.tells(r"sick-primary\.sick.*(does not exist|not ready)")
    await pair.calm_is_prompt()


@pytest.mark.parametrize("at", [0, STEP, MAX])
async def test_the_namespace_is_deleted(at: int) -> None:
    """The operator goes on for everybody else and forgets what was there."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.weight(at)
    await pair.stage.client.call("DELETE", "/api/v1/namespaces/sick")
    await pair.calm_is_prompt()
    lines = pair.operator.metrics().decode().splitlines()
    assert not [line for line in lines if "flagger_canary_status" in line and 'namespace="sick"' in line]
    totals = [line for line in lines if line.startswith("flagger_canary_total{")]
    assert sorted(totals) == [f'flagger_canary_total{{namespace="{name}"}} {count}' for name, count in TOTALS]


# Ourselves -----------------------------------------------------------------------------------------------------------


async def test_a_bug_of_ours_stays_with_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as ours, tried again with pauses, and nobody else notices."""
    right = Checks.run

    async def broken(self: Checks, need: Any, which: Any) -> Any:
        if which.metadata.name == "sick":
            raise ZeroDivisionError("a bug")
        return await right(self, need, which)

    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    monkeypatch.setattr(Checks, "run", broken)
    await pair.release("calm", "sick")
    await pair.tells(r"ZeroDivisionError: a bug")
    await pair.calm_is_prompt()
    assert pair.operator.controller.wedged() is None
    monkeypatch.setattr(Checks, "run", right)
    await pair.phase("sick", "Succeeded")


async def test_a_bug_in_rendering_changes_no_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be rendered is not written, whoever is asked."""
    right = Renderer.route

    def broken(self: Renderer, seen: Any, *rest: Any, **more: Any) -> Any:
        if seen.compiled.canary.metadata.name == "sick":
            raise RuntimeError("a bug")
        return right(self, seen, *rest, **more)

    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    before = await pair.traffic()
    monkeypatch.setattr(Renderer, "route", broken)
    await pair.release("calm", "sick")
    await pair.tells(r"RuntimeError: a bug")
    await pair.calm_is_prompt()
    assert await pair.traffic() == before
