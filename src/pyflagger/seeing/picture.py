"""The view of one canary, made of one look at its objects. Called by the commands and pages of one canary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Analysis, Match, Metric
from pyflagger.api.facts import Problem, Route
from pyflagger.core.verdict import UNITS, accepted
from pyflagger.objects import Obj, Ref, part
from pyflagger.seeing import raw
from pyflagger.seeing.fleet import ASSUMED, Assumed, row
from pyflagger.seeing.happened import event_of, in_order
from pyflagger.seeing.history import releases
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import (
    Because,
    CanaryView,
    Check,
    FleetRow,
    Hook,
    OperatorView,
    RouteObject,
    Running,
    ServiceView,
    StepView,
    Target,
    Traffic,
    Workload,
)
from pyflagger.seeing.plan import Plan, plan_of
from pyflagger.seeing.pods import pod_sets
from pyflagger.wire import shown_url
from pyflagger.workloads.pods import images, pod_of


def picture(look: Look) -> CanaryView:
    """The view."""
    head, status = row(look.canary, look.now, _assumed(look)), part(look.canary, "status")
    analysis = look.compiled.canary.spec.analysis
    round_ = part(status, "round")
    return CanaryView(
        canary=head,
        target=_target(look, status),
        images=_running(look),
        traffic=_traffic(look, status),
        workloads=tuple(_workloads(look)),
        services=tuple(_services(look)),
        steps=_steps(look.canary, head),
        checks=tuple(_check(metric, round_) for metric in analysis.metrics) if analysis else (),
        hooks=tuple(_hooks(analysis, round_)) if analysis else (),
        wait=_because(look, head),
        next=head.next,
        hold=head.hold,
        events=tuple(in_order(map(event_of, look.events))),
        releases=releases(look.records),
        operator=_operator(status, known=bool(look.settings)),
        missing=look.missing,
    )


def _assumed(look: Look) -> Assumed:
    """The settings that a row depends on, if the status does not name them."""
    return Assumed(look.settings.get("mesh-provider") or ASSUMED.provider)


def _target(look: Look, status: Mapping[str, Any]) -> Target:
    ref, found = look.compiled.target, look.seen.situation.target
    revision = None if isinstance(found, Problem) else found.revision
    hashes = (raw.text(status, key) or None for key in ("lastAppliedSpec", "lastPromotedSpec"))
    return Target(ref.api_version, ref.kind, ref.name, revision, *hashes)


def _running(look: Look) -> tuple[Running, ...]:
    """The images of both versions, by container of the target."""
    primary, canary = (images(pod_of(look.get(ref))) for ref in (look.compiled.primary, look.compiled.target))
    if look.compiled.primary == look.compiled.target:
        primary = {}
    return tuple(Running(name, primary.get(name), canary.get(name)) for name in {**primary, **canary})


# Traffic ------------------------------------------------------------------------------------------------------------


def _traffic(look: Look, status: Mapping[str, Any]) -> Traffic | None:
    route, analysis = look.seen.situation.route, look.compiled.canary.spec.analysis
    rules = tuple(map(_rule, analysis.match)) if analysis else ()
    where = _route_object(look)
    if isinstance(route, Route):
        return Traffic(route.primary, route.canary, route.mirrored, "route", where, rules)
    if not raw.text(status, "phase"):
        return None
    weight = raw.number(status, "canaryWeight")
    return Traffic(100 - weight, weight, False, "status", where, rules)


def _route_object(look: Look) -> RouteObject | None:
    """The object that splits traffic: the first that exists, flagger's own before the user's."""
    found = [obj for ref in look.compiled.routes if (obj := look.get(ref)) is not None]
    if not found:
        return None
    mine = next((obj for obj in found if names.is_owned(look.compiled.canary, obj)), found[0])
    hosts = tuple(dict.fromkeys(host for obj in found for host in _hosts(obj)))
    return RouteObject(mine["kind"], mine["metadata"]["name"], hosts)


def _hosts(obj: Obj) -> Iterator[str]:
    """The host names of an Ingress, a Gateway API route, a VirtualService or a Contour HTTPProxy."""
    spec = part(obj, "spec")
    for each in raw.items(spec, "rules"):
        yield from filter(None, (raw.text(each, "host"),))
    for key in ("hosts", "hostnames"):
        listed = spec.get(key)
        yield from (each for each in listed if isinstance(each, str)) if isinstance(listed, list) else ()
    yield from filter(None, (raw.text(part(spec, "virtualhost"), "fqdn"),))


def _rule(match: Match) -> str:
    """A rule of A/B testing, such as `header x-canary: exact yes`."""
    parts = [f"header {name}: {_condition(value)}" for name, value in match.headers.items()]
    return ", ".join(parts) or "every request"


def _condition(value: Any) -> str:
    told = value.model_dump(exclude_none=True, by_alias=True)
    return ", ".join(f"{how} {what}" for how, what in told.items() if what) or "present"


# Workloads ----------------------------------------------------------------------------------------------------------


def _workloads(look: Look) -> Iterator[Workload]:
    compiled = look.compiled
    yield _workload(look, "primary", compiled.primary, compiled.primary_autoscaler)
    if compiled.target != compiled.primary:
        yield _workload(look, "canary", compiled.target, compiled.autoscaler)


def _workload(look: Look, role: str, ref: Ref, autoscaler: Ref | None) -> Workload:
    found = look.get(ref)
    obj = found or {"metadata": {}}
    spec, status = part(obj, "spec"), part(obj, "status")
    desired = spec.get("replicas", status.get("desiredNumberScheduled"))
    return Workload(
        role=role,
        kind=ref.kind,
        name=ref.name,
        desired=desired if isinstance(desired, int) else None,
        ready=_count(status, "readyReplicas", "numberReady", found, desired),
        updated=_count(status, "updatedReplicas", "updatedNumberScheduled", found, desired),
        autoscaler=f"{autoscaler.kind} {autoscaler.name}" if autoscaler and look.get(autoscaler) else None,
        exists=found is not None,
        since=raw.time(obj["metadata"], "creationTimestamp"),
        sets=pod_sets(obj, look.sets, look.pods) if found else (),
    )


def _count(status: Mapping[str, Any], one: str, other: str, found: Obj | None, desired: Any) -> int | None:
    """A count of a Deployment's or DaemonSet's status: 0 if it is left out, None for kinds without replicas."""
    if found is None or not isinstance(desired, int):
        return None
    return raw.number(status, one) or raw.number(status, other)


def _services(look: Look) -> Iterator[ServiceView]:
    canary = look.compiled.canary
    if names.is_knative(canary):
        return
    named = {"apex": names.apex, "primary": names.primary_service, "canary": names.canary_service}
    for role, name_of in named.items():
        ref = Ref("v1", "Service", canary.metadata.namespace, name_of(canary))
        found = look.get(ref)
        ports = tuple(raw.number(port, "port") for port in raw.items(part(found or {}, "spec"), "ports"))
        yield ServiceView(role, ref.name, found is not None, ports)


# The plan -----------------------------------------------------------------------------------------------------------


def _steps(canary: Obj, head: FleetRow) -> tuple[StepView, ...]:
    """The steps of the plan and the promotion. The last step that is done is the one that is held now."""
    plan = plan_of(part(part(canary, "spec"), "analysis"), head.provider)
    done, promoting = head.step.at if head.step else 0, head.phase in ("Promoting", "Finalising")
    at = plan.length if promoting else done - 1
    if head.step is None:
        at = -1
    labels = [*_labels(plan), "promotion"]
    return tuple(
        StepView(label, "done" if index < at else "now" if index == at else "next")
        for index, label in enumerate(labels)
    )


def _labels(plan: Plan) -> Iterator[str]:
    if plan.strategy == "canary":
        yield from (f"{weight} %" for weight in plan.weights)
    else:
        yield from (f"{number}/{plan.iterations}" for number in range(1, plan.iterations + 1))


# Checks -------------------------------------------------------------------------------------------------------------


def _check(metric: Metric, round_: Mapping[str, Any]) -> Check:
    least, most = accepted(metric, "builtin")
    found = _named(round_, "checks", metric.name)
    return Check(
        name=metric.name,
        source=_source(metric),
        query=metric.query or None,
        window=metric.interval,
        min=least,
        max=most,
        unit=UNITS.get(metric.name, "") if _source(metric) == "built-in" else "",
        value=_value(found, "value"),
        primary=_value(found, "primary"),
        verdict=raw.text(found, "verdict") or None,
        dry_run=metric.dry_run,
        text=raw.text(found, "text"),
        evidence=_value(found, "evidence"),
    )


def _source(metric: Metric) -> str:
    if metric.template_ref is not None:
        return f"template {metric.template_ref.name}"
    return "query" if metric.query else "built-in"


def _value(found: Mapping[str, Any], key: str) -> float | None:
    value = found.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _named(round_: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    """The result of a check or hook in the last round; empty without one."""
    return next((each for each in raw.items(round_, key) if raw.text(each, "name") == name), {})


def _hooks(analysis: Analysis, round_: Mapping[str, Any]) -> Iterator[Hook]:
    for each in analysis.webhooks:
        found = _named(round_, "hooks", each.name)
        verdict = raw.text(found, "verdict") or None
        yield Hook(each.name, each.type.value, shown_url(each.url), verdict, raw.text(found, "text"))


# Why ----------------------------------------------------------------------------------------------------------------


def _because(look: Look, head: FleetRow) -> Because | None:
    """What it waits for: the operator's word if there is one, else what it would decide now."""
    told = head.wait
    reason = look.decision.reasons[0]
    if told is not None:
        same = bool(reason.text) and reason.text in told.text
        return Because(told.code, told.text, reason.todo if same else "", _fault(reason) if same else None, told.since)
    if head.verdict in ("idle", "moving", "silent"):
        return None
    return Because(reason.code, reason.text, reason.todo, _fault(reason), None)


def _fault(reason: Any) -> str | None:
    return None if reason.fault is None else str(reason.fault)


def _operator(status: Mapping[str, Any], *, known: bool) -> OperatorView:
    """The operator, by what it publishes."""
    told = part(status, "operator")
    return OperatorView(
        raw.text(told, "version") or None,
        raw.text(told, "identity") or None,
        "known" if known else "assumed",
        raw.foreign(status),
    )
