"""Write the records of releases (CanaryRelease). A release never waits for them.

A missing definition, a missing right and a rejected record switch the records of a namespace off until the next start,
with one line in the log for each sort. Other namespaces go on: the refusal may be that of a quota, or of a namespace
that is being deleted. The operator reads a record only after a restart. Used by `executor`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from pyflagger.api import records
from pyflagger.api.canary import Canary
from pyflagger.api.durations import epoch_or_none, show, stamp
from pyflagger.api.records import Outcome, ReleaseRecord, ReleaseSpec, written
from pyflagger.clock import Clock
from pyflagger.core.decision import CloseRecord, DropRecords, NoteRounds, OpenRecord
from pyflagger.core.situation import History
from pyflagger.kube.client import ApiError, Client, NotFound
from pyflagger.kube.errors import AlreadyExists, Forbidden, Invalid
from pyflagger.kube.resources import RELEASES
from pyflagger.objects import Key, Obj, Patch, part
from pyflagger.operator.act.disclosure import Disclosure
from pyflagger.operator.act.publisher import Publisher
from pyflagger.operator.act.render import Moved

FEATURE = "records"
OFF = "No more releases are recorded in namespace {} until the next start of flagger"
ADVICE = {
    Forbidden: "Grant flagger's service account create, get, list, patch and delete on canaryreleases.flagger.app.",
    NotFound: "Apply the definitions of this version: kubectl apply -k kustomize/crds",
    Invalid: "Apply the definitions of this version, and check the admission policies for canaryreleases.flagger.app.",
}


class Archivist:
    """The records of all canaries. `keep`: how many of them a canary keeps; 0: none are written."""

    def __init__(
        self, client: Client, publisher: Publisher, keep: int, clock: Clock, log: Any, disclosure: Disclosure
    ) -> None:
        self._client, self._publisher, self._clock, self._log = client, publisher, clock, log
        self._disclosure = disclosure
        disclosure.feature(FEATURE, "on" if keep else "off: -release-history=0")
        self._keep, self._off, self._told = keep, set[str](), set[type[ApiError]]()
        self._open: dict[Key, Obj] = {}
        """The record of each release under way, as last written."""
        self._last: dict[Key, int] = {}
        """The highest number of a record that is known to exist."""

    def history(self, key: Key) -> History:
        """What decisions know about the records of a canary. The numbers of releases need fields of the status."""
        on = self._publisher.on and key.namespace not in self._off
        return History(self._keep if on else 0, self._last.get(key, 0))

    def forget(self, key: Key) -> None:
        """A canary is deleted. The API server deletes its records."""
        self._open.pop(key, None)
        self._last.pop(key, None)

    async def open(self, canary: Canary, action: OpenRecord, known: ReleaseSpec, template: Obj) -> int:
        """Create a record. `known`: the spec, with what only objects tell. Raises Moved if the number is taken."""
        return await self._unless_off(canary, self._create(canary, action, known, template))

    async def note(self, canary: Canary, action: NoteRounds, known: ReleaseSpec | None) -> int:
        """Add rounds, waits and actions."""
        return await self._unless_off(canary, self._note(canary, action, known))

    async def close(self, canary: Canary, action: CloseRecord, template: Obj) -> int:
        """Add the end."""
        return await self._unless_off(canary, self._close(canary, action, template))

    async def drop(self, canary: Canary, action: DropRecords) -> int:
        """Delete records that are no longer kept."""
        return await self._unless_off(canary, self._drop(canary, action))

    async def _unless_off(self, canary: Canary, work: Awaitable[int]) -> int:
        try:
            return await work
        except (Forbidden, Invalid, NotFound) as error:
            self._switch_off(canary.metadata.namespace, error)
            return 0

    def _switch_off(self, namespace: str, error: ApiError) -> None:
        kind = type(error)
        if kind not in self._told:
            self._told.add(kind)
            text = f"{OFF.format(namespace)}: {error.problem.text}"
            self._log.warning(text, todo=ADVICE[kind])
            self._disclosure.feature(FEATURE, f"off: {text}. {ADVICE[kind]}")
        self._off.add(namespace)
        self._open = {key: record for key, record in self._open.items() if key.namespace != namespace}

    async def _create(self, canary: Canary, action: OpenRecord, known: ReleaseSpec, template: Obj) -> int:
        status = written(action.ended) if action.ended else {"outcome": str(Outcome.RUNNING)}
        status |= {"actions": [written(each) for each in action.actions]} if action.actions else {}
        obj = records.rendered(canary, written(known), {**status, **template})
        try:
            made = await self._client.create(obj, RELEASES)
        except AlreadyExists:
            return await self._taken(canary, action)
        self._known(canary, made, action.ended is None)
        return 1

    def _known(self, canary: Canary, record: Obj, under_way: bool) -> None:
        key, number = _key(canary), int(part(record, "spec").get("number") or 0)
        self._last[key] = max(number, self._last.get(key, 0))
        if under_way:
            self._open[key] = record
        else:
            self._open.pop(key, None)

    async def _taken(self, canary: Canary, action: OpenRecord) -> int:
        """A record with this number exists. It is this release's own if the operator stopped after it created it."""
        number = action.spec.number
        live = await self._read(canary, number)
        wanted = str(action.ended.outcome if action.ended else Outcome.RUNNING)
        told = part(live or {}, "spec").get("revision"), part(live or {}, "status").get("outcome")
        if live is not None and _owned(canary, live) and told == (action.spec.revision, wanted):
            self._known(canary, live, action.ended is None)
            return 0
        if live is not None and _owned(canary, live) and told[1] == Outcome.RUNNING:
            await self._end(canary, live, {**part(live, "status"), **_lost(self._clock.now())})
        self._last[_key(canary)] = max(number, await self._highest(canary))
        raise Moved

    async def _highest(self, canary: Canary) -> int:
        """The highest number of a record with this Canary's name, also of those that an earlier Canary left."""
        found = await self._client.call("GET", RELEASES.path(canary.metadata.namespace))
        specs = [part(each, "spec") for each in found.get("items") or ()]
        numbers = [spec.get("number") for spec in specs if spec.get("canary") == canary.metadata.name]
        return max((number for number in numbers if isinstance(number, int)), default=0)

    async def _read(self, canary: Canary, number: int) -> Obj | None:
        """The record of a release; None if it does not exist."""
        known = self._open.get(_key(canary))
        if known is not None and part(known, "spec").get("number") == number:
            return known
        try:
            return await self._client.get(RELEASES, canary.metadata.namespace, records.name_of(canary, number))
        except NotFound:
            return None

    async def _note(self, canary: Canary, action: NoteRounds, known: ReleaseSpec | None) -> int:
        live = await self._read(canary, action.number)
        if live is None or part(live, "status").get("outcome") != Outcome.RUNNING:
            return 0
        spec = part(live, "spec") if known is None else {**part(live, "spec"), **written(known)}
        spec["startedAt"] = part(live, "spec").get("startedAt", "")
        status = records.grown(live, action.rounds, action.waits, action.pause, action.actions)
        return await self._patch(canary, live, {"spec": spec, "status": records.fitted(spec, status)})

    async def _close(self, canary: Canary, action: CloseRecord, template: Obj) -> int:
        more, ended = action.rounds, action.ended
        live = await self._read(canary, more.number)
        if live is None or not records.may_end(part(live, "status").get("outcome"), ended):
            return 0
        status = records.grown(live, more.rounds, more.waits, more.pause, more.actions)
        took = _took(live, ended)
        weight = max(int(status.get("weight") or 0), ended.weight)
        return await self._end(canary, live, {**status, **written(ended), **template, "weight": weight, **took})

    async def _end(self, canary: Canary, live: Obj, status: Obj) -> int:
        number = int(part(live, "spec").get("number") or 0)
        labels = records.labels_of(canary, number, str(status["outcome"]))
        body = {"metadata": {"labels": labels}, "status": records.fitted(part(live, "spec"), status)}
        done = await self._patch(canary, live, body)
        self._open.pop(_key(canary), None)
        return done

    async def _patch(self, canary: Canary, live: Obj, body: Obj) -> int:
        """Change a record. One that a person deleted stays deleted."""
        ref = records.ref_of(canary, int(part(live, "spec").get("number") or 0))
        try:
            self._known(canary, await self._client.patch(Patch(ref, body)), True)
        except NotFound:
            self._open.pop(_key(canary), None)
        return 1

    async def _drop(self, canary: Canary, action: DropRecords) -> int:
        for number in action.numbers:
            await self._client.delete(records.ref_of(canary, number))
        return len(action.numbers)


def _key(canary: Canary) -> Key:
    return Key(canary.metadata.namespace, canary.metadata.name)


def _owned(canary: Canary, record: Obj) -> bool:
    return bool(part(part(record, "metadata"), "labels").get(records.UID) == canary.metadata.uid)


def _lost(now: float) -> Obj:
    return {"outcome": str(Outcome.LOST), "finishedAt": stamp(now)}


def _took(live: Obj, ended: ReleaseRecord) -> Obj:
    """How long the release took, if the record says when it began."""
    start, end = epoch_or_none(str(part(live, "spec").get("startedAt"))), epoch_or_none(ended.finished_at)
    return {} if start is None or end is None else {"took": show(end - start)}
