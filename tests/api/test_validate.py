"""What makes a well-formed Canary senseless: each rule, and all of them at once."""

from __future__ import annotations

from typing import Any

import pytest
from manifests import GOOD, analysed, good

from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.api.parse import parse_canary, validate

KNOWN = ("gatewayapi:", "kubernetes", "knative", "nginx")
NGINX = Capabilities(weights=True, ab=True)
KNATIVE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}
MATCH = [{"headers": {"x-user": {"exact": "insider"}}}]
LONG = "a" * 250
METRIC = {"name": "m", "query": "q"}


def problems(
    manifest: dict[str, Any],
    provider: str = "nginx",
    capabilities: Capabilities = NGINX,
    *,
    no_cross_namespace: bool = True,
) -> tuple[Problem, ...]:
    """What is found in a manifest."""
    return validate(
        parse_canary(manifest),
        provider=provider,
        capabilities=capabilities,
        known_providers=KNOWN,
        no_cross_namespace=no_cross_namespace,
    )


def hook(**changes: Any) -> dict[str, Any]:
    """A hook with a change."""
    return {"name": "load", "url": "http://load/", **changes}


TABLE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "provider of the canary": (good(provider="ngnix"), "ngnix", "spec.provider", "'ngnix' is not a known traffic"),
    "provider of the operator": (GOOD, "ngnix", "-mesh-provider", "-mesh-provider 'ngnix' is not a known traffic"),
    "upstream elsewhere": (
        good(upstreamRef={"apiVersion": "v1", "kind": "Upstream", "name": "up", "namespace": "other"}),
        "nginx",
        "spec.upstreamRef.namespace",
        "can't access gloo upstream up.other, cross-namespace references are blocked",
    ),
    "template elsewhere": (
        analysed(metrics=[{"name": "m", "templateRef": {"name": "t", "namespace": "other"}}]),
        "nginx",
        "spec.analysis.metrics[0].templateRef.namespace",
        "can't access metric template t.other, cross-namespace references are blocked",
    ),
    "alert provider elsewhere": (
        analysed(alerts=[{"name": "a", "providerRef": {"name": "p", "namespace": "other"}}]),
        "nginx",
        "spec.analysis.alerts[0].providerRef.namespace",
        "can't access alert provider p.other, cross-namespace references are blocked",
    ),
    "knative target of another provider": (
        good(targetRef=KNATIVE),
        "nginx",
        "spec.provider",
        "can't use nginx provider with Knative Service as target",
    ),
    "deployment with knative": (
        good(provider="knative"),
        "knative",
        "spec.targetRef",
        "can't use apps/v1/Deployment as target if provider is set to knative",
    ),
    "autoscaler of a knative service": (
        good(targetRef=KNATIVE, autoscalerRef={"apiVersion": "a", "kind": "HorizontalPodAutoscaler", "name": "h"}),
        "knative",
        "spec.autoscalerRef",
        "can't use autoscaler with Knative Service",
    ),
    "no service": (good(service=None), "nginx", "spec.service", "spec.service is required"),
    "maxWeight over 100": (analysed(maxWeight=101), "nginx", "spec.analysis.maxWeight", "is 101, but must be between"),
    "stepWeight over 100": (analysed(stepWeight=101), "nginx", "spec.analysis.stepWeight", "between 0 and 100"),
    "negative promotion step": (
        analysed(stepWeightPromotion=-1),
        "nginx",
        "spec.analysis.stepWeightPromotion",
        "is -1, but must be between 0 and 100",
    ),
    "mirrorWeight over 100": (analysed(mirrorWeight=200), "nginx", "spec.analysis.mirrorWeight", "is 200"),
    "primary threshold over 100": (
        analysed(primaryReadyThreshold=101),
        "nginx",
        "spec.analysis.primaryReadyThreshold",
        "is 101",
    ),
    "canary threshold under 0": (
        analysed(canaryReadyThreshold=-1),
        "nginx",
        "spec.analysis.canaryReadyThreshold",
        "is -1",
    ),
    "negative iterations": (analysed(iterations=-3), "nginx", "spec.analysis.iterations", "is -3"),
    "a step of nothing": (
        analysed(stepWeights=[0, 10]),
        "nginx",
        "spec.analysis.stepWeights[0]",
        "is 0, but must be between 1 and 100",
    ),
    "a step over everything": (
        analysed(stepWeights=[50, 120]),
        "nginx",
        "spec.analysis.stepWeights[1]",
        "is 120, but must be between 1 and 100",
    ),
    "unordered steps": (
        analysed(stepWeights=[10, 30, 20]),
        "nginx",
        "spec.analysis.stepWeights[2]",
        "is 20, but must be greater than 30",
    ),
    "the same step twice": (
        analysed(stepWeights=[10, 10]),
        "nginx",
        "spec.analysis.stepWeights[1]",
        "is 10, but must be greater than 10",
    ),
    "an empty range": (
        analysed(metrics=[{"name": "m", "thresholdRange": {"min": 99, "max": 1.5}}]),
        "nginx",
        "spec.analysis.metrics[0].thresholdRange",
        "has min 99 greater than max 1.5, so no value can pass",
    ),
    "no steps": (analysed(stepWeight=None), "nginx", "spec.analysis", "has no steps, so a release would never advance"),
    "equal cookies": (
        analysed(sessionAffinity={"cookieName": "c", "primaryCookieName": "c"}),
        "nginx",
        "spec.analysis.sessionAffinity.primaryCookieName",
        "can't use the same cookie name for both primary and cookie name; please update them to be different",
    ),
    "affinity that nobody keeps": (
        analysed(sessionAffinity={"cookieName": "c"}),
        "nginx",
        "spec.analysis.sessionAffinity",
        "cannot be used: provider nginx does not support session affinity",
    ),
    "unreadable interval": (analysed(interval="soon"), "nginx", "spec.analysis.interval", "is 'soon', which is not a"),
    "interval of a day": (analysed(interval="1d"), "nginx", "spec.analysis.interval", "is '1d', which is not a"),
    "interval of nothing": (analysed(interval="0s"), "nginx", "spec.analysis.interval", "is '0s'"),
    "an instant": (analysed(interval="10ms"), "nginx", "spec.analysis.interval", "is '10ms', but must be at least 1s"),
    "interval for ever": (analysed(interval="9" * 30 + "s"), "nginx", "spec.analysis.interval", "is '9999"),
    "negative interval": (analysed(interval="-1m"), "nginx", "spec.analysis.interval", "is '-1m'"),
    "unreadable window": (
        analysed(metrics=[{"name": "m"}, {"name": "n", "interval": "1 m"}]),
        "nginx",
        "spec.analysis.metrics[1].interval",
        "is '1 m', which is not a duration such as 10s, 1m or 1m30s",
    ),
    "unreadable timeout": (
        analysed(webhooks=[hook(), hook(timeout="5")]),
        "nginx",
        "spec.analysis.webhooks[1].timeout",
        "is '5', which is not a duration",
    ),
    "primary's name": (
        good(targetRef={"name": LONG}, service={"name": "svc"}),
        "nginx",
        "spec.targetRef.name",
        "has 258 characters, the limit is 253",
    ),
    "service's name": (
        good(service={"name": "b" * 56}),
        "nginx",
        "spec.service.name",
        "has 64 characters, the limit is 63",
    ),
    "autoscaler's name": (
        good(autoscalerRef={"apiVersion": "a", "kind": "HorizontalPodAutoscaler", "name": LONG}),
        "nginx",
        "spec.autoscalerRef.name",
        "has 258 characters, the limit is 253",
    ),
}


@pytest.mark.parametrize(("manifest", "provider", "path", "text"), TABLE.values(), ids=TABLE)
def test_each_rule_names_the_field_and_the_reason(
    manifest: dict[str, Any], provider: str, path: str, text: str
) -> None:
    """One senseless field gives the one problem that names it, with something to do."""
    mine = [problem for problem in problems(manifest, provider) if problem.path == path]
    assert len(mine) == 1, problems(manifest, provider)
    assert text in mine[0].text
    assert mine[0].fault is Fault.MANIFEST
    assert mine[0].todo


def test_all_problems_come_at_once_and_nothing_else() -> None:
    """A manifest with several mistakes is told all of them, each once, and none that it has not."""
    found = problems(analysed(maxWeight=900, interval="x", stepWeights=[5, 4], webhooks=[hook(timeout="x")]))
    assert {problem.path for problem in found} == {
        "spec.analysis.maxWeight",
        "spec.analysis.stepWeights[1]",
        "spec.analysis.interval",
        "spec.analysis.webhooks[0].timeout",
    }
    assert len(found) == 4


@pytest.mark.parametrize(
    "manifest",
    [
        GOOD,
        analysed(stepWeight=None, stepWeights=[1, 50, 100]),
        analysed(stepWeight=100, maxWeight=100, interval="1s"),
        analysed(stepWeight=None, iterations=10, match=MATCH),
        analysed(interval="1m30s", metrics=[{**METRIC, "interval": "500ms"}], webhooks=[hook(timeout="1.5s")]),
        analysed(metrics=[{**METRIC, "thresholdRange": {"min": 1, "max": 1}}]),
        analysed(metrics=[{"name": "m", "templateRef": {"name": "t", "namespace": "test"}}]),
        good(targetRef={"name": "a" * 234}, service={"name": "b" * 55}),
        good(targetRef={"kind": "DaemonSet", "name": "a" * 245}, service={"name": "b" * 55}),
        good(skipAnalysis=True, analysis={"stepWeight": None}),
        good(analysis=None),
    ],
    ids=range(11),
)
def test_what_makes_sense_is_not_complained_about(manifest: dict[str, Any]) -> None:
    """The edges of every rule are inside."""
    assert problems(manifest) == ()


def test_other_namespaces_are_open_unless_they_are_closed() -> None:
    """References across namespaces are blocked by the option only."""
    manifest = analysed(metrics=[{"name": "m", "templateRef": {"name": "t", "namespace": "other"}}])
    assert problems(manifest, no_cross_namespace=False) == ()


def test_match_rules_need_a_provider_that_can() -> None:
    """A/B on a provider that routes by weight alone is refused, with those that can."""
    manifest = analysed(stepWeight=None, iterations=2, match=MATCH)
    (found,) = problems(manifest, "gatewayapi:v1", Capabilities())
    assert found.path == "spec.analysis.match"
    assert found.text == "spec.analysis.match cannot be used: provider gatewayapi:v1 does not route by header or cookie"
    assert "nginx" in found.todo


def test_the_kubernetes_provider_needs_no_steps_and_ignores_match_rules() -> None:
    """Without a mesh every release is blue/green, whatever the analysis asks."""
    manifest = analysed(stepWeight=None, match=MATCH)
    assert problems(manifest, "kubernetes", Capabilities(weights=False)) == ()


@pytest.mark.parametrize("name", ["gatewayapi:v1", "gatewayapi:v1beta1"])
def test_a_family_of_providers_is_known_by_its_head(name: str) -> None:
    """A known name that ends in a colon stands for all its versions."""
    assert problems(good(provider=name), name) == ()


def test_no_list_of_providers_means_that_any_is_accepted() -> None:
    """Who validates without knowing the providers is not told about them."""
    found = validate(parse_canary(GOOD), provider="odd", capabilities=NGINX, known_providers=())
    assert found == ()


def test_a_long_name_is_cut_in_the_text() -> None:
    """A problem stays readable when the name is not."""
    (found,) = [p for p in problems(good(targetRef={"name": LONG})) if p.path == "spec.targetRef.name"]
    assert len(found.text) < 160


# Ports and testers --------------------------------------------------------------------------------------------------

PORTED = Capabilities(ports=True, testers=True)


def ports(*more: tuple[str, int]) -> dict[str, Any]:
    """A manifest with further ports."""
    return good(service={"port": 80, "ports": [{"name": name, "port": port} for name, port in more]})


@pytest.mark.parametrize(
    "manifest, paths",
    [
        (ports(("grpc", 9000), ("admin", 9001)), []),
        (ports(("http", 9000)), ["spec.service.ports[0].name"]),
        (ports(("grpc", 80), ("grpc", 81)), ["spec.service.ports[0].port", "spec.service.ports[1].name"]),
    ],
)
def test_ports_are_told_apart_by_name_and_number(manifest: dict[str, Any], paths: list[str]) -> None:
    """The main port's name and number count too."""
    assert [problem.path for problem in problems(manifest, capabilities=PORTED)] == paths


@pytest.mark.parametrize("field", ["spec.service.ports", "spec.analysis.testers"])
def test_what_a_provider_cannot_do_is_refused_by_name(field: str) -> None:
    """Never is a wish left out silently."""
    manifest = ports(("grpc", 9000)) if "ports" in field else analysed(stepWeight=10, testers=MATCH)
    (problem,) = problems(manifest, capabilities=Capabilities())
    assert problem.path == field and "provider nginx does not" in problem.text


def test_testers_go_with_weights() -> None:
    """With iterations the same is said by match."""
    assert problems(analysed(stepWeight=10, testers=MATCH), capabilities=PORTED) == ()
    (problem,) = problems(analysed(iterations=5, testers=MATCH), capabilities=PORTED)
    assert problem.path == "spec.analysis.testers" and "match" in problem.todo
