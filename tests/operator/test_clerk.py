"""The actions of canaries: which are pending, what a result costs, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pyflagger.api import actions
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.steered import LastAction
from pyflagger.core.decision import MarkAction
from pyflagger.kube.errors import Forbidden, Invalid, NotFound, ServerError
from pyflagger.objects import Key, Obj, Patch, Ref
from pyflagger.operator.act.clerk import KEPT, Clerk

KEY = Key("test", "shop")
PROBLEM = Problem(Fault.CLUSTER, "no")


class Place:
    """A clerk, and what it asked, logged, counted and poked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.counted: list[tuple[str, str]] = []
        self.poked: list[Key] = []
        self.fails: dict[str, Exception] = {}
        here: Any = self
        self.publisher: Any = SimpleNamespace(on=True, identity="pod-1")
        clock: Any = SimpleNamespace(monotonic=lambda: 0.0)
        log = SimpleNamespace(warning=self.log, info=self.log)
        self.clerk = Clerk(here, clock, "", self.publisher, here, log, here)
        self.clerk.poke = self.poked.append

    def log(self, text_: str, /, **more: Any) -> None:
        """A line."""
        self.lines.append((text_, more))

    def feature(self, name: str, state: str) -> None:
        """What is published."""
        assert name == "actions" and state.startswith("o")

    def acted(self, action: str, result: str) -> None:
        """A count."""
        self.counted.append((action, result))

    async def patch(self, patch: Patch) -> Obj:
        """A request."""
        self._ask("patch", patch.ref, patch.body)
        return {}

    async def delete(self, ref: Ref) -> None:
        """A request."""
        self._ask("delete", ref, None)

    def _ask(self, verb: str, ref: Ref, body: Any) -> None:
        self.asked.append((verb, ref.name, body))
        if verb in self.fails:
            raise self.fails[verb]

    def see(self, old: Obj | None, new: Obj | None) -> None:
        """A watch event."""
        self.clerk._changed(("test", (new or old or {})["metadata"]["name"]), old, new)


def action(name: str, second: int = 0, state: str = "", **spec: Any) -> Obj:
    """An action on the server."""
    meta = {"name": name, "namespace": "test", "uid": name, "creationTimestamp": f"2026-01-01T00:00:{second:02}Z"}
    body = {"canary": "shop", "action": "pause", "by": "ann", **spec}
    return {"metadata": meta, "spec": body, **({"status": {"state": state}} if state else {})}


def mark(obj: Obj, result: Any = "Done") -> MarkAction:
    """Its result."""
    told = LastAction(uid=obj["metadata"]["uid"], action="pause", by="ann", at="now", result=result, text="Paused")
    return MarkAction(actions.parsed(obj), told)


def names(place: Place) -> list[str]:
    """The pending actions."""
    return [each.metadata.name for each in place.clerk.pending(KEY)]


async def test_pending_ones_in_order() -> None:
    """Oldest first, in the order of their arrival within a second; a finished or deleted one leaves."""
    place = Place()
    for obj in (action("c", 2), action("z", 1), action("a", 1), action("old", 0, "Done"), action("x", canary="other")):
        place.see(None, obj)
    assert names(place) == ["z", "a", "c"] and place.poked == [KEY, KEY, KEY, Key("test", "other")]
    place.see(action("z", 1), None)
    place.see(action("a", 1), action("a", 1, "Refused"))
    assert names(place) == ["c"]
    place.clerk.forget(KEY)
    assert names(place) == []


async def test_a_result() -> None:
    """One write, a line in the log and a count; it is not pending before the watch shows that."""
    place, obj = Place(), action("a", reason="logs", via="cli")
    place.see(None, obj)
    assert await place.clerk.mark(KEY, mark(obj), 7) == 1
    told = {"state": "Done", "code": "", "text": "Paused", "at": "now", "operator": "pod-1", "release": 7}
    assert place.asked == [("patch", "a", {"status": told})] and names(place) == []
    (line,) = place.lines
    assert line[1]["audit"] is True and (line[1]["reason"], line[1]["via"]) == ("logs", "cli")
    assert place.counted == [("pause", "Done")]
    place.see(obj, obj)
    assert names(place) == []


async def test_the_oldest_go() -> None:
    """One more than is kept costs one more request. A refusal of it is logged, and stops nothing."""
    place = Place()
    for number in range(KEPT):
        place.see(None, action(f"a{number}", number, "Done"))
    last = action("last", 30)
    place.see(None, last)
    assert await place.clerk.mark(KEY, mark(last), 0) == 2
    assert place.asked[1][:2] == ("delete", "a0") and "release" not in place.asked[0][2]["status"]
    place.fails["delete"] = Forbidden(PROBLEM)
    more = action("more", 31)
    place.see(None, more)
    await place.clerk.mark(KEY, mark(more), 0)
    assert place.lines[-1][0] == "cannot delete an old action: no"


@pytest.mark.parametrize("error", [Forbidden(PROBLEM), Invalid(PROBLEM)])
async def test_a_result_that_is_refused(error: Exception) -> None:
    """No more actions of that namespace are taken."""
    place, obj = Place(), action("a")
    place.see(None, obj)
    place.fails["patch"] = error
    assert await place.clerk.mark(KEY, mark(obj), 1) == 0
    assert names(place) == [] and len(place.lines) == 1 and place.counted == []


async def test_an_action_that_is_gone() -> None:
    """Somebody deleted it."""
    place, obj = Place(), action("a")
    place.see(None, obj)
    place.fails["patch"] = NotFound(PROBLEM)
    assert await place.clerk.mark(KEY, mark(obj), 1) == 0
    assert names(place) == [] and place.lines == []


async def test_other_errors_are_those_of_the_reconciliation() -> None:
    """It tries again."""
    place, obj = Place(), action("a")
    place.see(None, obj)
    place.fails["patch"] = ServerError(PROBLEM)
    with pytest.raises(ServerError):
        await place.clerk.mark(KEY, mark(obj), 1)
    assert names(place) == ["a"]


async def test_an_older_definition_of_canary() -> None:
    """No action is pending."""
    place = Place()
    place.see(None, action("a"))
    place.publisher.on = False
    assert names(place) == []


async def test_an_action_that_nobody_can_read() -> None:
    """A line in the log."""
    place = Place()
    place.see(None, action("a", weight="much"))
    assert names(place) == [] and place.lines[0][0].startswith("cannot read action a.test")
