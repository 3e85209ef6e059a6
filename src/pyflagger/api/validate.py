"""Validation of a Canary: bounds, order, references, and the capabilities of its provider.

`operator.observe` and `flagger lint` call this after parsing. It sees one Canary and the names of the providers, and no
live objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pyflagger.api import checked, derived, durations, names
from pyflagger.api.canary import Analysis, Canary
from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.api.rule import Context, wrong
from pyflagger.api.verbatim import misshapen

INTERVAL, INTERVAL_SECONDS_MIN = "spec.analysis.interval", 1.0


def validate(
    canary: Canary,
    *,
    provider: str,
    capabilities: Capabilities,
    known_providers: Sequence[str],
    no_cross_namespace: bool = False,
) -> tuple[Problem, ...]:
    """All problems that prevent a release of this Canary."""
    context = Context(canary, provider, capabilities, known_providers, no_cross_namespace)
    return tuple(problem for rule in _RULES for problem in rule(context))


def _provider(context: Context) -> Iterator[Problem]:
    if context.known_providers and context.provider not in context.known_providers:
        heads = {known.partition(":")[0] for known in context.known_providers if known.endswith(":")}
        if context.provider.partition(":")[0] not in heads:
            known = ", ".join(sorted(context.known_providers))
            where = "spec.provider" if context.canary.spec.provider else "-mesh-provider"
            yield wrong(where, f"{context.provider!r} is not a known traffic provider", f"Use one of: {known}.")


def _cross_namespace(context: Context) -> Iterator[Problem]:
    if not context.no_cross_namespace:
        return
    spec, own = context.canary.spec, context.canary.metadata.namespace
    analysis = spec.analysis or Analysis()
    refs = [("gloo upstream", "spec.upstreamRef", spec.upstream_ref)] if spec.upstream_ref else []
    for index, metric in enumerate(analysis.metrics):
        if metric.template_ref:
            refs.append(("metric template", f"spec.analysis.metrics[{index}].templateRef", metric.template_ref))  # type: ignore[arg-type]
    for index, alert in enumerate(analysis.alerts):
        refs.append(("alert provider", f"spec.analysis.alerts[{index}].providerRef", alert.provider_ref))  # type: ignore[arg-type]
    for what, path, ref in refs:
        if ref.namespace not in ("", own):
            text = f"can't access {what} {ref.name}.{ref.namespace}, cross-namespace references are blocked"
            todo = f"Use one in namespace {own}, or run flagger without -namespace and -no-cross-namespace-refs."
            yield Problem(Fault.MANIFEST, text, todo, f"{path}.namespace")


def _knative(context: Context) -> Iterator[Problem]:
    ref, knative = context.canary.spec.target_ref, names.is_knative(context.canary)
    if knative and context.provider != "knative":
        text = f"can't use {context.provider} provider with Knative Service as target"
        yield Problem(Fault.MANIFEST, text, "Set spec.provider to knative.", "spec.provider")
    if not knative and context.provider == "knative":
        text = f"can't use {ref.api_version}/{ref.kind} as target if provider is set to knative"
        yield Problem(Fault.MANIFEST, text, "Use another provider, or a Knative Service.", "spec.targetRef")
    if knative and context.canary.spec.autoscaler_ref:
        text = "can't use autoscaler with Knative Service"
        yield Problem(Fault.MANIFEST, text, "Remove spec.autoscalerRef.", "spec.autoscalerRef")


def _service(context: Context) -> Iterator[Problem]:
    if context.canary.spec.service is None and not names.is_knative(context.canary):
        yield wrong("spec.service", "is required", "Set spec.service.port to the port that clients use.")


def _service_target(context: Context) -> Iterator[Problem]:
    """Copies get the target's name and routes get the Service's name, so both must be equal."""
    ref, service = context.canary.spec.target_ref, context.canary.spec.service
    if (ref.api_version, ref.kind) != ("v1", "Service") or service is None:
        return
    if service.name not in ("", ref.name):
        text = f"is {service.name!r}, but must be empty or {ref.name!r} because the target is a Service"
        yield wrong("spec.service.name", text, "Remove it.")
    if context.provider == "nginx":
        text = "can't use nginx provider with Service as target: the Ingress routes to the target itself"
        todo = "Use a provider that routes to the -primary and -canary Services."
        yield Problem(Fault.MANIFEST, text, todo, "spec.provider")


def _bounds(context: Context) -> Iterator[Problem]:
    analysis = context.canary.spec.analysis
    if analysis is None:
        return
    limits = {
        "maxWeight": (analysis.max_weight, 100),
        "stepWeight": (analysis.step_weight, 100),
        "stepWeightPromotion": (analysis.step_weight_promotion, 100),
        "mirrorWeight": (analysis.mirror_weight, 100),
        "primaryReadyThreshold": (analysis.primary_ready_threshold, 100),
        "canaryReadyThreshold": (analysis.canary_ready_threshold, 100),
        "iterations": (analysis.iterations, 1_000_000),
    }
    for name, (value, most) in limits.items():
        if not 0 <= value <= most:
            yield wrong(f"spec.analysis.{name}", f"is {value}, but must be between 0 and {most}")
    for index, weight in enumerate(analysis.step_weights):
        if not 0 < weight <= 100:
            yield wrong(f"spec.analysis.stepWeights[{index}]", f"is {weight}, but must be between 1 and 100")
    for index, (one, two) in enumerate(zip(analysis.step_weights, analysis.step_weights[1:], strict=False), 1):
        if two <= one:
            text = f"is {two}, but must be greater than {one}, the step before it"
            yield wrong(f"spec.analysis.stepWeights[{index}]", text)


def _ranges(context: Context) -> Iterator[Problem]:
    """Reject an empty range: it would fail every release."""
    analysis = context.canary.spec.analysis
    for index, metric in enumerate(analysis.metrics if analysis else ()):
        found = metric.threshold_range
        if found and found.min is not None and found.max is not None and found.min > found.max:
            path = f"spec.analysis.metrics[{index}].thresholdRange"
            yield wrong(path, f"has min {found.min:g} greater than max {found.max:g}, so no value can pass")


def _strategy(context: Context) -> Iterator[Problem]:
    analysis = context.canary.spec.analysis
    if analysis is None or context.canary.spec.skip_analysis:
        return
    steps = analysis.iterations > 0 or analysis.step_weight > 0 or bool(analysis.step_weights)
    if not steps and context.provider != "kubernetes":
        todo = "Set one of stepWeight, stepWeights, iterations."
        yield wrong("spec.analysis", "has no steps, so a release would never advance", todo)
    ab = analysis.match and analysis.iterations > 0 and context.provider != "kubernetes"
    if ab and not context.capabilities.ab:
        text = f"cannot be used: provider {context.provider} does not route by header or cookie"
        todo = "Remove match, or use a provider that does, such as nginx, istio or gatewayapi:v1."
        yield wrong("spec.analysis.match", text, todo)
    if analysis.testers:
        yield from _testers(context, analysis)
    if analysis.session_affinity and not context.capabilities.affinity:
        text = f"cannot be used: provider {context.provider} does not support session affinity"
        yield wrong("spec.analysis.sessionAffinity", text, "Remove it, or use istio or gatewayapi:v1.")


def _testers(context: Context, analysis: Analysis) -> Iterator[Problem]:
    path = "spec.analysis.testers"
    if not context.capabilities.testers:
        text = f"cannot be used: provider {context.provider} does not support header conditions in a release by weights"
        yield wrong(path, text, "Remove testers, or use a provider that does, such as nginx, istio or gatewayapi:v1.")
    elif analysis.iterations > 0:
        text = "cannot be combined with iterations, only with weights"
        yield wrong(path, text, "Use match, or replace iterations with stepWeight.")


def _ports(context: Context) -> Iterator[Problem]:
    service = context.canary.spec.service
    if service is None or not service.ports:
        return
    if not context.capabilities.ports:
        text = f"cannot be used: provider {context.provider} does not support several ports"
        yield wrong("spec.service.ports", text, "Remove it, or use another provider.")
    names, numbers = {service.port_name}, {service.port}
    for index, port in enumerate(service.ports):
        path = f"spec.service.ports[{index}]"
        if port.name in names:
            yield wrong(f"{path}.name", f"is {port.name}, which another port uses")
        if port.port in numbers:
            yield wrong(f"{path}.port", f"is {port.port}, which another port uses")
        names.add(port.name)
        numbers.add(port.port)


def _cookies(context: Context) -> Iterator[Problem]:
    affinity = context.canary.spec.analysis.session_affinity if context.canary.spec.analysis else None
    if affinity and affinity.cookie_name == affinity.primary_cookie_name:
        text = "can't use the same cookie name for both primary and cookie name; please update them to be different"
        yield Problem(Fault.MANIFEST, text, "Rename one.", "spec.analysis.sessionAffinity.primaryCookieName")


def _durations(context: Context) -> Iterator[Problem]:
    analysis = context.canary.spec.analysis
    if analysis is None:
        return
    fields = {INTERVAL: analysis.interval}
    fields |= {f"spec.analysis.metrics[{i}].interval": metric.interval for i, metric in enumerate(analysis.metrics)}
    fields |= {f"spec.analysis.webhooks[{i}].timeout": hook.timeout for i, hook in enumerate(analysis.webhooks)}
    for path, text in fields.items():
        if not text:
            continue
        try:
            usable = durations.parse(text) > 0
        except ValueError:
            usable = False
        if not usable:
            yield wrong(path, f"is {text!r}, which is not a duration such as 10s, 1m or 1m30s")
        elif path == INTERVAL and durations.parse(text) < INTERVAL_SECONDS_MIN:
            yield wrong(path, f"is {text!r}, but must be at least 1s")


def _passed_on(context: Context) -> Iterator[Problem]:
    """Check the fields that routes get unchanged."""
    yield from misshapen(context.canary, context.provider, context.capabilities)


_RULES: tuple[Callable[[Context], Iterator[Problem]], ...] = (
    _provider,
    _cross_namespace,
    _knative,
    _service,
    _service_target,
    _ports,
    _bounds,
    _ranges,
    _strategy,
    _cookies,
    _durations,
    *derived.RULES,
    *checked.RULES,
    _passed_on,
)
