"""One look at one canary: what is gathered, applied, tried again, and contained. The decisions are the real ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_PRIMARY, READY, Capabilities, Fault, Problem, Route
from pyflagger.api.parse import parse_canary
from pyflagger.clock import LoopClock
from pyflagger.core.decision import (
    Action,
    Alert,
    Count,
    Decision,
    Ensure,
    Promote,
    Say,
    ScaleTarget,
    SetRoute,
    WriteStatus,
)
from pyflagger.core.memory import AT_WRITE, DUE, Memory, Subject, Time, Told
from pyflagger.core.situation import (
    CallHook,
    CheckMetric,
    Generated,
    Need,
    Passed,
    Primary,
    Refused,
    Situation,
    Target,
    Value,
)
from pyflagger.kube.errors import Conflict, Forbidden, NotLeader, Unreachable
from pyflagger.objects import Key
from pyflagger.operator.act.render import Moved
from pyflagger.operator.observe.situation import NotYet
from pyflagger.operator.reconcile.reconciler import BACKOFF_MAX, Reconciler
from pyflagger.operator.state import State
from pyflagger.plugins import PluginBusy, _Call

pytestmark = pytest.mark.looptime

KEY = Key("test", "web")
HOOKS = [{"name": name, "type": "rollout", "url": f"http://{name}"} for name in ("one", "two")]
METRIC = {"name": "errors", "query": "x", "thresholdRange": {"max": 1}}


@dataclass(frozen=True)
class Seen:
    """What the worker is shown."""

    situation: Situation


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def exception(self, text: str, **_: Any) -> None:
        """One line."""
        self.lines.append(text)

    debug = exception


@dataclass
class Place:
    """One canary in the middle of a release at weight 10, and everything that the worker does to it."""

    answers: dict[str, Any] = field(default_factory=dict)
    """By name of a hook or metric: a Result, an exception, or a number of seconds that a passing answer takes."""
    trouble: list[Exception] = field(default_factory=list)
    """What the next actions raise, one each."""
    refusing: list[Exception] = field(default_factory=list)
    """What the next writes of the status of a failed release raise, one each."""
    forbidden: type[Action] | None = None
    """What the server does not allow."""

    def __post_init__(self) -> None:
        self.clock, self.log = LoopClock(), Log()
        self.asked: list[str] = []
        self.tried: list[Action] = []
        self.done: list[Action] = []
        self.told: list[Problem] = []
        self.delays: list[float] = []
        self.gone = False
        self.not_yet = False
        self.decisions: list[Decision] = []
        self.reconciler: Reconciler[Seen] = Reconciler(self, self.clock, self.log)
        self.situation = self.begin()

    def begin(self) -> Situation:
        """At weight 10, judged last this very moment."""
        from pyflagger.api.durations import precise_stamp

        status = {
            "phase": "Progressing",
            "canaryWeight": 10,
            "lastAppliedSpec": "v1:2",
            "lastPromotedSpec": "v1:1",
            "lastTickTime": precise_stamp(self.clock.now()),
        }
        analysis = {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50, "webhooks": HOOKS}
        manifest = {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web", "namespace": "test", "uid": "u", "generation": 1},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80},
                "analysis": {**analysis, "metrics": [METRIC]},
            },
            "status": status,
        }
        return Situation(
            canary=parse_canary(manifest),
            now=self.clock.now(),
            interval=10.0,
            provider="nginx",
            capabilities=Capabilities(weights=True, ab=True),
            target=Target("v1:2", None, READY, at_zero=False),
            primary=Primary(READY),
            route=Route(90, 10),
        )

    def failed(self, key: Key, problem: Problem) -> None:
        """Kept."""
        self.told.append(problem)

    def applied(self, seen: Seen) -> None:
        """Not kept."""

    def judged(self, seen: Seen, seconds: float) -> None:
        """Not kept."""

    def decided(self, key: Key, decision: Decision) -> None:
        """Kept."""
        self.decisions.append(decision)

    def late(self, seconds: float) -> None:
        """Kept."""
        self.delays.append(seconds)

    # Ports ------------------------------------------------------------------------------------------------------------

    def observe(self, key: Key, state: State) -> Seen | None:
        """The situation as it is by now."""
        if self.not_yet:
            raise NotYet
        if self.gone:
            return None
        return Seen(
            replace(
                self.situation,
                now=self.clock.now(),
                evidence=dict(state.evidence),
                memory=state.memory,
                refused=state.hindrance,
                asking=state.asked_at,
            )
        )

    async def gather(self, seen: Seen, need: Need) -> Any:
        """An answer as scripted."""
        analysis = seen.situation.canary.spec.analysis
        assert analysis is not None
        if isinstance(need, CallHook):
            name = analysis.webhooks[need.index].name
        elif isinstance(need, CheckMetric):
            name = analysis.metrics[need.index].name
        else:
            name = "probe"
        self.asked.append(name)
        answer = self.answers.get(name)
        if isinstance(answer, int | float):
            await self.clock.sleep(answer)
            answer = None
        if isinstance(answer, Exception):
            raise answer
        return answer or (Value(0.5) if isinstance(need, CheckMetric) else Passed())

    async def apply(self, seen: Seen, action: Action) -> int:
        """Do it to the situation."""
        self.tried.append(action)
        if self.forbidden and isinstance(action, self.forbidden):
            raise Forbidden(Problem(Fault.CLUSTER, f"not allowed to {type(action).__name__}"))
        if self.trouble and not isinstance(action, Say):
            raise self.trouble.pop(0)
        if self.refusing and isinstance(action, WriteStatus) and action.status.phase is Phase.FAILED:
            raise self.refusing.pop(0)
        self.done.append(action)
        match action:
            case SetRoute(route):
                self.situation = replace(self.situation, route=route)
            case WriteStatus(status):
                canary = self.situation.canary.model_copy(update={"status": status})
                self.situation = replace(self.situation, canary=canary)
            case ScaleTarget(replicas) if isinstance(self.situation.target, Target):
                target = replace(self.situation.target, at_zero=not replicas)
                self.situation = replace(self.situation, target=target)
            case Promote():
                self.situation = replace(self.situation, primary=Primary(READY, matches_target=True))
        return 1

    # What is done -----------------------------------------------------------------------------------------------------

    async def run(self, seconds: float, add: bool = True) -> Place:
        """Let time pass with the scheduler at work."""
        task = asyncio.create_task(self.reconciler.queue.run())
        if add:
            self.reconciler.queue.add(KEY)
        await self.clock.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return self

    def spec(self, **changes: Any) -> None:
        """An edit: another generation."""
        old = self.situation.canary
        meta = old.metadata.model_copy(update={"generation": (old.metadata.generation or 0) + 1})
        spec = old.spec.model_copy(update=changes)
        self.situation = replace(self.situation, canary=old.model_copy(update={"metadata": meta, "spec": spec}))

    @property
    def weights(self) -> list[int]:
        """The weights that were set."""
        return [action.route.canary for action in self.done if isinstance(action, SetRoute)]


# A round ------------------------------------------------------------------------------------------------------------


async def test_a_round_is_judged_at_its_time() -> None:
    """Nothing is asked before the interval has passed; then each check once, in order, and the weight rises once."""
    place = await Place().run(9.5)
    assert place.asked == [] and place.done == []
    await place.run(1, add=False)
    assert place.asked == ["one", "two", "errors"]
    assert place.weights == [20]
    assert place.delays and max(place.delays) < 0.1
    await place.run(10, add=False)
    assert place.asked == ["one", "two", "errors"] * 2 and place.weights == [20, 30]


async def test_pokes_do_not_judge_early() -> None:
    """However often something happens around it."""
    place = Place()
    for _ in range(90):
        await place.run(0.1)
    assert place.asked == []


async def test_a_poke_in_the_middle_asks_nothing_twice() -> None:
    """While a hook thinks, events go by."""
    place = Place(answers={"two": 5})
    await place.run(10.5)
    for _ in range(20):
        await place.run(0.1)
    await place.run(10)
    assert place.asked[:3] == ["one", "two", "errors"] and place.weights[0] == 20
    assert place.asked.count("one") == place.asked.count("two")


async def test_metrics_are_asked_together() -> None:
    """Three slow answers take as long as one, and one that breaks does not leave the others running."""
    names = ("errors", "lag", "depth")
    place = Place(answers=dict.fromkeys(names, 4))
    analysis = place.situation.canary.spec.analysis
    assert analysis is not None
    metrics = tuple(analysis.metrics[0].model_copy(update={"name": name}) for name in names)
    place.spec(analysis=analysis.model_copy(update={"metrics": metrics}))
    await place.run(13)
    assert place.asked == ["one", "two", *names] and place.weights == []
    await place.run(2)
    assert place.weights == [20] and place.asked == ["one", "two", *names]
    place.answers["lag"] = OURS
    await place.run(10)
    assert place.told[0].text == "ZeroDivisionError: a bug"


def asking(place: Place) -> list[str]:
    """What the condition Waiting of the status says."""
    conditions = place.situation.canary.status.conditions
    return [each.message for each in conditions if (each.type, each.reason) == ("Waiting", "Asking")]


async def test_a_check_without_an_answer_is_told_after_ten_seconds() -> None:
    """By one write, while the check goes on; nothing is asked twice, and the round's own write takes it back."""
    place = await Place(answers={"two": 25}).run(19.5)
    assert asking(place) == [] and place.tried == []
    await place.run(1, add=False)
    assert len(place.tried) == 1 and asking(place)[0].startswith("Hook two has not answered since ")
    for _ in range(10):
        await place.run(1)
    assert len(place.tried) == 1 and place.asked == ["one", "two"]
    await place.run(7, add=False)
    assert place.asked == ["one", "two", "errors"] and place.weights == [20] and asking(place) == []


async def test_two_slow_checks_are_not_one_that_stands() -> None:
    """The ten seconds are those of one check."""
    place = await Place(answers={"one": 8, "two": 8}).run(30)
    assert place.weights == [20] and len([each for each in place.tried if isinstance(each, WriteStatus)]) == 1


async def test_a_status_that_cannot_be_written_meanwhile_delays_nothing() -> None:
    """The check goes on and the release as well."""
    conflict = Conflict(Problem(Fault.CLUSTER, "it changed"))
    place = await Place(answers={"two": 15}, trouble=[conflict]).run(26)
    assert place.log.lines == ["status not written"]
    assert place.asked == ["one", "two", "errors"] and place.weights == [20]


async def test_what_fails_is_asked_no_further() -> None:
    """A hook that refuses ends the round: one failed check, the weight stays."""
    place = await Place(answers={"one": Refused("no")}).run(11)
    assert place.asked == ["one"] and place.weights == []
    assert place.situation.canary.status.failed_checks == 1


async def test_a_new_revision_is_not_kept_waiting() -> None:
    """What is being asked about the old one is dropped at once."""
    place = Place(answers={"one": 60})
    await place.run(11)
    assert place.asked == ["one"]
    assert isinstance(place.situation.target, Target)
    place.situation = replace(place.situation, target=replace(place.situation.target, revision="v1:3"))
    await place.run(0.1)
    assert place.weights[0] == 0 and max(place.weights) <= 10
    assert place.situation.canary.status.last_applied_spec == "v1:3"
    await place.run(60, add=False)
    assert place.situation.canary.status.phase is Phase.PROGRESSING


async def test_an_edit_makes_old_answers_worthless() -> None:
    """The check of index 0 is another one now: it is asked, and the answer of the old one counts for nothing."""
    place = Place(answers={"two": 5})
    await place.run(11)
    assert place.asked == ["one", "two"]
    analysis = place.situation.canary.spec.analysis
    assert analysis is not None
    place.spec(analysis=analysis.model_copy(update={"webhooks": tuple(reversed(analysis.webhooks))}))
    await place.run(6)
    assert place.asked == ["one", "two", "two", "one", "errors"]
    assert place.weights == [20]


# Trouble ------------------------------------------------------------------------------------------------------------

OURS, THEIRS = ZeroDivisionError("a bug"), Unreachable(Problem(Fault.CLUSTER, "away", "It is tried again."))


@pytest.mark.parametrize("error", [Conflict(Problem(Fault.CLUSTER, "changed")), Moved()])
async def test_the_world_has_moved_on(error: Exception) -> None:
    """Decided again soon, without a word."""
    place = await Place(trouble=[error]).run(13)
    assert place.weights == [20] and place.told == [] and place.log.lines == []


async def test_the_server_is_away() -> None:
    """Told, and tried again with pauses that grow and end."""
    place = Place(trouble=[THEIRS] * 12)
    await place.run(400)
    assert [problem.text for problem in place.told] == ["away"] * 12
    assert 20 in place.weights
    assert len(place.asked) >= 12 * 3, "evidence of before the failure is not used again"


def blocked(place: Place) -> str:
    """What the condition says; empty when it is not blocked."""
    status = place.situation.canary.status
    return " ".join(c.message for c in status.conditions if c.type == "Blocked" and c.status == "True")


async def test_what_is_not_allowed_is_told_once_and_tried_again() -> None:
    """One text and a condition for as long as it is so; tried with pauses, and nothing is left of it afterwards."""
    place = Place(forbidden=SetRoute)
    await place.run(120)
    text = "not allowed to SetRoute"
    assert place.weights == [] and place.told == []
    assert [action.reason.text for action in place.done if isinstance(action, Say)].count(text) == 1
    assert blocked(place) == text
    assert 4 <= sum(isinstance(action, SetRoute) for action in place.tried) <= 12
    place.forbidden = None
    await place.run(40)
    assert place.weights[0] == 20 and blocked(place) == ""
    assert [action.reason.text for action in place.done if isinstance(action, Say)].count(text) == 1


async def test_a_status_that_may_not_be_written() -> None:
    """Said and complained of, with pauses: no hot loop."""
    place = Place(forbidden=WriteStatus)
    await place.run(120)
    assert blocked(place) == ""
    said = [action.reason.text for action in place.done if isinstance(action, Say)]
    assert said.count("not allowed to WriteStatus") == 1
    assert sum(isinstance(action, WriteStatus) for action in place.tried) <= 14


async def test_a_bug_of_ours() -> None:
    """Told as ours, with the log's help, and tried again."""
    place = await Place(trouble=[OURS]).run(15)
    (problem,) = place.told
    assert problem.fault is Fault.US and problem.text == "ZeroDivisionError: a bug" and "log" in problem.todo
    assert place.log.lines == ["reconciliation failed"] and place.weights == [20]


async def test_a_bug_in_a_check() -> None:
    """The same, and the canary is not left hanging."""
    place = Place(answers={"two": OURS})
    await place.run(12)
    assert place.told and set(place.log.lines) == {"a check failed"} and place.weights == []
    place.answers.clear()
    await place.run(5)
    assert place.weights == [20]


async def test_pauses_have_an_upper_bound() -> None:
    """Half a minute, however long it has gone on."""
    place, hours = Place(trouble=[OURS] * 5000), 15 * 3600
    await place.run(hours)
    assert hours / (BACKOFF_MAX * 1.5) <= len(place.told) <= hours / BACKOFF_MAX + 12
    assert len(place.told) > 1100, "more than a float can double"


async def test_who_does_not_lead_is_silent() -> None:
    """No word, no second try: another one does it."""
    place = await Place(trouble=[NotLeader(Problem(Fault.US, "no lease"))]).run(60)
    assert place.told == [] and place.weights == []


async def test_a_cache_that_has_not_read_everything() -> None:
    """Nothing is decided by half."""
    place = Place()
    place.not_yet = True
    await place.run(30)
    assert place.decisions == [] and place.told == []
    place.not_yet = False
    await place.run(1)
    assert place.weights == [20]


class Idle(Place):
    """Carries out no action of one sort, and says that it had no write for it. `writes`: it had, without an effect."""

    idle: type[Action] = WriteStatus
    writes = 0

    async def apply(self, seen: Seen, action: Action) -> int:
        """Everything else is done."""
        if not isinstance(action, self.idle):
            return await super().apply(seen, action)
        self.tried.append(action)
        return self.writes


def warnings(place: Place) -> list[str]:
    """What events say of it."""
    return [action.reason.text for action in place.done if isinstance(action, Say) and action.type == "Warning"]


@pytest.mark.parametrize("writes, cause", [(0, "it rendered no write"), (1, "the API server accepted each write")])
async def test_what_has_no_effect_is_told_once(writes: int, cause: str) -> None:
    """As a bug of ours, in a condition and one event, with its cause; tried ever more seldom; over when it works."""
    place = Idle()
    place.idle, place.writes = Ensure, writes
    place.situation = replace(place.situation, generated=Generated(primary_configs="missing"))
    await place.run(60)
    (text,) = warnings(place)
    assert "ensure primary-configs for canary web.test 3 times and nothing changed" in text and cause in text
    assert blocked(place).startswith(text) and place.told == []
    tried = [action for action in place.tried if isinstance(action, Ensure)]
    assert 9 < len(tried) < 36, "3 a look, and looks with backoff"
    assert place.log.lines == [], "no traceback"
    place.situation = replace(place.situation, generated=Generated())
    await place.run(5)
    assert blocked(place) == "" and place.weights == [20], "the release goes on"


async def test_decisions_without_end_are_a_bug() -> None:
    """An action that does not do what it should is found out, told, and paused for, also when nothing can be told."""
    place = Idle()
    await place.run(60)
    assert sum(isinstance(action, WriteStatus) for action in place.tried) < 100
    assert any("and nothing changed" in text and "write status" in text for text in warnings(place))
    assert len(warnings(place)) < 8


class Restless(Place):
    """Each write to the status brings another state of the world that asks for one."""

    async def apply(self, seen: Seen, action: Action) -> int:
        """The route is never what it was."""
        done = await super().apply(seen, action)
        if isinstance(action, WriteStatus | Say):
            self.situation = replace(self.situation, route=Route(90 - len(self.done) % 40, 10 + len(self.done) % 40))
        return done


async def test_a_world_that_never_rests() -> None:
    """There is an upper bound of decisions in a look."""
    place = await Restless().run(30)
    assert any("did not finish canary web.test in 24 decisions" in text for text in warnings(place))


# What is remembered -----------------------------------------------------------------------------------------------


def mirroring() -> Place:
    """The provider does not mirror, which is told before the step is taken."""
    place = Place()
    analysis = place.situation.canary.spec.analysis
    assert analysis is not None
    place.spec(analysis=analysis.model_copy(update={"mirror": True}))
    return place


async def test_what_was_told_before_an_action_failed_is_not_told_again() -> None:
    """However often the action after it fails; the round is made again until it is written."""
    place = mirroring()
    place.trouble = [THEIRS] * 4
    await place.run(60)
    assert place.asked.count("errors") >= 5 and place.weights[0] == 20
    (text,) = {text for text in warnings(place) if "mirroring" in text}
    assert warnings(place).count(text) == 1


async def test_a_slow_plugin_only_starts_the_reconciliation_again() -> None:
    """When its call has returned, at once: nothing failed, no check is run again and nothing is said twice."""
    slow = _Call("thing x", lambda: None)
    assert slow.wait(5)
    place = mirroring()
    place.trouble = [PluginBusy(slow)] * 2
    await place.run(10.5)
    assert place.told == [] and place.weights == [20] and not place.trouble
    assert place.asked.count("errors") == 1
    (text,) = {text for text in warnings(place) if "mirroring" in text}
    assert warnings(place).count(text) == 1


async def test_a_release_that_ends_in_a_conflict_ends_once() -> None:
    """One Event, one alert and one count, however often the status write is repeated."""
    place = Place(answers={"one": Refused("no")})
    place.spec(analysis=place.situation.canary.spec.analysis.model_copy(update={"threshold": 1}))
    place.refusing = [Conflict(Problem(Fault.CLUSTER, "changed"))] * 3
    await place.run(60)
    assert place.situation.canary.status.phase is Phase.FAILED and not place.refusing
    ends = [action for action in place.done if isinstance(action, Count | Alert)]
    assert [type(action) for action in ends] == [Alert, Count]
    texts = warnings(place)
    assert len(texts) == len(set(texts)) == 3


async def test_what_was_written_is_known_when_the_status_write_fails() -> None:
    """The write to the routes, when it was made, and that a round has ended: the same is not tried at once again."""
    place = Place(forbidden=WriteStatus)
    await place.run(10.5)
    memory = place.reconciler._states[KEY].memory
    (conflict,) = memory.conflicts.values()
    assert place.weights == [20] and memory.tick is not None
    assert memory.tick >= conflict.at > place.clock.now() - 1
    await place.run(5)
    assert place.weights == [20], "written once"


# The end ------------------------------------------------------------------------------------------------------------


async def test_a_canary_that_is_gone_is_forgotten() -> None:
    """With its alarm, and with what was being asked."""
    place = Place(answers={"one": 60})
    await place.run(11)
    place.gone = True
    await place.run(120)
    assert place.asked == ["one"] and place.weights == [] and not place.reconciler._states


async def test_stopping_leaves_everything_as_it_is() -> None:
    """What is being asked is dropped; nothing is written."""
    place = Place(answers={"one": 60})
    await place.run(11)
    await place.reconciler.stop()
    assert place.done == [] or all(isinstance(action, Say) for action in place.done)
    assert place.situation.route == Route(90, 10) != ALL_PRIMARY


def test_memory_between_looks() -> None:
    """What was said, until it is taken back; when the last round was."""
    state, a, b = State(), (Subject("a"), Told("x")), (Subject("b"), Told("y"))
    state.remember(Decision(memory=Memory(tick=AT_WRITE, told=dict([a, b]))), 0, now=5.0)
    state.remember(Decision(memory=state.memory.without("a").without("c")), 0, now=6.0)
    assert state.memory == Memory(told=dict([b]), tick=Time(5.0))
    state.remember(Decision(memory=replace(state.memory, tick=DUE)), 0, now=7.0)
    assert state.memory.tick == DUE
    assert str(KEY) == "web.test"
