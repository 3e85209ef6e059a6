"""One text for the Event, the event webhooks and the log; and a deletion that leaves a target without pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.decision import Alert, Reason, Say
from pyflagger.objects import Key, Obj
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.options import Options
from pyflagger.plugins import PluginFailed
from stage.manifests import canary, deployment

KEY = Key("test", "web")


class Everywhere:
    """An announcer's Events, event webhooks and log, which keep what they get."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.hooks: list[dict[str, str]] = []
        self.log: list[tuple[str, str, dict[str, Any]]] = []
        self.awaited: list[object] = []

    def record(self, about: Obj, type_: str, text: str) -> None:
        """An Event."""
        self.events.append((about["metadata"]["name"], type_, text))

    async def written(self, about: Obj) -> None:
        """The Events of an object are waited for."""
        self.awaited.append(about["metadata"]["name"])

    def tell(self, canary: Canary, **told: str) -> None:
        """An event for the webhooks."""
        self.hooks.append(told)

    async def heard(self, key: Key) -> None:
        """The webhooks of a canary are waited for."""
        self.awaited.append(key)

    def info(self, text: str, /, **fields: Any) -> None:
        """A line for progress."""
        self.log.append(("info", text, fields))

    def warning(self, text: str, /, **fields: Any) -> None:
        """A line for a delay."""
        self.log.append(("warning", text, fields))

    def error(self, text: str, /, **fields: Any) -> None:
        """A line for a failure."""
        self.log.append(("error", text, fields))


@pytest.fixture
def everywhere() -> Everywhere:
    """No reports yet."""
    return Everywhere()


@pytest.fixture
def announcer(everywhere: Everywhere) -> Announcer:
    """An announcer that reports there."""
    heard: Any = everywhere
    return Announcer(heard, heard, everywhere)


def compiled(phase: str = "Succeeded", **spec: Any) -> CompiledCanary:
    """A Canary in a phase."""
    return compile_canary(raw(phase, **spec), None, settings_of(Options()))


def raw(phase: str = "Succeeded", **spec: Any) -> Obj:
    """The object of that Canary."""
    made = canary("web", **spec)
    return {**made, "metadata": {"name": "web", "namespace": "test", "uid": "u"}, "status": {"phase": phase}}


def target(replicas: int = 0, **meta: Any) -> Obj:
    """The target, by default without pods."""
    made = deployment("web")
    made["metadata"] |= {"namespace": "test", **meta}
    made["spec"]["replicas"] = replicas
    return made


@pytest.mark.parametrize(
    ("type_", "code", "fault", "level"),
    [
        ("Normal", "advancing", None, "info"),
        ("Normal", "failed", Fault.US, "info"),
        ("Warning", "canary-not-ready", Fault.CLUSTER, "warning"),
        ("Warning", "halted", None, "warning"),
        ("Warning", "rolling-back", None, "error"),
        ("Warning", "failed", Fault.MANIFEST, "error"),
        ("Warning", "promotion-failed", None, "error"),
        ("Warning", "plugin", Fault.US, "error"),
    ],
)
def test_a_reason_is_reported_everywhere(
    announcer: Announcer, everywhere: Everywhere, type_: Any, code: str, fault: Fault | None, level: str
) -> None:
    """The same text goes out three times. Advice is only in the log, whose level depends on the reason."""
    say = Say(type_, Reason(code, "Advance web.test weight 10", "Do this.", fault), "Progressing", "abc")
    announcer.tell(compiled().canary, raw(), say)
    text = "Advance web.test weight 10"
    assert everywhere.events == [("web", type_, text)]
    assert everywhere.hooks == [{"phase": "Progressing", "checksum": "abc", "text": text, "kind": type_}]
    assert everywhere.log == [(level, text, {"canary": "web.test", "code": code, "todo": "Do this."})]


@pytest.mark.parametrize(
    ("fault", "todo", "level", "text"),
    [
        (Fault.CLUSTER, "Grant the verb.", "warning", "not allowed Grant the verb."),
        (Fault.MANIFEST, "", "warning", "not allowed"),
        (Fault.US, "Report it.", "error", "not allowed Report it."),
    ],
)
def test_a_failure_is_a_warning_with_its_advice(
    announcer: Announcer, everywhere: Everywhere, fault: Fault, todo: str, level: str, text: str
) -> None:
    """The event webhooks get only events of releases. A bug of flagger is an error in the log."""
    announcer.failed(KEY, raw(), Problem(fault, "not allowed", todo))
    assert everywhere.events == [("web", "Warning", text)]
    assert everywhere.log == [(level, "not allowed", {"canary": "web.test", "fault": fault.value, "todo": todo})]
    assert not everywhere.hooks


def test_a_failure_of_a_canary_that_is_gone(announcer: Announcer, everywhere: Everywhere) -> None:
    """An Event needs an object. The log has the failure anyway."""
    announcer.failed(KEY, None, Problem(Fault.CLUSTER, "not allowed"))
    assert not everywhere.events and len(everywhere.log) == 1


ASLEEP = "Canary web.test is deleted and web.test runs no pods: scale it up"


@pytest.mark.parametrize(
    ("of", "live", "reported"),
    [
        (compiled(), target(), True),
        (compiled("Failed"), target(), True),
        (compiled(), target(replicas=1), False),
        (compiled(), None, False),
        (compiled(), target(deletionTimestamp="2024-01-01T00:00:00Z"), False),
        (compiled("Initializing"), target(), False),
        (compiled(revertOnDeletion=True), target(), False),
        (replace(compiled(), workload=None), target(), False),
    ],
    ids=["asleep", "failed", "runs", "gone", "going", "never ran", "reverted", "no kind"],
)
def test_a_deletion_that_leaves_no_pods(
    announcer: Announcer, everywhere: Everywhere, of: CompiledCanary, live: Obj | None, reported: bool
) -> None:
    """The user hears of it only if flagger scaled the target to zero and nothing scales it up."""
    announcer.deleted(of, raw(), live)
    assert [text for _, _, text in everywhere.events] == [ASLEEP] * reported
    assert [hook["phase"] for hook in everywhere.hooks] == ["Terminated"] * reported


def test_a_kind_that_fails_hides_no_deletion(announcer: Announcer, everywhere: Everywhere) -> None:
    """A broken plugin does not raise an error in the watch that reports the deletion."""

    class Broken:
        scalable = True

        def at_zero(self, obj: Obj) -> bool:
            """Fails."""
            raise PluginFailed(Problem(Fault.US, "broken"))

    broken: Any = Broken()
    announcer.deleted(replace(compiled(), workload=broken), raw(), target())
    assert not everywhere.events


@pytest.mark.parametrize(("severity", "level"), [("info", "info"), ("warn", "warning"), ("error", "error")])
def test_an_alert_is_a_line(announcer: Announcer, everywhere: Everywhere, severity: Any, level: str) -> None:
    """An alert is no Event, and its severity is the level of the line."""
    announcer.alert(compiled().canary, Alert(severity, "Canary web failed"))
    fields = {"canary": "web.test", "severity": severity, "text": "Canary web failed"}
    assert everywhere.log == [(level, "alert", fields)] and not everywhere.events


async def test_waits_are_for_one_canary(announcer: Announcer, everywhere: Everywhere) -> None:
    """For the receivers and for the Events of this canary only."""
    await announcer.heard(compiled().canary)
    await announcer.written(raw())
    assert everywhere.awaited == [KEY, "web"]
