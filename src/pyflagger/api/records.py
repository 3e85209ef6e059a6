"""The kind CanaryRelease: the record of one release. Only the operator writes it, and decides nothing by it.

An object stays below `SIZE_MAX`: a record keeps the first and the last rounds, and counts those in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson
from pydantic import Field

from pyflagger.api import names
from pyflagger.api.base import Model, Strings
from pyflagger.api.canary import Canary
from pyflagger.api.durations import epoch_or_none
from pyflagger.api.meta import Meta
from pyflagger.api.published import CheckResult, HookResult, ReleaseImage
from pyflagger.objects import Obj, Ref, part

VERSION = "v1alpha1"
API_VERSION = f"{names.GROUP}/{VERSION}"
KIND = "CanaryRelease"

UID = f"{names.GROUP}/canary-uid"
OUTCOME = f"{names.GROUP}/outcome"
NUMBER = f"{names.GROUP}/number"

FIRST_ROUNDS, LAST_ROUNDS, WAITS_MAX, ACTIONS_MAX = 20, 180, 50, 50
CHANGES_MAX, IMAGES_MAX, PARTS_MAX = 40, 32, 32
CAUSE_MAX, QUERY_MAX, TEXT_MAX = 256, 1024, 1024
TEMPLATE_MAX = 128 * 1024
SIZE_MAX = 192 * 1024


class Outcome(StrEnum):
    """How a release ended."""

    RUNNING = "Running"
    INITIALIZED = "Initialized"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    CANCELLED = "Cancelled"
    SUPERSEDED = "Superseded"
    UNDONE = "Undone"
    LOST = "Lost"


class Origin(Model):
    """The release that the primary runs."""

    number: int = 0
    revision: str = ""


class Plan(Model):
    """The plan of a release, as it was at the start."""

    strategy: str = ""
    provider: str = ""
    interval: str = ""
    threshold: int = 0
    weights: tuple[int, ...] = ()
    iterations: int = 0
    promotion: tuple[int, ...] = ()
    skip: bool = False


class PlannedCheck(Model):
    """A metric check of a release."""

    name: str = ""
    source: str = ""
    query: str = ""
    window: str = ""
    min: float | None = None
    max: float | None = None


class PlannedHook(Model):
    """A hook of a release. `url` has neither a user nor a query."""

    name: str = ""
    type: str = ""
    url: str = ""


class ReleaseSpec(Model):
    """What a release changes, and how it is judged."""

    number: int = Field(default=0, ge=0)
    canary: str = ""
    target: str = ""
    revision: str = ""
    started_at: str = ""
    origin: Origin | None = Field(default=None, alias="from")
    images: tuple[ReleaseImage, ...] = ()
    changes: tuple[str, ...] = ()
    cause: str = ""
    plan: Plan | None = None
    checks: tuple[PlannedCheck, ...] = ()
    hooks: tuple[PlannedHook, ...] = ()


class Ending(Model):
    """Why a release ended."""

    code: str = ""
    text: str = ""
    todo: str = ""
    fault: str = ""


class Judged(Model):
    """One judged round. `gap`: no round, but the start and end of a time whose rounds are lost."""

    at: str = ""
    weight: int = 0
    iteration: int = 0
    checks: tuple[CheckResult, ...] = ()
    hooks: tuple[HookResult, ...] = ()
    end: str = ""
    gap: tuple[str, ...] = ()


class Waited(Model):
    """A wait of a release for something other than its interval."""

    code: str = ""
    text: str = ""
    since: str = Field(default="", alias="from")
    until: str = Field(default="", alias="to")


class Acted(Model):
    """An action on a release: who asked for it, and its result."""

    action: str = ""
    by: str = ""
    reason: str = ""
    via: str = ""
    at: str = ""
    result: str = ""
    text: str = ""


class ReleaseRecord(Model):
    """What became of a release."""

    outcome: str = ""
    finished_at: str = ""
    took: str = ""
    weight: int = 0
    failed_checks: int = 0
    reason: Ending | None = None
    rounds: tuple[Judged, ...] = ()
    skipped: int = 0
    waits: tuple[Waited, ...] = ()
    actions: tuple[Acted, ...] = ()
    replicas: int = 0
    template: dict[str, Any] | None = None
    template_omitted: str = ""


class CanaryRelease(Model):
    """A CanaryRelease object."""

    metadata: Meta
    spec: ReleaseSpec
    status: ReleaseRecord = Field(default_factory=ReleaseRecord)


def written(value: Model) -> Obj:
    """A part of a record as JSON, without what is not set."""
    found: Obj = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found


def name_of(canary: Canary, number: int) -> str:
    """The name of the record of a release."""
    return f"{canary.metadata.name}-{number}"


def ref_of(canary: Canary, number: int) -> Ref:
    """A reference to the record of a release."""
    return Ref(API_VERSION, KIND, canary.metadata.namespace, name_of(canary, number))


def labels_of(canary: Canary, number: int, outcome: str) -> Strings:
    """The labels of a record."""
    return {UID: canary.metadata.uid, OUTCOME: outcome, NUMBER: str(number)}


def rendered(canary: Canary, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Obj:
    """A new record. Its Canary owns it, and no label or annotation of the Canary is copied to it."""
    number = int(spec["number"])
    meta = {
        "name": name_of(canary, number),
        "namespace": canary.metadata.namespace,
        "labels": labels_of(canary, number, str(status["outcome"])),
        "ownerReferences": [{**names.owner_reference(canary), "blockOwnerDeletion": False}],
    }
    made = {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta}
    return {**made, "spec": {**spec}, "status": fitted(spec, status)}


def may_end(outcome: Any, ended: ReleaseRecord) -> bool:
    """Whether a record with this outcome gets another end. One that has an end is never lost."""
    return bool(outcome != ended.outcome and (outcome == Outcome.RUNNING or ended.outcome != Outcome.LOST))


# The status of a record that grows -----------------------------------------------------------------------------------


def fitted(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Obj:
    """The status within its bounds: the first and last rounds, the last waits, and the template if there is room."""
    found = {**status}
    if _size(found.get("template")) > TEMPLATE_MAX:
        found = _without_template(found, f"it is larger than {TEMPLATE_MAX // 1024} KiB")
    found = _shortened(found, FIRST_ROUNDS + LAST_ROUNDS)
    for name, most in (("waits", WAITS_MAX), ("actions", ACTIONS_MAX)):
        if found.get(name):
            found[name] = list(found[name])[-most:]
    most = len(found.get("rounds") or ())
    while most > 1 and _size(spec) + _size(found) > SIZE_MAX:
        most //= 2
        found = _shortened(found, most)
    return found


def _without_template(status: Obj, why: str) -> Obj:
    return {key: value for key, value in status.items() if key != "template"} | {"templateOmitted": why}


def _shortened(status: Obj, most: int) -> Obj:
    """The status with this many rounds: a tenth of them the first ones."""
    rounds = list(status.get("rounds") or ())
    over = len(rounds) - most
    if over <= 0:
        return status
    first = most // 10
    kept = [*rounds[:first], *rounds[first + over :]]
    return {**status, "rounds": kept, "skipped": int(status.get("skipped") or 0) + over}


def _size(value: Any) -> int:
    return len(orjson.dumps(value))


def grown(
    record: Mapping[str, Any],
    rounds: tuple[Judged, ...],
    waits: tuple[Waited, ...],
    pause: float,
    actions: tuple[Acted, ...] = (),
) -> Obj:
    """The status of a stored record with more rounds, waits and actions. It omits those that it has already.

    `pause`: the seconds between rounds after which some must be missing; the record then names that time.
    """
    status = part(record, "status")
    known = [each for each in status.get("rounds") or () if isinstance(each, dict)]
    last = str(known[-1].get("at", "")) if known else ""
    news = [written(each) for each in rounds if each.at > last]
    gap = _gap(last, news, pause)
    before = [each for each in status.get("waits") or () if isinstance(each, dict)]
    started = {(each.get("code"), each.get("from")) for each in before}
    more = [written(each) for each in waits if (each.code, each.since) not in started]
    weight = max([int(status.get("weight") or 0), *(each.weight for each in rounds)])
    changes = {
        "rounds": [*known, *gap, *news],
        "waits": [*before, *more],
        "actions": _acted(record, actions),
        "weight": weight,
    }
    return {**status, **{key: value for key, value in changes.items() if value}}


def _acted(record: Mapping[str, Any], actions: tuple[Acted, ...]) -> list[Obj]:
    """The actions of a record, with those that it lacks. One from before the release belongs to another one."""
    known = [each for each in part(record, "status").get("actions") or () if isinstance(each, dict)]
    began = str(part(record, "spec").get("startedAt") or "")
    found = [{**each} for each in known]
    for each in actions:
        new = written(each)
        if each.at >= began and not any({**new, "via": ""} == {**old, "via": ""} for old in found):
            found.append(new)
    return found


def _gap(last: str, news: list[Obj], pause: float) -> list[Obj]:
    first = str(news[0].get("at", "")) if news else ""
    start, end = epoch_or_none(last), epoch_or_none(first)
    if start is None or end is None or end - start <= pause:
        return []
    return [{"at": last, "gap": [last, first]}]
