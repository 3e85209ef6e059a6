"""Workloads whose pods the Services of a canary would also select, and those that are none of its business."""

from __future__ import annotations

from typing import Any

import pytest
from shelf import Shelf

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault
from pyflagger.api.selectors import Selector
from pyflagger.objects import Obj, Ref
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.observe.neighbours import mixed, neighbours, sharing
from pyflagger.operator.options import Options
from stage.manifests import canary

TARGET = Ref("apps/v1", "Deployment", "mall", "web")
LABELS = {"app": "web", "tier": "front"}
SELECTOR = Selector("app", LABELS, {"app": "web-primary", "tier": "front"})


def workload(labels: Obj = LABELS, *, kind: str = "Deployment", replicas: int | None = 2, **meta: Any) -> Obj:
    """A workload whose pods have these labels."""
    spec: Obj = {"template": {"metadata": {"labels": labels}}}
    spec |= {} if replicas is None else {"replicas": replicas}
    meta = {"name": "other", "namespace": "mall", **meta}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}


SHARING: dict[str, tuple[Obj, bool]] = {
    "all labels": (workload(), True),
    "more labels": (workload({**LABELS, "version": "2"}), True),
    "the primary's labels": (workload({**LABELS, "app": "web-primary"}), True),
    "a DaemonSet of the target's name": (workload(kind="DaemonSet", name="web", replicas=None), True),
    "the target": (workload(name="web"), False),
    "one label missing": (workload({"app": "web"}), False),
    "another value": (workload({**LABELS, "tier": "back"}), False),
    "no labels": (workload({}), False),
    "another namespace": (workload(namespace="town"), False),
    "no pods": (workload(replicas=0), False),
    "being deleted": (workload(deletionTimestamp="2026-01-01T00:00:00Z"), False),
}


@pytest.mark.parametrize("case", SHARING)
def test_who_shares_the_services(case: str) -> None:
    """A workload that runs pods with all labels of one of the selectors."""
    other, shares = SHARING[case]
    assert list(sharing(TARGET, (SELECTOR.canary, SELECTOR.primary), [other])) == ([other] if shares else [])


def compiled(phase: Phase = Phase.NEW) -> CompiledCanary:
    """The canary of the target in this phase."""
    manifest = canary("web")
    manifest["metadata"] |= {"namespace": "mall"}
    return compile_canary({**manifest, "status": {"phase": phase.value}}, None, settings_of(Options()))


@pytest.mark.parametrize("phase", Phase)
def test_neighbours_matter_until_the_canary_is_initialized(phase: Phase) -> None:
    """A release that runs already is not stopped for them."""
    twin = workload({**LABELS, "app": "web-primary"}, name="twin")
    others = [workload(), twin, workload(kind="DaemonSet", replicas=None)]
    found = list(neighbours(compiled(phase), SELECTOR, Shelf(workload(name="web"), *others)))
    assert found == (others if phase in (Phase.NEW, Phase.INITIALIZING) else [])


def test_a_primary_has_no_neighbours() -> None:
    """Once the primary exists the canary is not stopped for them, and the primary itself is none."""
    primary = workload({**LABELS, "app": "web-primary"}, name="web-primary")
    assert list(neighbours(compiled(), SELECTOR, Shelf(primary, workload()))) == []


def test_the_problem_names_both_and_the_labels() -> None:
    """The labels in one order, so that the event repeats, and the value is the user's to change."""
    swapped = Selector("app", dict(reversed(LABELS.items())), {})
    told = mixed(TARGET, swapped, workload(kind="DaemonSet"))
    assert told.text == (
        "deployment web.mall selects pods by app=web, tier=front, and the pods of daemonset other.mall have these "
        "labels as well: the Services of the canary would mix them"
    )
    assert (told.fault, told.path) == (Fault.MANIFEST, "spec.targetRef")
    assert "spec.selector.matchLabels" in told.todo
