"""What follows from a Canary alone: an invalid edit replaces nothing, and each object that matters is named once."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.facts import Capabilities
from pyflagger.objects import Obj, Ref
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, kinds_of, settings_of, templates_of
from pyflagger.operator.options import Options
from stage.manifests import analysis, canary

UNUSABLE: Obj = {"threshold": "many"}


def manifest(generation: int = 1, meta: Obj | None = None, status: Obj | None = None, **spec: Any) -> Obj:
    """Canary `web`, whose provider has no routes of its own unless `spec` names one."""
    made = canary("web", **{"provider": "kubernetes", **spec})
    made["metadata"] |= {"namespace": "mall", "uid": "u", "generation": generation, **(meta or {})}
    return {**made, "status": status or {}}


def compiled(raw: Obj, previous: CompiledCanary | None = None, **options: Any) -> CompiledCanary:
    """The compiled Canary."""
    return compile_canary(raw, previous, settings_of(Options(**options)))


def test_an_invalid_edit_keeps_the_last_valid_spec() -> None:
    """With the problems, and with the metadata and status of now. A corrected spec takes effect."""
    valid = compiled(manifest())
    invalid = compiled(manifest(2, status={"canaryWeight": 30}, analysis=UNUSABLE), valid)
    assert invalid.problems and invalid.canary.spec == valid.canary.spec
    assert (invalid.canary.metadata.generation, invalid.canary.status.canary_weight) == (2, 30)
    again = compiled(manifest(2, analysis=UNUSABLE), invalid)
    assert again.problems == invalid.problems
    corrected = compiled(manifest(3, progressDeadlineSeconds=7), again)
    assert corrected.problems == () and corrected.canary.spec.progress_deadline_seconds == 7


DAEMON = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "shop"}


@pytest.mark.parametrize(
    ("target", "ref"),
    [
        (DAEMON, Ref("apps/v1", "DaemonSet", "mall", "shop")),
        ({**DAEMON, "name": 7}, Ref("apps/v1", "Deployment", "mall", "web")),
        ("shop", Ref("apps/v1", "Deployment", "mall", "web")),
        (None, Ref("apps/v1", "Deployment", "mall", "web")),
    ],
    ids=["usable", "no name", "a text", "none"],
)
def test_a_canary_that_never_was_valid_has_its_problems_and_a_target(target: Any, ref: Ref) -> None:
    """The stand-in names the target of the manifest if that is a reference."""
    found = compiled(manifest(targetRef=target, analysis=UNUSABLE))
    assert found.problems and found.target == ref


def test_a_new_status_alone_is_no_new_spec() -> None:
    """Nothing that follows from the spec is computed again: each write of flagger's changes the status."""
    before = compiled(manifest())
    after = compiled(manifest(status={"canaryWeight": 30}), before)
    assert after.canary.status.canary_weight == 30
    assert after.canary.spec is before.canary.spec and after.interest is before.interest


@pytest.mark.parametrize(
    "after",
    [
        manifest(2, progressDeadlineSeconds=7),
        manifest(meta={"uid": "another"}),
        manifest(meta={"annotations": {"note": "another"}}),
    ],
    ids=["generation", "uid", "annotations"],
)
def test_another_canary_is_compiled_again(after: Obj) -> None:
    """Providers read annotations, and a Canary of the same name may be another one."""
    before = compiled(manifest())
    assert compiled(after, before).interest is not before.interest
    assert compiled(after, before).canary == compiled(after).canary


SCALER = {"apiVersion": "autoscaling/v2beta2", "kind": "HorizontalPodAutoscaler", "name": "web"}
METRICS: list[Obj] = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}},
    {"name": "near", "templateRef": {"name": "depth"}, "thresholdRange": {"max": 1}},
    {"name": "far", "templateRef": {"name": "depth", "namespace": "ops"}, "thresholdRange": {"max": 1}},
]
ALWAYS = {"Deployment web", "Deployment web-primary", "Service web", "Service web-primary", "Service web-canary"}
INTEREST: dict[str, tuple[Obj, set[str]]] = {
    "nothing else": ({}, set()),
    "autoscalers": (
        {"autoscalerRef": SCALER},
        {"HorizontalPodAutoscaler web", "HorizontalPodAutoscaler web-primary"},
    ),
    "templates": (
        {"analysis": analysis(metrics=METRICS)},
        {"MetricTemplate depth", "MetricTemplate depth in ops"},
    ),
    "routes": ({"provider": "nginx"}, {"Ingress web", "Ingress web-canary", "Ingress web-web-canary"}),
}


@pytest.mark.parametrize("case", INTEREST)
def test_the_objects_whose_change_matters(case: str) -> None:
    """Target, primary, Services, and what the spec names: one missing here would be a change that flagger misses."""
    spec, more = INTEREST[case]
    found = compiled(manifest(**spec))
    shown = {f"{ref.kind} {ref.name}" + (f" in {ref.namespace}" * (ref.namespace != "mall")) for ref in found.interest}
    assert found.problems == () and shown == ALWAYS | more
    assert {resource.kind for resource in found.followed} == {ref.kind for ref in found.interest}
    assert {found.target, found.primary, *found.others} == found.interest


def test_autoscalers_are_read_in_the_served_version() -> None:
    """Clusters no longer serve the versions that old Canaries name."""
    found = compiled(manifest(autoscalerRef=SCALER))
    assert found.autoscaler == Ref("autoscaling/v2", "HorizontalPodAutoscaler", "mall", "web")
    assert found.primary_autoscaler == found.autoscaler._replace(name="web-primary")


@pytest.mark.parametrize(
    ("spec", "router", "workload"),
    [
        ({"provider": "promotheus"}, False, True),
        ({"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}}, True, False),
    ],
    ids=["provider", "kind"],
)
def test_an_unknown_provider_or_kind_is_one_problem(spec: Obj, router: bool, workload: bool) -> None:
    """It is reported once, and neither routes nor capabilities are guessed."""
    found = compiled(manifest(**spec))
    assert len(found.problems) == 1
    assert (found.router is not None, found.workload is not None) == (router, workload)
    assert router or (found.routes == () and found.capabilities == Capabilities())
    assert workload or found.primary == found.target


@pytest.mark.parametrize(("own", "provider"), [("kubernetes", "kubernetes"), ("", "nginx")])
def test_the_options_are_defaults(own: str, provider: str) -> None:
    """Of the provider. A short interval is raised to the minimum."""
    raw = manifest(provider=own, analysis=analysis(interval="5s"))
    found = compiled(raw, mesh_provider="nginx", min_interval=20.0)
    assert (found.provider, found.interval) == (provider, 20.0)


def test_unknown_kinds_have_no_resource() -> None:
    """They are reported elsewhere. Two objects of a kind are one resource."""
    services = [Ref("v1", "Service", "mall", name) for name in ("one", "two")]
    assert [found.plural for found in kinds_of([*services, Ref("example.com/v1", "Unheard", "mall", "web")])] == [
        "services"
    ]


def test_a_metric_without_a_template_refers_to_none() -> None:
    """Each metric is listed, in order. A Canary without an analysis has none."""
    found = templates_of(compiled(manifest(analysis=analysis(metrics=METRICS))).canary)
    assert [(metric.name, ref and (ref.namespace, ref.name)) for metric, ref in found] == [
        ("request-success-rate", None),
        ("near", ("mall", "depth")),
        ("far", ("ops", "depth")),
    ]
    assert templates_of(compiled(manifest(analysis=None, skipAnalysis=True)).canary) == ()


@pytest.mark.parametrize(
    ("options", "refused"), [({}, False), ({"no_cross_namespace_refs": True}, True), ({"namespace": "mall"}, True)]
)
def test_references_to_other_namespaces_need_an_operator_that_reads_them(options: Any, refused: bool) -> None:
    """With -namespace it watches one namespace only, so the Canary is rejected before its release."""
    metric = {"name": "errors", "templateRef": {"name": "errors", "namespace": "metrics"}, "interval": "1m"}
    found = compiled(manifest(analysis={"interval": "1m", "iterations": 1, "metrics": [metric]}), **options)
    assert [problem.path for problem in found.problems] == ["spec.analysis.metrics[0].templateRef.namespace"] * refused
