"""The ports on a cluster: which weights are exposed, where failures are counted, and where calls go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem, Route
from pyflagger.core.decision import Decision, ReleaseFinalizer
from pyflagger.core.situation import Passed, ProbeProviders
from pyflagger.objects import Key, Ref
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.observe.situation import NotYet
from pyflagger.operator.options import Options
from pyflagger.operator.ports import ClusterPorts
from pyflagger.operator.state import State
from stage.manifests import canary

KEY = Key("test", "web")
SPLIT = Route(90, 10)
TROUBLE = Problem(Fault.CLUSTER, "not allowed")


def compiled(phase: str = "Progressing") -> CompiledCanary:
    """A Canary in a phase."""
    made = canary("web")
    made["metadata"] |= {"namespace": "test", "uid": "u"}
    return compile_canary({**made, "status": {"phase": phase}}, None, settings_of(Options()))


def seen(phase: str = "Progressing", route: Any = SPLIT) -> Any:
    """An observation of that Canary."""
    return SimpleNamespace(compiled=compiled(phase), situation=SimpleNamespace(route=route))


@dataclass
class Calls:
    """All collaborators of the ports: each call is kept in order, and `answers` has the results by name."""

    answers: dict[str, Any] = field(default_factory=dict)
    made: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            plain = (each.metadata.name if isinstance(each, Canary) else each for each in args)
            self.made.append((name, *plain))
            return self.answers.get(name)

        return call


class Waits(Calls):
    """Collaborators whose calls wait."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = super().__getattr__(name)

        async def later(*args: Any) -> Any:
            return call(*args)

        return later


def ports(calls: Any, waits: Any = None, alerts: Any = None) -> ClusterPorts:
    """Ports with these collaborators."""
    return ClusterPorts(calls, waits, waits or Calls(), calls, calls, calls, alerts or Calls(), calls)


@pytest.mark.parametrize(
    ("phase", "route", "exposed"),
    [
        ("Progressing", SPLIT, True),
        ("Succeeded", SPLIT, True),
        ("", SPLIT, False),
        ("Initializing", SPLIT, False),
        ("Terminating", SPLIT, False),
        ("Progressing", None, False),
        ("Progressing", TROUBLE, False),
    ],
)
def test_weights_of_a_run_are_exposed(phase: str, route: Any, exposed: bool) -> None:
    """A canary without a run, and a route that cannot be read, have no weight that would be true."""
    calls = Calls({"observe": seen(phase, route)})
    state = State()
    assert ports(calls).observe(KEY, state) is calls.answers["observe"]
    assert calls.made == [("observe", KEY, state), *([("route", "web", SPLIT)] if exposed else [])]


def test_a_canary_that_is_gone_has_no_weights() -> None:
    """Nothing is exposed that would stay in /metrics."""
    calls = Calls()
    records = Calls()
    assert ports(calls, records).observe(KEY, State()) is None
    assert records.made == [("forget", KEY)]
    assert [name for name, *_ in calls.made] == ["observe"]


def test_a_cache_that_is_not_filled() -> None:
    """NotYet reaches the reconciler."""

    class Empty(Calls):
        def observe(self, key: Key, state: State) -> None:
            """Nothing is known."""
            raise NotYet

    with pytest.raises(NotYet):
        ports(Empty()).observe(KEY, State())


@pytest.mark.parametrize("known", [True, False])
def test_a_failure_is_reported_and_counted(known: bool) -> None:
    """It is counted by the target's name, so only if the Canary was ever compiled. It is reported in any case."""
    raw = {"metadata": {"name": "web"}}
    calls = Calls({"last_compiled": compiled() if known else None, "get": raw})
    ports(calls).failed(KEY, TROUBLE)
    ref = Ref("flagger.app/v1beta1", "Canary", "test", "web")
    counted = [("failed", "web", "test", "cluster")] if known else []
    assert calls.made == [("last_compiled", KEY), *counted, ("get", ref), ("failed", KEY, raw, TROUBLE)]


async def test_checks_and_actions_are_awaited() -> None:
    """Their results are those of the gatherer and the executor."""
    calls = Waits({"gather": Passed(), "apply": 3})
    now, need, action = seen(), ProbeProviders(), ReleaseFinalizer()
    both = ports(calls, calls)
    assert await both.gather(now, need) == Passed()
    assert await both.apply(now, action) == 3
    assert calls.made == [("gather", now.compiled, need), ("apply", now, action)]


def test_rounds_and_decisions_are_reported() -> None:
    """Durations go to the histograms in seconds, and decisions to the spectator as they are."""
    calls, decision = Calls(), Decision(wake=5.0)
    both = ports(calls)
    both.judged(seen(), 0.25)
    both.late(1.5)
    both.decided(KEY, decision)
    assert calls.made == [("judged", "web", 0.25), ("lag", 1.5), ("decided", KEY, decision)]


def test_alerts_of_an_earlier_process_are_sent_once_a_canary_is_observed() -> None:
    """They are in its status. Those of a decision are sent after it, and a deleted canary has none."""
    alerts = Calls()
    assert ports(Calls({"observe": seen()}), alerts=alerts).observe(KEY, State()) is not None
    ports(Calls(), alerts=alerts).applied(seen())
    assert ports(Calls(), alerts=alerts).observe(KEY, State()) is None
    assert alerts.made == [("restore", "web"), ("send", "web"), ("forget", KEY)]
