"""What an alert says about its Canary: the fields of the reference, in its order."""

from __future__ import annotations

from pyflagger.api import defaults
from pyflagger.api.canary import Canary

Fields = tuple[tuple[str, str], ...]


def fields_of(canary: Canary, cluster: str, *, details: bool) -> Fields:
    """Names and values. The cluster comes first if it has a name; the rest only with `details`."""
    named: Fields = (("Cluster", cluster),) if cluster else ()
    if not details:
        return named
    target, routing = canary.spec.target_ref, _routing(canary)
    analysis = canary.spec.analysis
    return (
        *named,
        ("Target", f"{target.kind}/{target.name}.{canary.metadata.namespace}"),
        ("Failed checks threshold", str(max(1, analysis.threshold if analysis else 1))),
        ("Progress deadline", f"{defaults.deadline(canary)}s"),
        *((("Traffic routing", routing),) if routing else ()),
    )


def _routing(canary: Canary) -> str:
    """How traffic moves. The maximum weight is that of the manifest: 0 if it has none."""
    analysis = canary.spec.analysis
    if analysis is None:
        return ""
    if analysis.iterations > 0:
        return "A/B Testing" if analysis.match else "Blue/Green"
    if analysis.step_weight > 0:
        return f"Weight step: {analysis.step_weight} max: {analysis.max_weight}"
    if analysis.step_weights:
        return f"Weight steps: {','.join(map(str, analysis.step_weights))} max: {analysis.max_weight}"
    return ""
