"""Alerts wait in the status until they are delivered, and a restart takes up what an earlier process has left there."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.parse import parse_canary
from pyflagger.clock import LoopClock
from pyflagger.core.decision import Alert
from pyflagger.objects import Key
from pyflagger.operator.alerting.dispatcher import Delivered, Delivery
from pyflagger.operator.alerting.outbox import ALERTED, Outbox
from pyflagger.operator.alerting.receivers import Receivers
from pyflagger.operator.options import Options
from stage.manifests import analysis, canary

KEY = Key("test", "shop")
START = LoopClock(start=1_767_323_045.0)
STAMP = "2026-01-02T03:04:05Z"
ERROR, NEW = Alert("error", "it failed"), Alert("info", "it is new", with_fields=True)
SENT, LOST = Delivered("sent", 1), Delivered("rejected", 1, "no")
pytestmark = pytest.mark.looptime


def made(*rules: str, alerted: tuple[str, str, str] | None = None, since: float | None = None) -> Canary:
    """A Canary with receivers of these severities, and a condition of status, reason and message."""
    alerts = [{"name": "a", "severity": least, "providerRef": {"name": f"p{at}"}} for at, least in enumerate(rules)]
    obj = canary("shop", analysis=analysis(alerts=alerts))
    status: dict[str, Any] = {"phase": "Progressing"} | ({"lastTransitionTime": since} if since else {})
    if alerted:
        status["conditions"] = [{"type": ALERTED, **dict(zip(("status", "reason", "message"), alerted, strict=True))}]
    return parse_canary({**obj, "metadata": {"name": "shop", "namespace": "test", "uid": "u"}, "status": status})


class Box:
    """An outbox, what it has queued, and the canaries whose alerts have all ended."""

    def __init__(self) -> None:
        self.queued: list[Delivery] = []
        self.ended: list[Key] = []
        receivers = Receivers(Options(), lambda ref: None, None)  # type: ignore[arg-type]
        self.outbox = Outbox(receivers, self.queued.append, self.ended.append, START, "east")

    def condition(self, *before: dict[str, Any]) -> tuple[Any, ...] | None:
        """Status, reason and message of the condition, if there is one."""
        found = [one for one in self.outbox.conditions(KEY, before) if one["type"] == ALERTED]
        return tuple(found[0][name] for name in ("status", "reason", "message")) if found else None


async def test_an_alert_from_the_decision_to_its_end() -> None:
    """It waits for the status write, then for each receiver; the condition says so all along."""
    box, shop = Box(), made("info", "warn", "error")
    assert box.condition() is None
    box.outbox.stage(shop, NEW)
    box.outbox.stage(shop, ERROR)
    waiting = f"{STAMP} info with details: it is new\n{STAMP} error: it failed"
    assert box.condition() == ("False", "Sending", waiting) and not box.queued
    box.outbox.send(shop)
    assert box.condition() == ("False", "Sending", waiting)
    titles = [(each.alert.severity, each.receiver.title) for each in box.queued]
    assert titles == [("info", "AlertProvider p0.test"), *(("error", f"AlertProvider p{at}.test") for at in range(3))]
    assert [name for name, _ in box.queued[0].alert.fields][:2] == ["Cluster", "Target"]
    assert box.queued[1].alert.fields == (("Cluster", "east"),)
    assert len({each.alert.id for each in box.queued}) == 2
    for each in box.queued:
        assert not box.ended
        each.done(SENT)
    assert box.ended == [KEY] and box.condition() == ("True", "Sent", f"{STAMP} error: it failed")


async def test_a_dropped_alert_is_in_the_condition() -> None:
    """If one of its receivers did not get it; the next alert clears it."""
    box, shop = Box(), made("info", "info")
    box.outbox.stage(shop, ERROR)
    box.outbox.send(shop)
    box.queued[0].done(LOST)
    box.queued[1].done(SENT)
    assert box.condition() == ("True", "Dropped", f"{STAMP} error: it failed")
    box.outbox.stage(shop, NEW)
    box.outbox.send(shop)
    for each in box.queued[2:]:
        each.done(SENT)
    assert box.condition() == ("True", "Sent", f"{STAMP} info with details: it is new")


async def test_an_alert_that_nobody_wants() -> None:
    """There is no condition, and nothing is sent."""
    for rules in ((), ("error",)):
        box = Box()
        box.outbox.stage(made(*rules), NEW)
        box.outbox.send(made(*rules))
        assert not box.queued and not box.ended and box.condition() is None


async def test_an_alert_is_kept_once() -> None:
    """A decision that is made again in the same second repeats it."""
    box, shop = Box(), made("info")
    for _ in range(2):
        box.outbox.stage(shop, ERROR)
    box.outbox.send(shop)
    box.outbox.stage(shop, ERROR)
    box.outbox.send(shop)
    assert len(box.queued) == 1


LEFT = (f"{STAMP} info with details: it is new", f"{STAMP} error: it failed")


async def test_a_restart_sends_what_is_left() -> None:
    """Once, with the same identity as before."""
    before, shop = Box(), made("info")
    before.outbox.stage(shop, ERROR)
    before.outbox.send(shop)
    box = Box()
    for _ in range(2):
        box.outbox.restore(made("info", alerted=("False", "Sending", "\n".join(LEFT))))
    assert [each.alert.text for each in box.queued] == ["it is new", "it failed"]
    assert box.queued[1].alert.id == before.queued[0].alert.id
    for each in box.queued:
        each.done(SENT)
    assert box.ended == [KEY]


@pytest.mark.parametrize(
    "alerted", [None, ("True", "Sent", LEFT[1]), ("False", "Sending", ""), ("False", "Sending", "by hand")]
)
async def test_a_restart_with_nothing_left(alerted: Any) -> None:
    """What is sent is not sent again."""
    box = Box()
    box.outbox.restore(made("info", alerted=alerted))
    assert not box.queued


async def test_a_restart_without_receivers() -> None:
    """What is left is for nobody now; the condition ends."""
    box = Box()
    box.outbox.restore(made(alerted=("False", "Sending", LEFT[1])))
    assert box.ended == [KEY] and not box.queued
    assert box.condition() == ("True", "Sent", LEFT[1])


@pytest.mark.parametrize(("since", "again"), [(None, False), (1_767_323_000.0, False), (1_767_323_100.0, True)])
async def test_the_first_alert_after_a_restart_may_repeat_the_last(since: float | None, again: bool) -> None:
    """A restart forgets the reports of a phase, so its decision is made again. A later phase has other alerts."""
    box, shop = Box(), made("info", alerted=("True", "Sent", LEFT[1]), since=since)
    box.outbox.restore(shop)
    box.outbox.stage(shop, ERROR)
    box.outbox.send(shop)
    assert bool(box.queued) is again
    box.queued.clear()
    box.outbox.stage(shop, Alert("error", "it failed once more"))
    box.outbox.send(shop)
    assert [each.alert.text for each in box.queued] == ["it failed once more"]


async def test_a_deleted_canary() -> None:
    """What is queued is still delivered; nothing is stored."""
    box, shop = Box(), made("info")
    box.outbox.restore(shop)
    box.outbox.stage(shop, ERROR)
    box.outbox.send(shop)
    box.outbox.forget(KEY)
    box.queued[0].done(SENT)
    assert not box.ended and box.condition() is None


async def test_the_other_conditions_stay() -> None:
    """The condition keeps its transition time while its status stays, and its place when nothing changes."""
    box, shop = Box(), made("info")
    other = {"type": "Promoted", "status": "True", "reason": "Succeeded", "message": ""}
    old = {
        "type": ALERTED,
        "status": "False",
        "reason": "Sending",
        "message": "x",
        "lastTransitionTime": STAMP[:-3] + "01Z",
    }
    box.outbox.stage(shop, ERROR)
    first = box.outbox.conditions(KEY, (old, other))
    assert first[0] == other and first[1]["lastTransitionTime"] == old["lastTransitionTime"]
    assert first[1]["lastUpdateTime"] == STAMP
    assert box.outbox.conditions(KEY, first) == first
    assert Box().outbox.conditions(KEY, (old, other)) == [old, other]
