"""Knative Services as targets: when a Revision counts as ready, how long it may take, and what promotion moves."""

from __future__ import annotations

from typing import Any

import pytest
from targets import canary as canary_of

from pyflagger.api import names
from pyflagger.api.facts import Fault
from pyflagger.objects import Obj, Patch
from pyflagger.workloads.configs import NOTHING
from pyflagger.workloads.knative import REVISIONS, Knative
from pyflagger.workloads.options import WorkloadOptions

KIND, OPTIONS = Knative(), WorkloadOptions()
CANARY = canary_of(
    targetRef={"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}, progressDeadlineSeconds=60
)
BORN = 1767225600.0
"""2026-01-01, the making of every Revision here."""


def service(newest: str = "web-2", primary: str = "web-1", seen: int = 2, **spec: Any) -> Obj:
    """The target."""
    meta = {"name": "web", "namespace": "test", "generation": 2, "resourceVersion": "7"}
    meta |= {"annotations": {names.PRIMARY_REVISION: primary}} if primary else {}
    status = {"observedGeneration": seen, **({"latestCreatedRevisionName": newest} if newest else {})}
    version = {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}
    return {**version, "metadata": meta, "spec": spec, "status": status}


def live(name: str, *, ready: str = "", message: str = "") -> dict[Any, Obj]:
    """A Revision with a condition, or without any."""
    told = {"conditions": [{"type": "Ready", "status": ready, "message": message}]} if ready else {}
    meta = {"name": name, "namespace": "test", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {REVISIONS.ref("test", name): {"metadata": meta, "status": told}}


@pytest.mark.parametrize(("role", "name"), [("canary", "web-2"), ("primary", "web-1")])
def test_ready_is_its_own_revision(role: str, name: str) -> None:
    """The newest one for the canary, the named one for the primary; the other one's health is nobody's business."""
    assert KIND.readiness(CANARY, service(), role, BORN, live(name, ready="True")).ready
    other = live("web-1" if name == "web-2" else "web-2", ready="True")
    assert not KIND.readiness(CANARY, service(), role, BORN, live(name, ready="Unknown") | other).ready


@pytest.mark.parametrize("role", ["canary", "primary"])
@pytest.mark.parametrize(("ready", "message", "told"), [("", "", "it starts"), ("False", "no image", "no image")])
def test_one_that_never_gets_ready(role: str, ready: str, message: str, told: str) -> None:
    """It is waited for until the deadline, told in Knative's words, and then no longer."""
    revisions = live("web-1", ready=ready, message=message) | live("web-2", ready=ready, message=message)
    early = KIND.readiness(CANARY, service(), role, BORN + 59, revisions)
    late = KIND.readiness(CANARY, service(), role, BORN + 61, revisions)
    assert not early.ready and early.retriable and told in early.text and early.look_again == BORN + 60
    assert not late.ready and not late.retriable and not late.settling


def test_a_revision_that_is_gone() -> None:
    """It is not ready, and told to be missing."""
    found = KIND.readiness(CANARY, service(), "primary", BORN, live("web-2", ready="True"))
    assert not found.ready and "web-1" in found.text and "does not exist" in found.text


def test_a_change_that_is_not_taken_up() -> None:
    """The Revision before it says nothing of it: no event, no release."""
    revisions = live("web-1", ready="True") | live("web-2", ready="True")
    found = KIND.readiness(CANARY, service(seen=1), "canary", BORN, revisions)
    assert not found.ready and found.settling
    assert KIND.readiness(CANARY, service(seen=1), "primary", BORN, revisions).ready


def test_without_a_revision_there_is_nothing_to_release() -> None:
    """It is the cluster's to make one."""
    told = KIND.refuses(service(newest=""))
    assert told is not None and told.fault is Fault.CLUSTER and "web.test" in told.text and told.todo
    assert KIND.refuses(service()) is None and not KIND.matches(
        CANARY, service("", ""), service("", ""), NOTHING, OPTIONS
    )


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (None, ""),
        ({"status": "Unknown", "message": "waiting"}, ""),
        ({"status": "False", "message": "no image"}, ": no image"),
        ({"status": "False", "reason": "RevisionMissing"}, ": RevisionMissing"),
        ({"status": "False"}, ": Knative gives no reason"),
    ],
)
def test_the_first_revision_is_waited_for_unless_knative_says_why_not(condition: Obj | None, told: str) -> None:
    """A minute from the making of the Service."""
    born = service(newest="", primary="")
    born["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    born["status"]["conditions"] = [{"type": "Ready", **condition}] if condition else []
    found = KIND.refuses(born)
    assert found is not None and found.text == f"Knative Service web.test has no Revision yet{told}"
    assert found.passes_by == (None if told else BORN + 60)


def test_promotion_moves_the_primarys_share_only() -> None:
    """Tags and the share of others stay; it is written on what was read, or not at all."""
    share = {"revisionName": "web-1", "percent": 60}
    rest = [{"revisionName": "web-2", "percent": 40}, {"revisionName": "web-1", "tag": "stable"}]
    before = service(traffic=[share, *rest])
    (write,) = KIND.promote(CANARY, before, before, NOTHING, OPTIONS, "x")  # type: ignore[misc]
    assert isinstance(write, Patch)
    assert write.body["spec"]["traffic"] == [{"revisionName": "web-2", "percent": 60}, *rest]
    assert write.body["metadata"]["annotations"] == {names.PRIMARY_REVISION: "web-2"}
    assert before["spec"]["traffic"][0] == share
