"""Writing records: what is sent and read, what a refusal switches off, and what a restart finds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.published import CheckResult
from pyflagger.api.records import (
    FIRST_ROUNDS,
    LAST_ROUNDS,
    SIZE_MAX,
    TEMPLATE_MAX,
    WAITS_MAX,
    Judged,
    ReleaseRecord,
    ReleaseSpec,
    Waited,
    fitted,
    grown,
    name_of,
    rendered,
    written,
)
from pyflagger.core.decision import CloseRecord, DropRecords, NoteRounds, OpenRecord
from pyflagger.core.situation import History
from pyflagger.kube.errors import AlreadyExists, Forbidden, Invalid, NotFound, ServerError
from pyflagger.objects import Key, Obj, Patch, Ref, Resource, merge_apply
from pyflagger.operator.act.records import Archivist
from pyflagger.operator.act.render import Moved

KEY = Key("test", "shop")
CANARY = Canary.model_validate({"metadata": {"name": "shop", "namespace": "test", "uid": "u"}, "spec": {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})  # fmt: skip
PROBLEM = Problem(Fault.CLUSTER, "no")
SPEC = ReleaseSpec(number=2, canary="shop", revision="v1:r2", started_at="2026-01-01T00:00:00Z")
OPEN = OpenRecord(SPEC)
ENDED = ReleaseRecord(outcome="Promoted", finished_at="2026-01-01T00:01:30Z", weight=40)


def judged(second: int) -> Judged:
    """A round in this second."""
    return Judged(at=f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z", weight=20, end="advanced")


def noted(*seconds: int) -> NoteRounds:
    """The rounds of these seconds."""
    return NoteRounds(2, tuple(map(judged, seconds)), (), 30.0)


class Server:
    """An API server that keeps records by name, and what was asked of it."""

    def __init__(self, *records: Obj) -> None:
        self.kept = {each["metadata"]["name"]: each for each in records}
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.features: dict[str, str] = {}

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.fails:
            raise self.fails

    async def create(self, obj: Obj, resource: Resource) -> Obj:
        """Create, unless it is there."""
        self._ask("create")
        if obj["metadata"]["name"] in self.kept:
            raise AlreadyExists(PROBLEM)
        self.kept[obj["metadata"]["name"]] = obj
        return obj

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Read."""
        self._ask("get")
        if name not in self.kept:
            raise NotFound(PROBLEM)
        return self.kept[name]

    async def patch(self, patch: Patch) -> Obj:
        """Change."""
        self._ask("patch")
        if patch.ref.name not in self.kept:
            raise NotFound(PROBLEM)
        self.kept[patch.ref.name] = merge_apply(self.kept[patch.ref.name], patch.body)
        return self.kept[patch.ref.name]

    async def delete(self, ref: Ref) -> None:
        """Delete; a missing one is deleted."""
        self._ask("delete")
        self.kept.pop(ref.name, None)

    async def call(self, method: str, path: str) -> Obj:
        """List."""
        self._ask("list")
        return {"items": [*self.kept.values(), {"spec": {"canary": "other", "number": 99}}, {}]}


def archivist(server: Server, keep: int = 10) -> tuple[Archivist, list[str]]:
    """An archivist, and its lines in the log."""
    lines: list[str] = []
    log = SimpleNamespace(warning=lambda text, todo: lines.append(f"{text} {todo}"))
    clock: Any = SimpleNamespace(now=lambda: 1_767_225_700.0)
    publisher: Any = SimpleNamespace(on=True)
    client: Any = server
    disclosure: Any = SimpleNamespace(feature=server.features.__setitem__)
    return Archivist(client, publisher, keep, clock, log, disclosure), lines


def stored(number: int, outcome: str = "Running", uid: str = "u", revision: str = "v1:r2") -> Obj:
    """A record on the server."""
    owner = CANARY.model_copy(update={"metadata": CANARY.metadata.model_copy(update={"uid": uid})})
    spec = written(SPEC.model_copy(update={"number": number, "revision": revision}))
    return rendered(owner, spec, {"outcome": outcome})


async def test_one_release() -> None:
    """Opened, noted and closed without a read."""
    server = Server()
    desk, _ = archivist(server)
    assert await desk.open(CANARY, OPEN, SPEC, {}) == 1 and desk.history(KEY) == History(10, 2)
    assert await desk.note(CANARY, noted(10, 20), None) == 1
    assert await desk.close(CANARY, CloseRecord(noted(20, 30), ENDED), {"template": {"spec": {}}}) == 1
    assert server.asked == ["create", "patch", "patch"]
    found = server.kept["shop-2"]
    assert found["metadata"]["labels"]["flagger.app/outcome"] == "Promoted"
    assert found["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is False
    assert [each["at"][-3:] for each in found["status"]["rounds"]] == ["10Z", "20Z", "30Z"]
    assert (found["status"]["took"], found["status"]["weight"], found["status"]["template"]) == (
        "1m30s",
        40,
        {"spec": {}},
    )


async def test_another_process_goes_on() -> None:
    """It reads the record once, and says which time has no rounds."""
    server = Server()
    await archivist(server)[0].open(CANARY, OPEN, SPEC, {})
    await archivist(server)[0].note(CANARY, noted(10), None)
    desk, _ = archivist(server)
    assert await desk.open(CANARY, OPEN, SPEC, {}) == 0, "its own"
    await desk.note(CANARY, noted(50), SPEC.model_copy(update={"revision": "v1:r3", "started_at": "later"}))
    found = server.kept["shop-2"]
    assert found["status"]["rounds"][1]["gap"] == [judged(10).at, judged(50).at]
    assert (found["spec"]["revision"], found["spec"]["startedAt"]) == ("v1:r3", SPEC.started_at)
    assert await desk.close(CANARY, CloseRecord(noted(), ENDED), {}) == 1
    assert await desk.close(CANARY, CloseRecord(noted(), ENDED), {}) == 0, "it has this end"
    assert await desk.note(CANARY, noted(60), None) == 0, "it is over"
    lost = ReleaseRecord(outcome="Lost")
    assert await desk.close(CANARY, CloseRecord(noted(), lost), {}) == 0 and found["status"] is not None
    assert server.kept["shop-2"]["status"]["outcome"] == "Promoted"


@pytest.mark.parametrize(
    ("there", "highest", "outcome"),
    [
        ([stored(2, revision="v1:r9")], 2, "Lost"),
        ([stored(2, "Promoted", revision="v1:r9")], 2, "Promoted"),
        ([stored(2, "Running", "earlier"), stored(7, "Promoted", "earlier")], 7, "Running"),
    ],
)
async def test_a_number_that_is_taken(there: list[Obj], highest: int, outcome: str) -> None:
    """By a release whose end nobody saw, by one that has ended, or by an earlier Canary's: decide again."""
    server = Server(*there)
    desk, _ = archivist(server)
    with pytest.raises(Moved):
        await desk.open(CANARY, OPEN, SPEC, {})
    assert desk.history(KEY).last == highest and server.kept["shop-2"]["status"]["outcome"] == outcome


async def test_a_release_that_ends_as_it_begins() -> None:
    """One request; it is found again by a process that was not told of the answer."""
    server = Server()
    opened = OpenRecord(SPEC, ReleaseRecord(outcome="Initialized"))
    assert await archivist(server)[0].open(CANARY, opened, SPEC, {"templateOmitted": "why"}) == 1
    assert await archivist(server)[0].open(CANARY, opened, SPEC, {}) == 0
    assert server.kept["shop-2"]["status"] == {"outcome": "Initialized", "templateOmitted": "why"}


async def test_a_record_that_somebody_deleted() -> None:
    """It stays deleted."""
    server = Server()
    desk, lines = archivist(server)
    await desk.open(CANARY, OPEN, SPEC, {})
    server.kept.clear()
    await desk.note(CANARY, noted(10), None)
    assert await desk.close(CANARY, CloseRecord(noted(), ENDED), {}) == 0
    assert server.kept == {} and lines == [] and desk.history(KEY).keep == 10


@pytest.mark.parametrize("error", [Forbidden, NotFound, Invalid])
async def test_refusals_switch_it_off(error: type[Any]) -> None:
    """With one line, until the next start."""
    server = Server()
    server.fails = error(PROBLEM)
    desk, lines = archivist(server)
    assert await desk.open(CANARY, OPEN, SPEC, {}) == 0
    assert await desk.close(CANARY, CloseRecord(noted(), ENDED), {}) == 0
    assert len(lines) == 1 and desk.history(KEY).keep == 0
    assert server.features["records"].startswith("off: No more releases are recorded in namespace test")
    assert desk.history(Key("other", "shop")).keep == 10, "a quota of one namespace is not that of all"


async def test_an_error_of_the_server_is_one() -> None:
    """It is retried as any other."""
    server = Server()
    server.fails = ServerError(PROBLEM)
    desk, lines = archivist(server)
    with pytest.raises(ServerError):
        await desk.open(CANARY, OPEN, SPEC, {})
    assert lines == [] and desk.history(KEY).keep == 10


async def test_what_is_dropped_and_forgotten() -> None:
    """Records that are not kept, and what is known of a deleted canary."""
    server = Server(stored(2))
    desk, _ = archivist(server)
    assert await desk.drop(CANARY, DropRecords((1, 2))) == 2 and server.kept == {}
    await desk.open(CANARY, OPEN, SPEC, {})
    desk.forget(KEY)
    assert desk.history(KEY) == History(10, 0)


# Bounds --------------------------------------------------------------------------------------------------------------


def test_rounds_are_bounded() -> None:
    """The first and the last ones stay; the others are counted, also when it grows again."""
    record: Obj = {"spec": {}, "status": {"outcome": "Running"}}
    for hour in range(4):
        record["status"] = fitted({}, grown(record, tuple(judged(hour * 100 + at) for at in range(100)), (), 900.0))
    found = record["status"]
    assert (len(found["rounds"]), found["skipped"]) == (FIRST_ROUNDS + LAST_ROUNDS, 200)
    kept = [each["at"] for each in found["rounds"]]
    assert kept == sorted(kept) and kept[0] == judged(0).at and kept[FIRST_ROUNDS] == judged(220).at


def test_a_record_that_is_too_large() -> None:
    """A template that is too large is left out, and so are rounds, until all of it fits."""
    large = fitted({}, {"template": {"x": "y" * TEMPLATE_MAX}, "outcome": "Promoted"})
    assert "template" not in large and "128 KiB" in large["templateOmitted"]
    checks = tuple(CheckResult(name=f"check-{at}", verdict="bad", text="x" * 120) for at in range(24))
    rounds = tuple(judged(at).model_copy(update={"checks": checks}) for at in range(200))
    status = grown({"status": {"template": {"x": "y" * (TEMPLATE_MAX - 99)}}}, rounds, (), 900.0)
    found = fitted({}, status)
    assert "template" in found and found["skipped"] > 100 and len(repr(found)) < 1.3 * SIZE_MAX


def test_waits_are_bounded_and_told_once() -> None:
    """The last ones stay."""
    waits = tuple(Waited(code="A", since=f"{at:03}", until="z") for at in range(WAITS_MAX + 9))
    record = {"status": {"waits": [written(waits[0])]}}
    assert len(grown(record, (), waits, 1.0)["waits"]) == len(waits)
    assert fitted({}, grown(record, (), waits, 1.0))["waits"][0]["from"] == "009"


def test_names() -> None:
    """Of the Canary and the number."""
    assert name_of(CANARY, 42) == "shop-42"
