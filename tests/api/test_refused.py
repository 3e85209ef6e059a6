"""What no API server, data plane or HTTP client would take: refused before anything is written, edges included."""

from __future__ import annotations

from typing import Any

import pytest
from manifests import analysed, good

from pyflagger.api import shapes
from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.api.parse import parse_canary, validate

ALL = Capabilities(ab=True, mirror=True, mirror_steps=True, affinity=True, ports=True, testers=True)
L63, L64 = "a" * 63, "a" * 64


def problems(manifest: dict[str, Any], provider: str = "nginx") -> tuple[Problem, ...]:
    """What is found in a manifest whose provider can do everything."""
    return validate(parse_canary(manifest), provider=provider, capabilities=ALL, known_providers=())


def matching(**match: Any) -> dict[str, Any]:
    """An A/B analysis with one condition."""
    return analysed(stepWeight=None, iterations=2, match=[match])


def hooked(url: str) -> dict[str, Any]:
    """A gate at an address."""
    return analysed(webhooks=[{"name": "gate", "type": "confirm-rollout", "url": url}])


RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
GATE = {"type": "confirm-promotion", "name": "qa", "url": "http://gates/qa"}


def compared(*metrics: Any, **more: Any) -> dict[str, Any]:
    """An analysis with comparisons: settings of `compare`, or whole metrics."""
    return analysed(metrics=[each if "name" in each else {**RATE, "compare": each} for each in metrics], **more)


COMPARE = "spec.analysis.metrics[0].compare"

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a comparison of a query": (
        compared({"name": "lag", "query": "q", "compare": {}}),
        COMPARE,
        "is only possible for a built-in metric",
    ),
    "a comparison twice": (compared({}, {}), COMPARE.replace("[0]", "[1]"), "is set twice for request-success-rate"),
    "a comparison in an A/B test": (
        compared({}, stepWeight=None, iterations=2, match=[{"headers": {"x": {"exact": "y"}}}]),
        COMPARE,
        "needs visitors on both versions by lot",
    ),
    "a comparison in units of nothing": (compared({"unit": "0s"}), f"{COMPARE}.unit", "of 1s or more"),
    "a warm-up in words": (compared({"warmUp": "1 hour"}), f"{COMPARE}.warmUp", "not a duration such as 30s"),
    "a bake in words": (
        analysed(bake={"duration": "long"}, metrics=[RATE]),
        "spec.analysis.bake.duration",
        "not a duration such as 30s",
    ),
    "a bake without metrics": (
        analysed(bake={"duration": "5m"}, metrics=[]),
        "spec.analysis.bake",
        "has nothing to judge by",
    ),
    "alpha without a comparison": (
        analysed(compare={"alpha": 0.05}),
        "spec.analysis.compare",
        "has no effect, because no metric has compare",
    ),
    "a target with a dot": (good(targetRef={"name": "web.v2"}), "spec.targetRef.name", "name 'web.v2-primary'"),
    "a target that begins with a digit": (
        good(targetRef={"name": "2048"}),
        "spec.targetRef.name",
        "start with a letter",
    ),
    "a service with a dot": (good(service={"name": "web.v2"}), "spec.service.name", "name 'web.v2-primary'"),
    "a service in capitals": (good(service={"name": "Web"}), "spec.service.name", "only lowercase letters"),
    "a target without room for hashes": (
        good(targetRef={"name": "a" * 235}, service={"name": "web"}),
        "spec.targetRef.name",
        "has 243 characters, the limit is 242",
    ),
    "an ingress without room": (
        good(ingressRef={"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "a" * 247}),
        "spec.ingressRef.name",
        "has 254 characters, the limit is 253",
    ),
    "an autoscaler in capitals": (
        good(autoscalerRef={"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "Web"}),
        "spec.autoscalerRef.name",
        "only lowercase letters",
    ),
    "a scaled object without room for its label": (
        good(autoscalerRef={"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "a" * 56}),
        "spec.autoscalerRef.name",
        "has 64 characters, the limit is 63",
    ),
    "annotations beyond the limit of an object": (
        good(service={"primary": {"annotations": {"a": "b" * 262144}}}),
        "spec.service.primary.annotations",
        "has 262145 bytes, the limit is 262144",
    ),
    "bounds the wrong way round": (
        good(
            autoscalerRef={
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "name": "web",
                "primaryScalerReplicas": {"minReplicas": 5, "maxReplicas": 2},
            }
        ),
        "spec.autoscalerRef.primaryScalerReplicas",
        "has minReplicas 5 greater than maxReplicas 2",
    ),
    "a long port name": (
        good(service={"portName": L64}),
        "spec.service.portName",
        "has 64 characters, the limit is 63",
    ),
    "a port name in capitals": (good(service={"portName": "HTTP"}), "spec.service.portName", "only lowercase letters"),
    "a long target port": (
        good(service={"targetPort": "a-port-of-16-abc"}),
        "spec.service.targetPort",
        "has 16 characters, the limit is 15",
    ),
    "a target port of digits": (
        good(service={"targetPort": "9898"}),
        "spec.service.targetPort",
        "is the string '9898', which is not a port name",
    ),
    "a further port in capitals": (
        good(service={"ports": [{"name": "GRPC", "port": 9999}]}),
        "spec.service.ports[0].name",
        "only lowercase letters",
    ),
    "an application protocol": (
        good(service={"appProtocol": "http 2"}),
        "spec.service.appProtocol",
        "must have the form name or example.com/name",
    ),
    "a distribution": (
        good(service={"trafficDistribution": "Nearest"}),
        "spec.service.trafficDistribution",
        "is 'Nearest'",
    ),
    "a long label": (
        good(service={"apex": {"labels": {"team": L64}}}),
        "spec.service.apex.labels.team",
        "has 64 characters, the limit is 63",
    ),
    "a label's value": (
        good(service={"canary": {"labels": {"team": "web shop"}}}),
        "spec.service.canary.labels.team",
        "letters, digits, '-', '_' and '.'",
    ),
    "an annotation's key": (
        good(service={"primary": {"annotations": {"our key": "x"}}}),
        "spec.service.primary.annotations.our key",
        "has an invalid key",
    ),
    "a file as hook": (
        hooked("file:///etc/passwd"),
        "spec.analysis.webhooks[0].url",
        "starts with http:// or https://",
    ),
    "a gate of people that is no gate": (
        analysed(webhooks=[{"name": "gate", "type": "rollout", "url": "flagger://gate"}]),
        "spec.analysis.webhooks[0].url",
        "starts with http://",
    ),
    "a hook without scheme": (hooked("loadtester.test/gate"), "spec.analysis.webhooks[0].url", "starts with http://"),
    "a hook's port": (
        hooked("http://loadtester:99999/"),
        "spec.analysis.webhooks[0].url",
        "its port is greater than 65535",
    ),
    "a hook's port 0": (hooked("http://loadtester:0/"), "spec.analysis.webhooks[0].url", "port 0"),
    "a hook without host": (hooked("http:///gate"), "spec.analysis.webhooks[0].url", "has no host"),
    "a hook's host": (
        hooked("http://load_tester..test/"),
        "spec.analysis.webhooks[0].url",
        "has the invalid host name",
    ),
    "a hook with a space": (hooked("http://loadtester/ gate"), "spec.analysis.webhooks[0].url", "contains a space"),
    "a metrics server": (
        good(metricsServer="prometheus:9090"),
        "spec.metricsServer",
        "starts with http:// or https://",
    ),
    "a match of everybody": (matching(headers={}), "spec.analysis.match[0]", "it would match every request"),
    "a header's name": (
        matching(headers={"x insider": {"exact": "1"}}),
        "spec.analysis.match[0].headers.x insider",
        "is not a valid name of a header",
    ),
    "a header in two ways": (
        matching(headers={"x-insider": {"exact": "1", "regex": "2"}}),
        "spec.analysis.match[0].headers.x-insider",
        "sets exact and regex, but only one is allowed",
    ),
    "a pattern that is none": (
        matching(headers={"x-insider": {"regex": "(yes"}}),
        "spec.analysis.match[0].headers.x-insider.regex",
        "is not a valid regular expression: missing )",
    ),
    "a parameter's pattern": (
        matching(queryParams={"beta": {"regex": "[yes"}}),
        "spec.analysis.match[0].queryParams.beta.regex",
        "unterminated character set",
    ),
    "a cookie's name": (
        analysed(sessionAffinity={"cookieName": "our cookie"}),
        "spec.analysis.sessionAffinity.cookieName",
        "not a valid name of a header or cookie",
    ),
    "a request's time": (
        good(service={"timeout": "soon"}),
        "spec.service.timeout",
        "is 'soon', which is not a duration",
    ),
    "a try's time": (
        good(service={"retries": {"attempts": 3, "perTryTimeout": "1"}}),
        "spec.service.retries.perTryTimeout",
        "is '1', which is not a duration",
    ),
    "attempts under none": (
        good(service={"retries": {"attempts": -1}}),
        "spec.service.retries.attempts",
        "but must be 0 or more",
    ),
    "a metric that asks nothing": (
        analysed(metrics=[{"name": "errors", "thresholdRange": {"max": 1}}]),
        "spec.analysis.metrics[0]",
        "(errors) has no query",
    ),
    "a deadline that is no time": (
        analysed(webhooks=[{**GATE, "metadata": {"deadline": "tomorrow", "default": "abort"}}]),
        "spec.analysis.webhooks[0].metadata.deadline",
        "is 'tomorrow', which is not a duration",
    ),
    "a deadline of no time": (
        analysed(webhooks=[{**GATE, "metadata": {"deadline": "0s", "default": "abort"}}]),
        "spec.analysis.webhooks[0].metadata.deadline",
        "is '0s', which is not a duration",
    ),
    "a deadline without a default": (
        analysed(webhooks=[{**GATE, "metadata": {"deadline": "2h"}}]),
        "spec.analysis.webhooks[0].metadata.default",
        "is missing, but a gate with a deadline needs abort or open",
    ),
    "a deadline with an unknown default": (
        analysed(webhooks=[{**GATE, "metadata": {"deadline": "2h", "default": "hold"}}]),
        "spec.analysis.webhooks[0].metadata.default",
        "is 'hold', but a gate with a deadline needs abort or open",
    ),
    "a default without a deadline": (
        analysed(webhooks=[{**GATE, "metadata": {"default": "open"}}]),
        "spec.analysis.webhooks[0].metadata.default",
        "has no effect without deadline",
    ),
    "a silence that is no time": (
        analysed(metrics=[{**RATE, "noData": "wait", "noDataAfter": "soon"}]),
        "spec.analysis.metrics[0].noDataAfter",
        "is 'soon', which is not a duration",
    ),
    "a delay that is no time": (
        analysed(metrics=[{**RATE, "initialDelay": "1"}]),
        "spec.analysis.metrics[0].initialDelay",
        "is '1', which is not a duration",
    ),
    "a silence that fails at once": (
        analysed(metrics=[{**RATE, "noDataAfter": "1m"}]),
        "spec.analysis.metrics[0].noDataAfter",
        "has no effect",
    ),
    "samples that nobody counts": (
        analysed(metrics=[{"name": "lag", "query": "q", "thresholdRange": {"max": 1}, "minSamples": 5}]),
        "spec.analysis.metrics[0].minSamples",
        "needs samplesQuery",
    ),
    "samples that nobody needs": (
        analysed(metrics=[{"name": "lag", "query": "q", "thresholdRange": {"max": 1}, "samplesQuery": "n"}]),
        "spec.analysis.metrics[0].samplesQuery",
        "without minSamples",
    ),
    "requests counted twice": (
        analysed(metrics=[{**RATE, "minSamples": 5, "samplesQuery": "n"}]),
        "spec.analysis.metrics[0].samplesQuery",
        "on a built-in metric",
    ),
}


@pytest.mark.parametrize(("manifest", "path", "text"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_refused_later_is_refused_now(manifest: dict[str, Any], path: str, text: str) -> None:
    """One problem, with its path, what is wrong, whose it is, and what to do."""
    (found,) = problems(manifest)
    assert (found.path, found.fault) == (path, Fault.MANIFEST)
    assert text in found.text and found.todo


@pytest.mark.parametrize(
    "manifest",
    [
        good(service={"name": "b" * 55}),
        good(service={"targetPort": "a-port-of-15-ab", "portName": "grpc-web", "appProtocol": "kubernetes.io/h2c"}),
        good(service={"targetPort": "0", "trafficDistribution": "PreferClose"}),
        good(service={"targetPort": ""}),
        good(service={"apex": {"labels": {"a.b/c_d": L63, "empty": ""}, "annotations": {"x": "any thing" * 99}}}),
        good(service={"timeout": "15s", "retries": {"attempts": 0, "perTryTimeout": "1m30s"}}),
        hooked("https://user:secret@hooks.example.com:8443/gate?token=1"),
        hooked("http://[::1]:8080/gate"),
        hooked("HTTP://flagger-loadtester.test/gate/check"),
        hooked("http://müller.example/"),
        good(metricsServer="http://prometheus.istio-system:9090"),
        matching(headers={"cookie": {"regex": r"^(.*?;)?(canary=always)(;.*)?$"}}),
        matching(headers={"user-agent": {"regex": r"(?i).*Firefox(?P<n>\d+)++"}, "x": {"prefix": "a"}}),
        matching(headers={"x-insider": {"regex": r"a(?i)b"}}),
        analysed(metrics=[{"name": "request-duration"}, {"name": "m", "query": "q"}]),
        analysed(webhooks=[{**GATE, "metadata": {"deadline": "1h30m", "default": "open"}}]),
        analysed(webhooks=[{**GATE, "metadata": {"default": "theirs"}}]),
        analysed(webhooks=[{**GATE, "type": "rollout", "metadata": {"deadline": "soon", "default": "open"}}]),
    ],
    ids=range(18),
)
def test_what_works_is_left_alone(manifest: dict[str, Any]) -> None:
    """The edges of every rule are inside; patterns of other dialects are not ours to judge."""
    assert problems(manifest) == ()


def test_where_no_services_are_made_their_names_do_not_count() -> None:
    """Knative serves by Revisions; only providers that copy an Ingress need room for its name."""
    ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web.v2"}
    assert problems(good(targetRef=ref, service=None), "knative") == ()
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "a" * 247}
    assert problems(good(ingressRef=ingress), "istio") == ()


def test_the_copy_of_an_apisix_route_needs_room_for_its_name() -> None:
    """The route's name, the apex and -canary."""
    apisix = {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute"}
    (found,) = problems(good(routeRef={**apisix, "name": "a" * 239}), "apisix")
    assert found.path == "spec.routeRef.name" and "has 254 characters, the limit is 253" in found.text
    assert problems(good(routeRef={**apisix, "name": "a" * 238}), "apisix") == ()


@pytest.mark.parametrize("text", ["(", "a{99999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_never_breaks_the_validator(text: str) -> None:
    """Whatever is written, the answer is a text."""
    assert isinstance(shapes.regex(text), str)
    assert isinstance(shapes.re2(text), str)
