"""A cluster small enough to read: facts, a clock, and the actions of decisions applied to them.

`World` plays the operator around `decide`: it observes its own facts, gathers evidence from scripted hooks and metrics,
applies actions one by one (and dies in between when told to), and holds what no release may ever do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pyflagger.api import actions
from pyflagger.api.actions import CanaryAction
from pyflagger.api.canary import Canary, CanaryStatus, Phase
from pyflagger.api.compared import Counted
from pyflagger.api.defaults import HEARD_SECONDS, SETTLE_SECONDS
from pyflagger.api.durations import stamp
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Capabilities, Managed, Problem, Readiness, Route
from pyflagger.api.published import ReleaseImage
from pyflagger.api.records import Outcome, ReleaseRecord, fitted, grown, may_end, written
from pyflagger.api.status import PUBLISHED, STEERED
from pyflagger.core.betting import Unit
from pyflagger.core.decide import decide
from pyflagger.core.decision import (
    Action,
    Alert,
    CloseRecord,
    Count,
    Decision,
    DropRecords,
    Ensure,
    MarkAction,
    NoteRounds,
    OpenRecord,
    Part,
    PauseAutoscaler,
    Promote,
    ReleaseFinalizer,
    Revert,
    Say,
    ScaleTarget,
    SetRoute,
    WriteStatus,
)
from pyflagger.core.memory import Memory
from pyflagger.core.preconditions import RESTING
from pyflagger.core.remember import carried_out
from pyflagger.core.revision import checksum
from pyflagger.core.situation import (
    CallHook,
    CompareMetric,
    Counts,
    FindManager,
    FindTrouble,
    Generated,
    Handed,
    History,
    Need,
    NoData,
    Passed,
    Primary,
    ProbeProviders,
    QueryFailed,
    ReadRecord,
    Recorded,
    Refused,
    Result,
    Situation,
    Sync,
    Target,
    Trouble,
    Value,
)
from pyflagger.core.transitions import ALLOWED
from stage.definitions import survivors

START = 1_700_000_000.0
INTERVAL = 10.0
STEPS_MAX = 24
EVERYTHING = Capabilities(weights=True, ab=True, mirror=True, mirror_steps=True, affinity=True)
MESH = {"provider": "istio", "capabilities": EVERYTHING}
PLAIN = {"provider": "nginx", "capabilities": Capabilities(ab=True)}
KUBERNETES = {"provider": "kubernetes", "capabilities": Capabilities(weights=False)}


RUNNING = ReleaseRecord(outcome=Outcome.RUNNING)


class Killed(Exception):
    """The operator died in the middle of a decision."""


@dataclass
class Pods:
    """A workload: what it runs, how much of it, and when its pods are ready."""

    revision: str
    replicas: int = 0
    ready_at: float = 0.0
    failing: str = ""
    """Set: never ready. `deadline`: and past saving; `settling`: not worth a word; anything else: for now."""
    undated: bool = False
    """Nobody says since when they are ready."""
    cut: bool = False
    """The API says since when they are ready, in whole seconds."""
    empty: bool = False
    """With `failing`: none of them is available."""
    first: bool = False
    """There was no pod before them: proxies know none until some time after these are ready."""

    @property
    def serving_since(self) -> float | None:
        """As the API says it, in whole seconds."""
        return float(int(self.ready_at)) if self.first else None

    def readiness(self, who: str, now: float) -> Readiness:
        """As `workloads` would tell it."""
        if self.failing == "settling":
            return Readiness(False, f"{who} not ready: settling", settling=True)
        if self.failing:
            return Readiness(False, f"{who} not ready: {self.failing}", retriable=self.failing != "deadline")
        if now < self.ready_at:
            return Readiness(False, f"{who} not ready: rolling", look_again=self.ready_at)
        settled = int(self.ready_at) + SETTLE_SECONDS
        if self.cut and now < settled:
            return Readiness(False, f"{who} not ready: just now", settling=True, look_again=settled)
        return Readiness(True, undated=self.undated)


def canary(analysis: Mapping[str, Any] | None = None, *, name: str = "shop", **spec: Any) -> Canary:
    """A Canary of Deployment `web` in namespace `test`."""
    usual = {"interval": "10s", "threshold": 2, "stepWeight": 20, "maxWeight": 40}
    body: dict[str, Any] = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80},
        "analysis": usual if analysis is None else {"interval": "10s", "threshold": 2, **analysis},
        **spec,
    }
    return Canary.model_validate({"metadata": {"name": name, "namespace": "test", "uid": "u"}, "spec": body})


def hook(kind: str, name: str = "", **more: Any) -> dict[str, Any]:
    """A webhook of the manifest."""
    return {"type": kind, "name": name or kind, "url": f"http://hooks/{name or kind}", **more}


def asked(uid: str, at: str = "2023-11-14T22:13:20Z", **spec: Any) -> CanaryAction:
    """A pending action of ann."""
    body = {"canary": "shop", "by": "ann", **spec}
    meta = {"name": f"shop-{body['action']}-{uid}", "namespace": "test", "uid": uid, "creationTimestamp": at}
    return actions.parsed({"metadata": meta, "spec": body})


@dataclass
class World:
    """Everything about one canary. Times in seconds since `START`."""

    canary: Canary
    provider: str = "nginx"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(ab=True))
    interval: float = INTERVAL
    rollout: float = 3.0
    """Seconds that pods take to become ready."""
    hooks: dict[str, Any] = field(default_factory=dict)
    """Answers by hook name: True, an error text, a Refused, or a list used up one a call with the last repeated."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Answers by metric name: a number, a Result, or a list of these."""
    traffic: dict[str, Any] = field(default_factory=dict)
    """Requests since the last round by metric name: bad and all of the canary, then of the primary; or as above."""
    probe: str = ""
    manager: Managed = field(default_factory=Managed)
    """Who else wrote last to the routes."""
    troubles: dict[str, str] = field(default_factory=dict)
    """What the pods of each role say of themselves."""
    asked_pods: list[str] = field(default_factory=list)
    now: float = START
    target: Pods = field(default_factory=lambda: Pods("v1:r1", 2))
    configs: dict[str, str] | None = None
    primary: Pods | None = None
    primary_configs: dict[str, str] | None = None
    route: Route | None = None
    paused: bool | None = None
    parts: dict[Part, Sync] = field(default_factory=dict)
    wanted: dict[Part, str] = field(default_factory=dict)
    """What mending would write."""
    degraded: tuple[Problem, ...] = ()
    autoscaler_edit: str = ""
    autoscaler_bounds: str = ""
    autoscaler_unpaused: bool = False
    reassert_zero: bool = False
    route_waiting: str = ""
    leftovers: tuple[str, ...] = ()
    unselected: tuple[str, ...] = ()
    deaf: Mapping[str, Problem] = field(default_factory=dict)
    """Revisions whose pods lack a port that the primary's have."""
    takes: tuple[str, ...] = ()
    """Objects of the user's that have yet to be taken over."""
    writes: list[Sync] = field(default_factory=list)
    """What the routes are after each of the next writes to them."""

    handed: Handed = field(default_factory=Handed)
    problems: tuple[Problem, ...] = ()
    rivalled: bool = False
    foreign: tuple[Problem, ...] = ()
    unbound: tuple[str, ...] = ()
    unread: tuple[Problem, ...] = ()
    unjudged: tuple[Problem, ...] = ()
    """What an idle canary lacks to be judged by."""
    refused: Problem | None = None
    target_problem: Problem | None = None
    route_problem: Problem | None = None
    primary_problem: Problem | None = None
    deleting: bool = False
    gone: bool = False
    scalable: bool = True
    keeps: int | None = None
    """How many of the primary's pods stay while it rolls."""
    most: int | None = None
    """What the target's autoscaler allows."""
    pruned: bool = False
    """Whether the API server has the reference's CRD, which drops the fields for people."""
    keep: int = 10
    """How many records of releases there may be; 0: none are written."""
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The records of releases by number, as stored."""
    last_record: int = 0
    """The highest number of a record that the operator knows."""
    requests: list[CanaryAction] = field(default_factory=list)
    """The pending actions."""
    marked: list[tuple[str, str, str, str]] = field(default_factory=list)
    """The actions that have a result: action, state, code and text."""
    takes_back: bool = False
    """Whether that autoscaler undoes what others scale."""
    memory: Memory = field(default_factory=Memory)
    evidence: dict[Need, Result] = field(default_factory=dict)
    decision: Decision = field(default_factory=Decision)
    # The record.
    said: list[tuple[float, str, str, str, str]] = field(default_factory=list)
    """When, N or W, phase, checksum, text."""
    alerts: list[tuple[str, str]] = field(default_factory=list)
    counts: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Hook or metric, payload phase, checksum."""
    routes: list[Route] = field(default_factory=list)
    statuses: list[CanaryStatus] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    left: float | None = None
    """When visitors were last led away from the target's pods; None: nobody ever was."""
    everyone: bool = False
    """Whether the last split left match rules out."""
    taken: float = 0.0
    """When the canary was last given everything."""
    kill_after: int | None = None
    """Die once so many more actions were applied."""
    after: Callable[[World], None] | None = None
    """Called after every decision that was applied."""

    def __post_init__(self) -> None:
        generated = (Part.CANARY_SERVICE, Part.PRIMARY_SERVICE, Part.PRIMARY_WORKLOAD, Part.APEX_SERVICE, Part.ROUTING)
        for part in generated:
            self.parts.setdefault(part, "missing")

    # Facts ----------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> CanaryStatus:
        """The status as stored."""
        return self.canary.status

    @property
    def matches(self) -> bool:
        """Whether promotion would change nothing of the primary."""
        primary = self.primary
        return primary is not None and (primary.revision, self.primary_configs) == (self.target.revision, self.configs)

    def situation(self) -> Situation:
        """What the operator would observe."""
        primary = self.primary and Primary(
            self.primary.readiness("web-primary.test", self.now),
            at_zero=self.primary.replicas == 0,
            empty=bool(self.primary.failing and self.primary.empty),
            serving_since=self.primary.serving_since,
            matches_target=self.matches,
            unselected=self.unselected,
            replicas=self.primary.replicas,
            keeps=self.keeps,
        )
        target = Target(
            revision=self.target.revision,
            configs=self.configs,
            readiness=self.target.readiness("canary deployment web.test", self.now),
            at_zero=self.target.replicas == 0,
            restored_replicas=2,
            scalable=self.scalable,
            unserved=self.deaf.get(self.target.revision),
            replicas=self.target.replicas,
            most=self.most,
            empty=bool(self.target.failing and self.target.empty),
        )
        return Situation(
            canary=self.canary,
            now=self.now,
            interval=self.interval,
            provider=self.provider,
            capabilities=self.capabilities,
            target=self.target_problem or target,
            primary=self.primary_problem or primary,
            route=self.route_problem or self.route,
            generated=Generated(
                **{part.name.lower(): sync for part, sync in self.parts.items()},
                target_autoscaler_paused=self.paused,
                unbound=self.unbound,
                degraded=self.degraded,
                autoscaler_edit=self.autoscaler_edit,
                autoscaler_bounds=self.autoscaler_bounds,
                autoscaler_unpaused=self.autoscaler_unpaused,
                taken=self.takes,
                wanted=self.wanted,
            ),
            problems=self.problems,
            rivalled=self.rivalled,
            foreign=self.foreign,
            unread=self.unread,
            unjudged=self.unjudged if self.status.phase in RESTING else (),
            evidence=dict(self.evidence),
            memory=self.memory,
            refused=self.refused,
            deleting=self.deleting,
            reassert_zero=self.reassert_zero,
            route_waiting=self.route_waiting,
            left=self.leftovers,
            handed=self.handed,
            images=self._images(),
            history=History(self.keep, self.last_record),
            requests=() if self.pruned else tuple(self.requests),
        )

    def _images(self) -> tuple[ReleaseImage, ...]:
        """The revisions as images of one container."""
        old, new = self.primary.revision if self.primary else "", self.target.revision
        return (ReleaseImage(container="app", old=old, new=new),) if old and old != new else ()

    @property
    def pending(self) -> str:
        """The checksum of the target as it is."""
        return checksum(self.target.revision, self.configs)

    # The operator ---------------------------------------------------------------------------------------------------

    def settle(self) -> Decision:
        """Decide and act until there is nothing left to do now."""
        for _ in range(STEPS_MAX):
            decision = self.decision = self.decide()
            if decision.needs:
                self.evidence |= {need: self._answer(need) for need in decision.together}
            elif decision.changes:
                self._carry_out(decision)
            else:
                assert not self.decide().changes, "deciding twice on an unchanged situation"
                assert decision.wake is None or decision.wake > self.now, "a wake-up that is over would ring for ever"
                return decision
        raise AssertionError(f"no end: {[type(a).__name__ for a in decision.actions]} {decision.reasons}")

    def decide(self) -> Decision:
        """One decision, held to what every decision owes."""
        decision = decide(self.situation())
        assert not (decision.needs and decision.changes)
        assert decision.reasons, "a decision without a reason"
        writes = [i for i, a in enumerate(decision.actions) if isinstance(a, WriteStatus)]
        assert writes in ([], [len(decision.actions) - 1]), "the status write comes last"
        return decision

    def _carry_out(self, decision: Decision) -> None:
        self.evidence.clear()
        done = 0
        for action in decision.actions:
            if self.kill_after == 0:
                self.kill_after = None
                self.restart()
                raise Killed
            if self.kill_after is not None:
                self.kill_after -= 1
            if not self._apply(action):
                break
            done += 1
        self.memory = carried_out(self.memory, decision, done, self.now)
        if self.after:
            self.after(self)

    def restart(self) -> None:
        """A new operator process: memory and evidence are gone."""
        self.memory, self.last_record = Memory(), 0
        self.evidence.clear()

    def run(self, seconds: float) -> World:
        """Let time pass; look whenever something watched changes or a decision asked for it."""
        end = self.now + seconds
        self.look()
        while not self.gone and self.now < end:
            moments = [self.decision.wake, self.target.ready_at, self.primary and self.primary.ready_at]
            self.now = min([end, *(m for m in moments if m is not None and m > self.now)])
            self.look()
        self.now = end
        return self

    def look(self) -> None:
        """Settle; after a death, a new process does."""
        try:
            if not self.gone:
                self.settle()
        except Killed:
            self.look()

    def until(self, *phases: Phase, limit: float = 400, ending: bool = True) -> World:
        """Let time pass until a phase is reached; with `ending` also until a release that succeeded has no pods."""
        end = self.now + limit
        self.look()
        while self.status.phase not in phases:
            assert self.now < end, f"still {self.status.phase}: {self.decision.reasons}"
            self.run(0.5)
        if self.status.phase is Phase.SUCCEEDED and ending:
            self.run(HEARD_SECONDS)
        return self

    # Doing ----------------------------------------------------------------------------------------------------------

    def _answer(self, need: Need) -> Result:
        if isinstance(need, FindManager):
            self.calls.append(("managers", "", ""))
            return self.manager
        if isinstance(need, FindTrouble):
            self.asked_pods.append(need.role)
            return Trouble(self.troubles.get(need.role, ""))
        if isinstance(need, ReadRecord):
            return self._recorded(need.number)
        if isinstance(need, ProbeProviders):
            return Refused(self.probe) if self.probe else Passed()
        analysis = self.canary.spec.analysis
        assert analysis is not None
        if isinstance(need, CallHook):
            name, script = analysis.webhooks[need.index].name, self.hooks
            self.calls.append((name, need.phase, need.checksum))
            answer = self._next(script, name, True)
            return Passed() if answer is True else answer if isinstance(answer, Refused) else Refused(str(answer))
        name = analysis.metrics[need.index].name
        if isinstance(need, CompareMetric):
            return self._counted(name, need)
        self.calls.append((name, need.source, ""))
        answer = self._next(self.metrics, name, 100.0 if name == "request-success-rate" else 0.0)
        return answer if isinstance(answer, Value | NoData | QueryFailed | Passed) else Value(float(answer))

    def _counted(self, name: str, need: CompareMetric) -> Result:
        """The requests of one unit since the last round."""
        self.calls.append((name, "compare", ""))
        answer = self._next(self.traffic, name, (0, 100, 0, 100))
        if not isinstance(answer, tuple):
            return answer  # type: ignore[no-any-return]
        bad, requests, primary_bad, primary_requests = answer
        assert need.since < self.now
        unit = Unit(self.now, Counted(bad, requests), Counted(primary_bad, primary_requests))
        return Counts((unit,), need.bound or ("0.5" if name == "request-duration" else ""), 0.5)

    def _recorded(self, number: int) -> Recorded:
        """The template in a record. Templates of this world are revisions."""
        template = self.records.get(number, {}).get("status", {}).get("template", "")
        if not template:
            return Recorded(code="no-record", text=f"there is no record of release {number}")
        old = self.primary.revision if self.primary else ""
        return Recorded(template, (ReleaseImage("app", old, template),) if old != template else ())

    @staticmethod
    def _next(script: dict[str, Any], name: str, usual: Any) -> Any:
        answers = script.get(name, usual)
        if not isinstance(answers, list):
            return answers
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _apply(self, action: Action) -> bool:
        """Carry one action out; False drops the rest of the decision."""
        self.actions.append(action)
        match action:
            case Say():
                event = (self.now - START, action.type[0], action.phase, action.checksum, action.reason.text)
                self.said.append(event)
            case Alert():
                self.alerts.append((action.severity, action.text))
            case Count():
                self.counts.append((action.outcome, action.analysis))
            case WriteStatus():
                self._write(action.status)
            case SetRoute():
                self._set_route(action)
            case Ensure():
                self._ensure(action.part)
            case Promote():
                return self._promote(action)
            case OpenRecord():
                return self._open_record(action)
            case NoteRounds():
                self._note_rounds(action)
            case CloseRecord():
                self._close_record(action)
            case MarkAction():
                self._mark(action)
            case DropRecords():
                for number in action.numbers:
                    self.records.pop(number, None)
            case ScaleTarget():
                self._scale(action.replicas or 0)
            case PauseAutoscaler():
                self.paused = action.paused
            case Revert():
                self._revert(action.thing)
            case ReleaseFinalizer():
                self.deleting, self.gone = False, True
        return True

    def _write(self, status: CanaryStatus) -> None:
        old = self.status
        assert status != old, "a status write that writes nothing"
        assert status.phase == old.phase or status.phase in ALLOWED[old.phase]
        run = (status.phase, status.last_applied_spec, status.tracked_configs)
        same = run == (old.phase, old.last_applied_spec, old.tracked_configs)
        assert same == (status.last_transition_time == old.last_transition_time) or not same
        read = CanaryStatus.model_validate(survivors(status.to_wire()))
        plain = status.but(**dict.fromkeys((*PUBLISHED, *STEERED)))
        assert read == plain, "a status that says less to flagger once it went through the reference's CRD"
        stored = plain if self.pruned else status
        self.keep = 0 if self.pruned else self.keep
        self.statuses.append(stored)
        self.canary = self.canary.model_copy(update={"status": stored})

    def _mark(self, action: MarkAction) -> None:
        """Once for each action, with the result that the status has."""
        assert action.result == self.status.last_action and action.result.uid == action.action.metadata.uid
        self.requests.remove(action.action)
        result = action.result
        self.marked.append((result.action, result.result, result.code, result.text))

    def ask(self, action: str, **spec: Any) -> World:
        """A person creates an action, and the operator looks."""
        uid = f"u{len(self.requests) + len(self.marked)}"
        self.requests.append(asked(uid, stamp(self.now), action=action, **spec))
        self.look()
        return self

    @property
    def codes(self) -> list[tuple[str, str]]:
        """The state and the code of each answer."""
        return [(state, code) for _, state, code, _ in self.marked]

    def _open_record(self, action: OpenRecord) -> bool:
        number, found = action.spec.number, self.records.get(action.spec.number)
        self.last_record = max(number, self.last_record)
        if found is not None:
            same = found["spec"]["revision"] == action.spec.revision
            if same and found["status"]["outcome"] == (action.ended or RUNNING).outcome:
                return True
            if found["status"]["outcome"] == Outcome.RUNNING:
                found["status"]["outcome"] = str(Outcome.LOST)
            self.last_record = max(self.records)
            return False
        status = written(action.ended or RUNNING) | ({"template": action.template} if action.template else {})
        status |= {"actions": [written(each) for each in action.actions]} if action.actions else {}
        self.records[number] = {"spec": written(action.spec), "status": fitted({}, status)}
        return True

    def _note_rounds(self, action: NoteRounds, ended: Mapping[str, Any] = MappingProxyType({})) -> None:
        record = self.records.get(action.number)
        if record is None or (record["status"]["outcome"] != Outcome.RUNNING and not ended):
            return
        assert action.rounds or action.waits or action.spec or ended, "a write that adds nothing"
        if action.spec:
            record["spec"] = written(action.spec)
        status = {**grown(record, action.rounds, action.waits, action.pause, action.actions), **ended}
        record["status"] = fitted(record["spec"], status)

    def _close_record(self, action: CloseRecord) -> None:
        record = self.records.get(action.rounds.number)
        if record is None or not may_end(record["status"]["outcome"], action.ended):
            return
        template = {"template": action.template} if action.template else {}
        self._note_rounds(action.rounds, {**written(action.ended), **template})

    @property
    def outcomes(self) -> list[str]:
        """How each release ended, in order."""
        return [str(self.records[number]["status"]["outcome"]) for number in sorted(self.records)]

    @property
    def everybody_on_canary(self) -> bool:
        """Whether the primary serves nobody: what match rules (A/B) do not mean is its own."""
        ruled = self.canary.spec.analysis is not None and bool(self.canary.spec.analysis.match) and not self.everyone
        return self.route == ALL_CANARY and not ruled

    def _set_route(self, action: SetRoute) -> None:
        route, self.everyone = action.route, action.everyone
        if route == ALL_CANARY:
            self.taken = self.now
        assert route.primary + route.canary == 100
        held = self.status.hold is not None and not self.requests
        assert not held or route == ALL_CANARY or route.canary <= (self.route or ALL_PRIMARY).canary, "a held step"
        assert route.canary == 0 or self.target.replicas > 0, "traffic to a canary without pods"
        before = self.route or ALL_PRIMARY
        ready = self.primary is not None and self.primary.replicas > 0 and not self.primary.failing
        assert ready or route.primary <= before.primary, "more traffic to a primary that is not ready"
        since = self.primary.serving_since if self.primary and before == ALL_CANARY != route else None
        known = since is None or self.provider == "kubernetes" or self.now >= since + SETTLE_SECONDS
        assert known, "traffic to pods that proxies do not know"
        if before != ALL_PRIMARY == route:
            self.left = self.now
        self.route = route
        self.routes.append(route)

    def _ensure(self, part: Part) -> None:
        if part is Part.OWNERS:
            self.unbound = ()
            return
        if part is Part.AUTOSCALER_BOUNDS:
            self.autoscaler_bounds = ""
            return
        if part is Part.PRIMARY_AUTOSCALER:
            self.autoscaler_unpaused, self.autoscaler_edit = False, ""
        if part is Part.PRIMARY_WORKLOAD:
            pods = max(1, self.target.replicas)
            self.primary = Pods(self.target.revision, pods, self.now + self.rollout, first=True)
            self.primary_configs = self.configs
        if part is Part.ROUTING and self.provider != "kubernetes":
            self.route = self.route or ALL_PRIMARY
        if part is Part.APEX_SERVICE:
            self.left = self.now
        kinds = {Part.APEX_SERVICE: "Service", Part.ROUTING: "HTTPRoute"}
        self.takes = tuple(one for one in self.takes if not one.startswith(kinds.get(part, "none")))
        self.parts[part] = self.writes.pop(0) if part is Part.ROUTING and self.writes else "ok"

    def _promote(self, action: Promote) -> bool:
        revision = action.revision
        source = self._recorded(action.release).revision if action.release else self.target.revision
        if revision != source:
            return False
        if self.primary is not None and self.keeps == 0:
            assert self.everybody_on_canary, "visitors of the primary find no pod"
            assert self.now - self.taken >= HEARD_SECONDS, "proxies have not heard that the canary has everybody"
        replicas = self.primary.replicas if self.primary else 0
        first = self.primary is None or not replicas or self.primary.empty
        self.parts[Part.PRIMARY_WORKLOAD] = "ok"
        self.primary = Pods(revision, max(1, replicas), self.now + self.rollout, self._fate(revision), first=first)
        self.primary_configs = self.configs
        return True

    fate: dict[str, str] = field(default_factory=dict)
    """What becomes of a primary with a revision: an entry of `Pods.failing`."""

    def _fate(self, revision: str) -> str:
        return self.fate.get(revision, "")

    def _scale(self, replicas: int) -> None:
        if replicas == 0:
            assert (self.route or ALL_PRIMARY).canary == 0, "a canary with traffic loses its pods"
            heard = self.left is None or self.now - self.left >= HEARD_SECONDS
            assert heard, "pods are gone before proxies have heard of it"
        else:
            self.target.ready_at = self.now + self.rollout
        if not (self.takes_back and replicas and self.target.replicas):
            self.target.replicas = replicas

    def _revert(self, thing: str) -> None:
        if thing == "routing":
            announced = bool(self.writes) and self.writes.pop(0) == "announced"
            self.handed = replace(self.handed, announced=announced)
        if thing == "target" and self.target.replicas == 0:
            self.target.replicas, self.target.ready_at = 2, self.now + self.rollout

    # The user -------------------------------------------------------------------------------------------------------

    def change(self, revision: str, *, failing: str = "") -> World:
        """A new pod template: running pods roll."""
        self.target.revision, self.target.failing = revision, failing
        if self.target.replicas:
            self.target.ready_at = self.now + self.rollout
        return self

    def spec(self, **changes: Any) -> World:
        """A change of the Canary's spec."""
        self.canary = self.canary.model_copy(update={"spec": self.canary.spec.model_copy(update=changes)})
        return self

    def delete(self) -> World:
        """The user deletes the Canary, which holds our finalizer."""
        meta = self.canary.metadata.model_copy(update={"deletion_timestamp": "2024-01-01T00:00:00Z"})
        self.canary = self.canary.model_copy(update={"metadata": meta})
        self.deleting = True
        return self

    # The record -----------------------------------------------------------------------------------------------------

    @property
    def texts(self) -> list[str]:
        """Every event text so far, but for pods that are on their way."""
        return [text for *_, text in self.said if not text.endswith("rolling")]

    @property
    def weights(self) -> list[int]:
        """Every canary weight that was routed."""
        return [route.canary for route in self.routes]

    @property
    def phases(self) -> list[str]:
        """Every phase so far, repeats left out."""
        found: list[str] = []
        for status in self.statuses:
            if not found or found[-1] != status.phase:
                found.append(status.phase.value)
        return found

    def fresh_record(self) -> World:
        """Forget the record so far."""
        for record in (self.said, self.alerts, self.counts, self.calls, self.routes, self.statuses, self.actions):
            record.clear()
        return self


def ready_world(
    analysis: Mapping[str, Any] | None = None, *, spec: Mapping[str, Any] | None = None, **facts: Any
) -> World:
    """A world whose canary is initialized, with an empty record."""
    world = World(canary(analysis, **(spec or {})), **facts)
    return world.until(Phase.INITIALIZED).fresh_record()
