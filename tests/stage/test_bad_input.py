"""Manifests that make no sense and references that lead nowhere: told, harmless, and mended by mending them."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.kube.errors import NotFound
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from stage.manifests import INTERVAL, analysis, canary, deployment, ingress, scaler, settings
from stage.trouble import Pair

pytestmark = pytest.mark.looptime

METRIC = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}}


def with_analysis(**more: Any) -> dict[str, Any]:
    """A change of the spec; fields that are None are left out."""
    return {"analysis": {key: value for key, value in analysis(**more).items() if value is not None}}


INSIDERS = [{"headers": {"x-insider": {"exact": "yes"}}}]


# What is wrong with the spec, and what of it has to be told.
INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "a step over 100": (with_analysis(stepWeight=500), r"spec\.analysis\.stepWeight is 500.*between 0 and 100"),
    "a fraction of a weight": (with_analysis(stepWeight=2.5), r"spec\.analysis\.stepWeight"),
    "steps that fall": (with_analysis(stepWeight=None, stepWeights=[10, 50, 30]), r"spec\.analysis\.stepWeights"),
    "a weight over 100": (with_analysis(maxWeight=150), r"spec\.analysis\.maxWeight"),
    "a last step over 100": (with_analysis(stepWeight=None, stepWeights=[50, 120]), r"stepWeights\[1\] is 120"),
    "an interval of an instant": (with_analysis(interval="10ms"), r"spec\.analysis\.interval is '10ms'"),
    "a fraction of a failure": (with_analysis(threshold=1.5), r"spec\.analysis\.threshold must be a whole number"),
    "an unknown provider": ({"provider": "ngnix"}, r"'ngnix' is not a known traffic provider"),
    "a target of another kind": (
        {"targetRef": {"apiVersion": "v1", "kind": "Pod", "name": "sick"}},
        r"Pod of v1, which flagger cannot release",
    ),
    "a port that is none": ({"service": {"port": 99999}}, r"spec\.service\.port"),
    "a hook without address": (with_analysis(webhooks=[{"name": "gate", "url": ""}]), r"webhooks\[0\]\.url"),
    "a metric without name": (with_analysis(metrics=[{**METRIC, "name": ""}]), r"metrics\[0\]\.name"),
    "a range the wrong way round": (
        with_analysis(metrics=[{**METRIC, "query": "x", "thresholdRange": {"min": 5, "max": 1}}]),
        r"metrics\[0\]\.thresholdRange",
    ),
    "a cookie's pattern, which no annotation can hold": (
        with_analysis(
            stepWeight=None, maxWeight=None, iterations=3, match=[{"headers": {"cookie": {"regex": "^(.*?;)?a=1$"}}}]
        ),
        r"spec\.analysis\.match\[0\]\.headers\.cookie cannot be expressed",
    ),
    "a header's value, which ingress-nginx ignores": (
        with_analysis(
            stepWeight=None, maxWeight=None, iterations=3, match=[{"headers": {"x-beta": {"exact": 'a"; return 200'}}}]
        ),
        r"spec\.analysis\.match\[0\]\.headers\.x-beta\.exact is .*, which ingress-nginx ignores",
    ),
    "a path that is no object": (
        {
            "provider": "gatewayapi:v1",
            "service": {"port": 80, "gatewayRefs": [{"name": "gw"}], "match": [{"uri": "/"}]},
        },
        r"spec\.service\.match\[0\]\.uri is '/', but must be an object",
    ),
    "a policy that no DestinationRule can have": (
        {"provider": "istio", "service": {"port": 80, "trafficPolicy": {"tls": {"mode": "NONE"}}}},
        r"spec\.service\.trafficPolicy\.tls\.mode is 'NONE', but must be one of DISABLE",
    ),
    "a gate that is a file": (
        with_analysis(webhooks=[{"name": "gate", "type": "confirm-rollout", "url": "file:///gate/check"}]),
        r"webhooks\[0\]\.url is not a URL that starts with http",
    ),
}


@pytest.mark.parametrize("wrong", INVALID)
async def test_an_invalid_canary_on_creation(wrong: str) -> None:
    """Nothing is generated and the target is untouched; once it is mended it is initialized."""
    spec, pattern = INVALID[wrong]
    pair = Pair()
    await pair.begin(spoilt=canary("sick", **spec))
    await pair.tells(pattern)
    await pair.release("calm")
    await pair.calm_is_prompt()
    assert await pair.traffic() == (None, None, None)
    assert (await pair.stage.get("Deployment", "sick", "sick"))["spec"]["replicas"] == 2
    await pair.is_blocked("Manifest", pattern)
    await pair.stage.delete("Canary", "sick", "sick")
    await pair.stage.create(canary("sick"), "sick")
    await pair.phase("sick", "Initialized")


@pytest.mark.parametrize("wrong", INVALID)
async def test_an_invalid_edit_in_the_middle_of_a_release(wrong: str) -> None:
    """Traffic stays where it was; once the old spec is back the release goes on to its end."""
    spec, pattern = INVALID[wrong]
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    while not (await pair.stage.status("sick", "sick")).get("canaryWeight"):
        await pair.stage.clock.sleep(0.5)
    before = await pair.traffic()
    await pair.edit(**cleared(spec))
    await pair.tells(pattern)
    await pair.calm_is_prompt()
    assert await pair.traffic() == before
    await pair.is_blocked("Manifest", pattern)
    await pair.edit(**cleared(canary("sick")["spec"]))
    await pair.phase("sick", "Succeeded")
    assert await pair.blocked() is None


@pytest.mark.parametrize(
    ("wrong", "pattern"),
    [
        ({"provider": {"type": "nagios", "region": "eu"}}, r"unknown metric provider nagios"),
        ({"query": "sum({{ targt }})"}, r"spec\.query cannot be read"),
        ({"provider": {"type": "cloudwatch", "region": "eu"}, "query": "[{}]"}, r"region 'eu' is not a region of AWS"),
        ({"provider": {"type": "keptn"}, "query": "lag"}, r"the query names no object of Keptn"),
    ],
    ids=["type", "query", "region", "query-of-keptn"],
)
async def test_a_template_that_nothing_can_be_asked_by(wrong: Obj, pattern: str) -> None:
    """It is told before anything is generated, and not in the middle of a release; mending it is enough."""
    good = {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": "vector(1)"}
    template = {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "errors"}}
    metric = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}, "templateRef": {"name": "errors"}}
    pair = Pair()
    await pair.begin(spoilt=canary("sick", **with_analysis(metrics=[metric])), without=("Ingress",))
    await pair.stage.create({**template, "spec": {**good, **wrong}}, "sick")
    await pair.stage.create(ingress("sick"), "sick")
    await pair.tells(pattern)
    await pair.release("calm", "sick")
    await pair.calm_is_prompt()
    await pair.is_blocked("Manifest", pattern)
    assert (await pair.stage.status("sick", "sick")).get("canaryWeight", 0) == 0
    await pair.stage.patch("MetricTemplate", "errors", {"spec": {**good}}, "sick")
    await pair.phase("sick", "Initialized", "Succeeded")
    assert await pair.blocked() is None


async def test_a_gate_that_never_answers() -> None:
    """It is told what went wrong and whose it is, once; nothing fails, and once it answers the release goes on."""
    answers: list[HttpAnswer] = []

    async def gate(request: HttpRequest) -> HttpAnswer | None:
        if "gate.sick" not in request.url:
            return None
        if not answers:
            raise HttpFailure("connect", "connection refused")
        return answers[-1]

    pair = Pair(sick=gate)
    hook = {"name": "gate", "type": "confirm-rollout", "url": "http://gate.sick/gate/check", "timeout": "2s"}
    await pair.begin(spoilt=canary("sick", **with_analysis(webhooks=[hook])))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.tells(r"^Warning Gate gate of sick\.sick gave no answer that opens or closes it: .*connection refused")
    await pair.calm_is_prompt()
    conditions = {each["type"]: each for each in (await pair.stage.status("sick", "sick"))["conditions"]}
    assert conditions["Halted"]["reason"] == "Hook" and "connection refused" in conditions["Halted"]["message"]
    assert "Gate gate gave no usable answer since " in conditions["Promoted"]["message"]
    assert len([text for text in await pair.told() if "gave no answer" in text]) == 1
    answers.append(HttpAnswer(403))
    await pair.stage.clock.sleep(INTERVAL + 1)
    conditions = {each["type"]: each for each in (await pair.stage.status("sick", "sick"))["conditions"]}
    assert "Halted" not in conditions and "http://gate.sick/gate/open" in conditions["Promoted"]["message"]
    answers.append(HttpAnswer(200))
    await pair.phase("sick", "Succeeded")


LONG = "customer-notification-preferences-service-production-eu-west"


def labelled(value: str) -> Obj:
    """The sick target with another value of the label that it selects by."""
    target = deployment("sick")
    target["spec"]["selector"]["matchLabels"] = target["spec"]["template"]["metadata"]["labels"] = {"app": value}
    return target


async def test_a_label_that_the_primary_would_make_too_long() -> None:
    """Nothing is written and the path and the limit are named; a shorter label is initialized."""
    pair = Pair()
    await pair.begin(without=("Deployment",))
    await pair.stage.create(labelled(LONG), "sick")
    pattern = r"matchLabels\.app: .* with the primary's suffix -primary has 68 characters, the limit is 63"
    await pair.tells(pattern)
    await pair.is_blocked("Manifest", pattern)
    for kind, name in (("Service", "sick-primary"), ("Service", "sick-canary"), ("Deployment", "sick-primary")):
        with pytest.raises(NotFound):
            await pair.stage.get(kind, name, "sick")
    await pair.stage.delete("Deployment", "sick", "sick")
    await pair.stage.create(labelled(LONG[:55]), "sick")
    await pair.phase("sick", "Initialized")
    assert await pair.blocked() is None


async def test_an_invalid_edit_at_rest() -> None:
    """The last valid one stays as it is, idle: a new image starts nothing until the spec is mended, and then does."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    before = await pair.traffic()
    await pair.edit(**with_analysis(maxWeight=150))
    await pair.tells(r"spec\.analysis\.maxWeight")
    await pair.release("calm", "sick")
    await pair.calm_is_prompt()
    assert await pair.traffic() == before
    assert (await pair.stage.status("sick", "sick"))["phase"] == "Initialized"
    await pair.is_blocked("Manifest", r"spec\.analysis\.maxWeight is 150")
    await pair.edit(**cleared(canary("sick")["spec"]))
    await pair.phase("sick", "Progressing", seconds=5)
    await pair.phase("sick", "Succeeded")
    assert await pair.blocked() is None


def cleared(spec: dict[str, Any]) -> dict[str, Any]:
    """A merge patch that also takes away what other cases set."""
    fields = ("stepWeight", "stepWeights", "iterations", "match", "webhooks", "alerts")
    empty = dict.fromkeys(fields)
    return {key: {**empty, **part} if key == "analysis" else part for key, part in spec.items()}


SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "sick"}

# What is missing, what is told of it, and what brings the canary to its feet.
MISSING: dict[str, tuple[Obj, tuple[str, ...], str, Obj]] = {
    "target": (
        canary("sick"),
        ("Deployment",),
        r"deployment sick\.sick get query error.*not found",
        deployment("sick"),
    ),
    "Ingress": (canary("sick"), ("Ingress",), r"ingress sick\.sick get query error.*not found", ingress("sick")),
    "ConfigMap": (canary("sick"), ("ConfigMap",), r"sick-env.*not found", settings("sick")),
    "autoscaler": (
        canary("sick", autoscalerRef=SCALER),
        (),
        r"HorizontalPodAutoscaler sick.*not found",
        scaler("sick"),
    ),
}


@pytest.mark.parametrize("what", MISSING)
async def test_something_is_missing(what: str) -> None:
    """It is named; nothing is released and nobody else waits; when it comes, things go on by themselves."""
    spoilt, without, pattern, mend = MISSING[what]
    pair = Pair()
    await pair.begin(spoilt=spoilt, without=without)
    await pair.tells(pattern)
    await pair.release("calm")
    await pair.calm_is_prompt()
    assert (await pair.stage.status("sick", "sick")).get("phase") in ("", None, "Initializing")
    await pair.is_blocked("Manifest", pattern)
    await pair.stage.create(mend, "sick")
    await pair.phase("sick", "Initialized", seconds=5)
    assert await pair.blocked() is None


async def test_a_kind_is_missing() -> None:
    """A kind that is not installed is named with what to do, and only on the canary that needs it."""
    pair = Pair()
    keda = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "sick"}
    await pair.begin(spoilt=canary("sick", autoscalerRef=keda))
    text = await pair.tells(r"does not serve scaledobjects\.keda\.sh in version v1alpha1")
    assert "its CustomResourceDefinition is not installed" in text
    assert not [told for told in await pair.told() if "not found" in told]
    await pair.release("calm")
    await pair.calm_is_prompt()
    blocked = await pair.blocked() or {}
    assert blocked["message"].startswith(text.removeprefix("Warning "))
    assert "Install scaledobjects.keda.sh" in blocked["message"]
    assert pair.operator.unready() is None
    await pair.edit(autoscalerRef=None)
    await pair.phase("sick", "Initialized")


GOOD = {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": "vector(1)"}
BY_TEMPLATE = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}, "templateRef": {"name": "errors"}}


def template(**provider: Any) -> Obj:
    """A MetricTemplate."""
    spec = {**GOOD, "provider": {**GOOD["provider"], **provider}}  # type: ignore[dict-item]
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "errors"},
        "spec": spec,
    }


def secret() -> Obj:
    """What a template refers to."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"token": "a"}}


async def waits_for_it(pair: Pair, pattern: str) -> None:
    """An idle canary says what is missing, its release does not begin, and the other canary is not held up."""
    await pair.tells(pattern)
    await pair.is_blocked("Manifest", pattern)
    await pair.release("calm", "sick")
    await pair.calm_is_prompt()
    await pair.stage.clock.sleep(60)
    status = await pair.stage.status("sick", "sick")
    assert (status["phase"], status.get("canaryWeight", 0)) == ("Initialized", 0)
    await pair.is_blocked("Manifest", pattern)


async def test_a_template_is_missing() -> None:
    """It is told before a release, with the template's name; the release begins once the template is there."""
    pair = Pair()
    await pair.begin(spoilt=canary("sick", analysis=analysis(metrics=[BY_TEMPLATE])))
    await pair.phase("sick", "Initialized")
    await waits_for_it(pair, r"errors\.sick error.*not found")
    await pair.is_blocked("Manifest", r"not found.*Create the MetricTemplate")
    await pair.stage.create(template(), "sick")
    await pair.phase("sick", "Succeeded")
    assert await pair.blocked() is None
    await pair.stage.delete("MetricTemplate", "errors", "sick")
    await pair.stage.clock.sleep(2)
    await pair.is_blocked("Manifest", r"not found")


async def test_the_secret_of_a_template_is_missing() -> None:
    """As with the template. One that is deleted while the canary rests is told of at once."""
    pair = Pair()
    await pair.begin(spoilt=canary("sick", analysis=analysis(metrics=[BY_TEMPLATE])))
    await pair.stage.create(template(secretRef={"name": "token"}), "sick")
    await pair.phase("sick", "Initialized")
    await waits_for_it(pair, r'secret token error: secrets "token" not found')
    await pair.is_blocked("Manifest", r"Create the Secret in namespace sick")
    await pair.stage.create(secret(), "sick")
    await pair.phase("sick", "Succeeded")
    assert await pair.blocked() is None
    await pair.stage.delete("Secret", "token", "sick")
    await pair.stage.clock.sleep(2)
    await pair.is_blocked("Manifest", r'secrets "token" not found')
    await pair.stage.create(secret(), "sick")
    await pair.stage.clock.sleep(2)
    assert await pair.blocked() is None


async def test_a_template_is_deleted_in_a_release() -> None:
    """Each round fails with the template's name, and the release is rolled back."""
    pair = Pair()
    await pair.begin(spoilt=canary("sick", analysis=analysis(metrics=[BY_TEMPLATE])))
    await pair.stage.create(template(), "sick")
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.phase("sick", "Progressing")
    await pair.stage.delete("MetricTemplate", "errors", "sick")
    await pair.tells(r"errors.*not found")
    await pair.calm_is_prompt()
    await pair.phase("sick", "Failed")
    await pair.is_halted("Manifest", r"errors.*not found.*Create the MetricTemplate")


async def test_two_canaries_for_one_target() -> None:
    """The newer one is blocked and names the older one, whose releases go on."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    second = canary("sick")
    second["metadata"] = {"name": "second"}
    await pair.stage.create(second, "sick")
    await pair.stage.clock.sleep(30)
    listed = await pair.stage.client.call("GET", "/api/v1/namespaces/sick/events")
    texts = [e["message"] for e in listed["items"] if e["involvedObject"]["name"] == "second"]
    assert any("sick" in text and "target" in text for text in texts), texts
    blocked = await pair.blocked("second") or {}
    assert blocked["reason"] == "Manifest" and "Delete one of the two" in blocked["message"]
    await pair.release("calm", "sick")
    await pair.calm_is_prompt()
    await pair.phase("sick", "Succeeded")
    assert (await pair.stage.status("second", "sick")).get("phase") in ("", None)


async def test_an_ingress_that_sends_to_the_wrong_port() -> None:
    """Both ports are named, and no release begins while visitors would get 503."""
    pair = Pair()
    await pair.begin(without=("Ingress",))
    await pair.stage.create(ingress("sick", port=8080), "sick")
    text = await pair.tells(r"sends to port 8080 of service sick, but spec\.service\.port is 80")
    assert text.startswith("Warning")
    await pair.stage.clock.sleep(5)
    await pair.is_blocked("Manifest", r"port 8080")


async def test_pods_without_a_selector_label() -> None:
    """The labels that would do are named."""
    pair = Pair()
    await pair.begin(without=("Deployment",))
    target = deployment("sick")
    target["spec"]["selector"] = {"matchLabels": {"color": "red"}}
    target["spec"]["template"]["metadata"] = {"labels": {"color": "red"}}
    await pair.stage.create(target, "sick")
    await pair.tells(r"app.*name.*app\.kubernetes\.io/name")
    await pair.stage.clock.sleep(5)
    await pair.is_blocked("Manifest", r"app\.kubernetes\.io/name")
    await pair.release("calm")
    await pair.calm_is_prompt()


async def test_insiders_where_there_are_none() -> None:
    """Plain Services cannot tell visitors apart: that is told, and the release is a blue/green one that nobody sees."""
    spec = {"provider": "kubernetes", **with_analysis(stepWeight=None, maxWeight=None, iterations=2, match=INSIDERS)}
    pair = Pair()
    await pair.begin(spoilt=canary("sick", **spec))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.tells(r"A/B testing is not supported when using the kubernetes provider")
    await pair.calm_is_prompt()
    await pair.phase("sick", "Succeeded")
    assert (await pair.traffic())[0] is None


async def test_names_that_are_too_long() -> None:
    """A name whose primary's name would be too long for a Service is refused by name."""
    name = "s" * 60
    pair = Pair()
    await pair.begin(spoilt=canary("sick", service={"port": 80, "targetPort": 8080, "name": name}))
    await pair.tells(r"spec\.service\.name is too long.* 68 characters, the limit is 63")
    assert await pair.traffic() == (None, None, None)


async def test_bounds_that_cross_those_of_the_autoscaler() -> None:
    """Told before the apex Service is taken over, and mended by mending them."""
    ref = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "sick"}
    pair = Pair()
    await pair.begin(spoilt=canary("sick", autoscalerRef={**ref, "primaryScalerReplicas": {"minReplicas": 50}}))
    await pair.stage.create(scaler("sick"), "sick")
    await pair.tells(r"primaryScalerReplicas and HorizontalPodAutoscaler sick result in a minimum of 50")
    await pair.is_blocked("Manifest", r"result in a minimum of 50")
    with pytest.raises(NotFound):
        await pair.stage.get("Service", "sick", "sick")
    assert (await pair.stage.get("Deployment", "sick", "sick"))["spec"]["replicas"] == 2
    await pair.edit(autoscalerRef={"primaryScalerReplicas": {"minReplicas": 2}})
    await pair.phase("sick", "Initialized")
