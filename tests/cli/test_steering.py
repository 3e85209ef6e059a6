"""The commands that steer a release, on a cluster on virtual time where a task answers in the operator's place."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import click
import orjson
import pytest

from pyflagger.api import actions, durations, settings
from pyflagger.cli import asking, gates, requests
from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.main import COMMANDS
from pyflagger.cli.steering import commands
from pyflagger.cli.text import Screen
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, TransportError
from pyflagger.kube.resources import ACTIONS, CANARIES, CONFIG_MAPS
from pyflagger.objects import Obj, Patch
from pyflagger.seeing.requests import gates as gates_of
from pyflagger_sandbox.apiserver.transport import InProcess
from seeing.conftest import stages_stop
from seeing.test_single import Scene
from stage import manifests

__all__ = ["stages_stop"]
pytestmark = pytest.mark.looptime

DONE = {"state": "Done", "text": "Paused shop.test"}
Answers = Callable[[ApiRequest], ApiAnswer | None]


class Acting(InProcess):
    """A person's way to the API server. `answers` may answer in its place."""

    def __init__(self, scene: Scene, answers: Answers = lambda request: None) -> None:
        super().__init__(scene.stage.server, "person")
        self.answers, self.asked = answers, list[ApiRequest]()

    async def call(self, request: ApiRequest) -> ApiAnswer:
        self.asked.append(request)
        return self.answers(request) or await super().call(request)


class Desk:
    """A canary, and a person who asks about it."""

    def __init__(self, answers: Answers = lambda request: None, **options: Any) -> None:
        self.scene = Scene(**options)
        self.person = Acting(self.scene, answers)
        self.clock = self.scene.stage.clock
        self.cluster = Cluster(Client(self.person, self.clock), self.clock, "test", "prod")
        self.status: Obj | None = None
        self.task: asyncio.Task[None] | None = None

    async def begin(self, status: Obj | None = None, after: float = 1.0, *, weight: int = 0) -> Desk:
        """To Initialized, or to a weight of a release. Then the operator stops, and a request gets this status."""
        await self.scene.begin()
        if weight:
            await self.scene.release_until("canaryWeight", weight)
        await self.scene.stage.stop_operator()
        self.status = status
        if status is not None:
            self.task = asyncio.create_task(self._answer(status, after))
        return self

    async def _answer(self, status: Obj, after: float) -> None:
        while not await self.stored():
            await self.clock.sleep(0.5)
        await self.clock.sleep(after)
        for each in await self.stored():
            ref = ACTIONS.ref("test", each["metadata"]["name"])
            await self.scene.stage.client.patch(Patch(ref, {"status": status}, subresource="status"))

    async def stored(self) -> list[Obj]:
        """The requests."""
        page = await self.scene.stage.client.call("GET", ACTIONS.path("test"))
        return [*page["items"]]

    async def spec(self) -> Obj:
        """What the only request asks for."""
        (found,) = await self.stored()
        spec: Obj = found["spec"]
        return spec

    async def ran(self, action: str, manner: asking.Manner | None = None, name: str = "shop", **more: Any) -> int:
        """A command, without its flags for a cluster."""
        given = {**DEFAULTS.get(action, {}), **more}
        work: Any = (commands.get(action) or gates.command.commands[action]).callback
        done: int = await unwrapped(work)(self.cluster, name=name, manner=manner or asking.Manner(), **given)
        return done


def unwrapped(work: Any) -> Any:
    """The function below the decorators."""
    while hasattr(work, "__wrapped__"):
        work = work.__wrapped__
    return work


DEFAULTS: dict[str, dict[str, Any]] = {
    "promote": {"full": False},
    "pause": {"lasting": None, "until": "", "then": None, "no_rollback": False},
    "weight": {"hold": False},
    "undo": {"number": None},
}
WHY = asking.Manner(reason="checking logs", yes=True)


async def test_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks comes from the API server, the time from its clock, and the answer from the operator."""
    desk = await Desk().begin(DONE)
    assert await desk.ran("pause", WHY) == 0
    assert capsys.readouterr() == ("pause shop.test: Paused shop.test\n", "")
    (stored,) = await desk.stored()
    spec = stored["spec"]
    assert {key: spec[key] for key in ("canary", "action", "by", "reason", "via")} == {
        "canary": "shop",
        "action": "pause",
        "by": "sandbox-user",
        "reason": "checking logs",
        "via": "cli",
    }
    assert actions.expiry(actions.parsed(stored)) - desk.clock.now() == pytest.approx(599, abs=2)
    (made,) = [each for each in desk.person.asked if (each.method, each.path) == ("POST", ACTIONS.path("test"))]
    assert made.query == {"fieldManager": "flagger-cli"}
    (owner,) = stored["metadata"]["ownerReferences"]
    assert owner["kind"] == "Canary" and stored["metadata"]["name"].startswith("shop-pause-")


ASKED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "promote": ("promote", {}, {"action": "promote"}),
    "promote in full": ("promote", {"full": True}, {"action": "promote", "full": True}),
    "pause with an end": (
        "pause",
        {"until": "2030-01-01T00:00:00Z", "then": "abort", "no_rollback": True},
        {"action": "pause", "until": "2030-01-01T00:00:00Z", "then": "abort", "onFailure": "hold"},
    ),
    "resume": ("resume", {}, {"action": "resume"}),
    "abort": ("abort", {}, {"action": "abort"}),
    "retry": ("retry", {}, {"action": "retry"}),
    "restart": ("restart", {}, {"action": "restart"}),
    "weight": ("weight", {"weight": 0}, {"action": "weight", "weight": 0}),
    "weight and hold": ("weight", {"weight": 40, "hold": True}, {"action": "weight", "weight": 40, "hold": True}),
    "undo": ("undo", {}, {"action": "undo"}),
    "undo to a release": ("undo", {"number": 41}, {"action": "undo", "to": 41}),
    "open a gate": ("open", {"gate": "approve"}, {"action": "open-gate", "gate": "approve"}),
    "close a gate": ("close", {"gate": "approve"}, {"action": "close-gate", "gate": "approve"}),
}
SHARED = ("canary", "by", "reason", "via", "revision", "expires")
ANY_REVISION = ("pause", "pause with an end", "close a gate")


async def test_what_each_command_asks_for() -> None:
    """The fields of its action, and the revision that the person saw, except where nothing moves."""
    desk = await Desk().begin()
    revisions = set()
    for case, (command, given, wanted) in ASKED.items():
        assert await desk.ran(command, WHY._replace(wait=0.0), **given) == 0
        spec = await desk.spec()
        assert {key: value for key, value in spec.items() if key not in SHARED} == wanted, case
        assert ("revision" in spec) == (case not in ANY_REVISION), case
        assert actions.problem(actions.ActionSpec.model_validate(spec)) == ""
        revisions.add(spec.get("revision"))
        await desk.scene.stage.client.delete(ACTIONS.ref("test", (await desk.stored())[0]["metadata"]["name"]))
    assert revisions == {None, (await desk.scene.stage.status("shop"))["lastAppliedSpec"]}


async def test_a_pause_for_some_time() -> None:
    """Its end is by the server's clock."""
    desk = await Desk().begin()
    await desk.ran("pause", WHY._replace(wait=0.0), lasting=7200.0, then="abort")
    spec = await desk.spec()
    assert durations.epoch(spec["until"]) == pytest.approx(desk.clock.now() + 7200, abs=2)


@pytest.mark.parametrize(
    "status, code, text",
    [
        ({"state": "Refused", "code": "copied", "text": "too late"}, 3, "pause shop.test: refused: too late\n"),
        ({"state": "Expired", "text": "expired at T"}, 6, "pause shop.test: expired: expired at T\n"),
    ],
)
async def test_other_answers(status: Obj, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has an exit status, and goes to stderr."""
    desk = await Desk().begin(status)
    assert await desk.ran("pause") == code
    assert capsys.readouterr() == ("", text)


async def test_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """After 5 s a note, after 10 s the end; the request stands, and its end is named."""
    desk = await Desk().begin()
    begin = desk.clock.now()
    assert await desk.ran("resume") == 4
    assert desk.clock.now() - begin == pytest.approx(10, abs=1)
    (stored,) = await desk.stored()
    note, end = capsys.readouterr().err.splitlines()
    expires = stored["spec"]["expires"]
    assert note == f"No operator has taken the request yet. It expires at {expires}."
    name = stored["metadata"]["name"]
    assert end == (
        f"resume shop.test: no operator has answered within 10s; the request {name} stands. It expires at {expires}."
    )


async def test_a_late_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Between the note and the end."""
    desk = await Desk().begin(DONE, after=7.0)
    assert await desk.ran("resume") == 0
    assert "No operator has taken" in capsys.readouterr().err


async def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while it waits names the request, which stands."""
    desk = await Desk().begin()
    task = asyncio.create_task(desk.ran("resume"))
    while not await desk.stored():
        await desk.clock.sleep(0.1)
    await desk.clock.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (stored,) = await desk.stored()
    assert capsys.readouterr().err == f"interrupted: the request {stored['metadata']['name']} stands\n"


async def test_deleted_while_it_waits() -> None:
    """With its canary, say."""
    desk = await Desk().begin()
    task = asyncio.create_task(desk.ran("resume"))
    while not await desk.stored():
        await desk.clock.sleep(0.1)
    await desk.clock.sleep(1)
    await desk.scene.stage.client.delete(ACTIONS.ref("test", (await desk.stored())[0]["metadata"]["name"]))
    with pytest.raises(Wrong, match="was deleted before the operator took it"):
        await task


WRONG: dict[str, tuple[str, asking.Manner, dict[str, Any], str]] = {
    "no reason": ("abort", asking.Manner(yes=True), {}, "abort needs a reason: say why with -m"),
    "a reason of nothing": ("weight", asking.Manner(reason=" \x1b\n"), {"weight": 1}, "weight needs a reason"),
    "no terminal": ("undo", asking.Manner(reason="x"), {}, "undo needs a confirmation, and there is no terminal"),
    "full": ("promote", asking.Manner(reason="x"), {"full": True}, "promote-full needs a confirmation"),
    "too late": ("resume", asking.Manner(expires=1e6), {}, "choose a time from 1s to 24h0m0s"),
    "two ends": ("pause", asking.Manner(), {"lasting": 1.0, "until": "x"}, "--for and --until both say"),
    "no end": ("pause", asking.Manner(), {"then": "abort"}, "--then needs --for or --until"),
    "no time": ("pause", asking.Manner(), {"until": "noon"}, "--until noon: write a time such as"),
    "a time that is over": ("pause", asking.Manner(), {"until": "2000-01-01T00:00:00Z"}, "this time is over"),
    "nobody": ("pause", asking.Manner(by="a" * 300), {}, "the request is invalid"),
}


async def test_a_wrong_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 2, and nothing is asked for."""
    desk = await Desk().begin()
    monkeypatch.setattr(asking, "terminal", lambda: False)
    for case, (command, manner, more, text) in WRONG.items():
        with pytest.raises(Wrong) as refused:
            await desk.ran(command, manner, **more)
        assert text in str(refused.value) and refused.value.status == 2, case
    assert await desk.stored() == []


async def test_a_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the cluster, the images, the weight and what will happen. No is no."""
    desk = await Desk().begin(weight=25)
    asked, said = list[str](), iter((False, True))
    monkeypatch.setattr(asking, "terminal", lambda: True)
    monkeypatch.setattr(asking, "confirmed", lambda question: (asked.append(question), next(said))[1])
    manner = asking.Manner(reason="too slow", wait=0.0)
    with pytest.raises(Wrong, match="nothing was asked for") as refused:
        await desk.ran("abort", manner)
    assert refused.value.status == 2 and await desk.stored() == []
    assert await desk.ran("abort", manner) == 0
    old, new = manifests.image("shop", "1"), manifests.image("shop", "2")
    assert asked[0].splitlines() == [
        "Context    prod",
        "Namespace  test",
        "Canary     shop, Progressing, weight 25 %",
        f"Images     {old} (primary), {new} (target)",
        f"Effect     rolls {new} back: all visitors get {old}, and flagger does not try this revision again",
        "abort shop.test?",
    ]


async def test_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The API server answers, nothing is stored, and nobody has to confirm."""
    desk = await Desk().begin()
    assert await desk.ran("abort", asking.Manner(reason="x", dry_run=True)) == 0
    assert capsys.readouterr().out == "abort shop.test: the API server would accept the request (dry run)\n"
    assert await desk.stored() == []


@pytest.mark.parametrize("output, begins", [("name", "canaryaction.flagger.app/shop-pause-"), ("json", "{")])
async def test_the_request_itself(output: str, begins: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of the answer, for scripts."""
    desk = await Desk().begin(DONE)
    assert await desk.ran("pause", asking.Manner(output=output)) == 0
    out, err = capsys.readouterr()
    assert out.startswith(begins) and not err
    if output == "json":
        assert orjson.loads(out)["status"]["state"] == "Done"


def answering(status: int, message: str, path: str = ACTIONS.path("test")) -> Answers:
    """Another answer to what is sent there."""

    def answer(request: ApiRequest) -> ApiAnswer | None:
        if (request.method, request.path) != ("POST", path):
            return None
        return ApiAnswer(status, {}, orjson.dumps({"message": message}))

    return answer


async def test_a_missing_right() -> None:
    """The API server's words, and what to ask for; a policy's words need no more."""
    words = 'canaryactions.flagger.app is forbidden: User "ann" cannot create resource "canaryactions"'
    desk = await Desk(answering(403, words)).begin()
    for user, subject in (("ann@x.org", "ann-x-org --clusterrole=flagger-act --user=ann@x.org"),
                          ("system:serviceaccount:ci:bot", "system-serviceaccount-ci-bot --clusterrole=flagger-act "
                                                           "--serviceaccount=ci:bot")):  # fmt: skip
        with pytest.raises(Wrong) as refused:
            await desk.ran("resume", asking.Manner(by=user))
        assert refused.value.status == 1 and words in str(refused.value)
        assert f"Ask for the right: kubectl create rolebinding flagger-act-{subject} -n test" in str(refused.value)
    desk.person.answers = answering(403, "ValidatingAdmissionPolicy 'x' denied request: spec.by must be ann")
    with pytest.raises(Wrong, match=r"denied request: spec\.by must be ann$"):
        await desk.ran("resume")


BY_HAND = {
    "pause": """kubectl patch canary shop -n test --type=merge -p '{"spec": {"suspend": true}}'""",
    "resume": """-p '{"spec": {"suspend": false}}'""",
    "retry": """kubectl patch deployment shop -n test --type=merge -p '{"spec": {"template": {"metadata": {"annot""",
}


@pytest.mark.parametrize("command", ["pause", "resume", "retry", "restart"])
async def test_a_cluster_without_the_kind(command: str) -> None:
    """Exit status 5, what to install, and what a person can do, which Git reverts."""
    desk = await Desk(answering(404, "the server could not find the requested resource")).begin()
    with pytest.raises(Wrong) as refused:
        await desk.ran(command, WHY)
    text = str(refused.value)
    assert refused.value.status == 5 and text.startswith(asking.NO_KIND)
    assert BY_HAND.get(command, "") in text and ("By hand" in text) == (command in BY_HAND)
    assert ("Git reverts the patch" in text) == (command in BY_HAND)


async def test_a_canary_of_flagger() -> None:
    """Its operator takes no requests: none is created."""
    desk = await Desk().begin()
    status: Obj = {"status": {"lastAppliedSpec": "5d4f6c7b8", "lastPromotedSpec": "5d4f6c7b8"}}
    await desk.scene.stage.client.patch(Patch(CANARIES.ref("test", "shop"), status, subresource="status"))
    with pytest.raises(Wrong, match=r"shop\.test is run by Flagger, which takes no requests\. By hand: ") as refused:
        await desk.ran("promote", WHY, full=True)
    assert refused.value.status == 5 and '{"skipAnalysis": true}' in str(refused.value) and not await desk.stored()


async def test_an_operator_that_takes_no_actions() -> None:
    """As it publishes it: the text says why, and what a person can do."""
    desk = await Desk().begin()
    status: Obj = {"status": {"operator": {"settings": "flagger-system"}}}
    await desk.scene.stage.client.patch(Patch(CANARIES.ref("test", "shop"), status, subresource="status"))
    meta = {"name": settings.NAME, "namespace": "flagger-system", "labels": dict(settings.LABELS)}
    await desk.scene.stage.namespace("flagger-system")
    for features, off in ((settings.lines({"actions": "off: -actions=false"}), True), ("records: on", False)):
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"features": features}}
        await desk.scene.stage.client.create(obj)
        if off:
            with pytest.raises(Wrong, match=r"takes no requests \(off: -actions=false\)\. By hand: ") as refused:
                await desk.ran("pause", WHY)
            assert refused.value.status == 5 and not await desk.stored()
        else:
            assert await desk.ran("pause", WHY._replace(wait=0.0)) == 0
        await desk.scene.stage.client.delete(CONFIG_MAPS.ref("flagger-system", settings.NAME))


async def test_who_i_am(capsys: pytest.CaptureFixture[str]) -> None:
    """An older API server does not say it: --by does."""
    desk = await Desk(answering(404, "not found", asking.REVIEW)).begin()
    with pytest.raises(Wrong, match=r"does not say who you are .* set --by"):
        await desk.ran("resume")
    assert await desk.ran("resume", asking.Manner(by="ann", wait=0.0)) == 0
    assert (await desk.spec())["by"] == "ann"
    desk.person.answers = answering(201, "", asking.REVIEW)
    with pytest.raises(Wrong, match="does not know your name"):
        await desk.ran("resume")


async def test_an_unknown_canary() -> None:
    """As every other command says it."""
    desk = await Desk().begin()
    with pytest.raises(Wrong, match=r"canary nobody\.test does not exist"):
        await desk.ran("resume", name="nobody")


async def test_the_connection_breaks() -> None:
    """Whether the request was created is not known, and where to look is."""
    desk = await Desk().begin()

    def breaks(request: ApiRequest) -> ApiAnswer | None:
        if request.path == ACTIONS.path("test"):
            raise TransportError("connection reset")
        return None

    desk.person.answers = breaks
    with pytest.raises(Wrong, match="connection reset; whether the request exists is not known: see `flagger actions"):
        await desk.ran("resume")


async def test_who_may_only_create(capsys: pytest.CaptureFixture[str]) -> None:
    """The request stands; its answer is not seen."""
    desk = await Desk().begin()
    denied = ApiAnswer(403, {}, b'{"reason": "Forbidden", "message": "no"}')
    desk.person.answers = lambda asked: denied if asked.method == "GET" and "canaryactions" in asked.path else None
    assert await desk.ran("resume") == 4
    assert "the request shop-resume-" in capsys.readouterr().err


def test_ctrl_c_at_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the command at once, although the event loop waits for the answer."""

    def prompt(question: str, **how: Any) -> bool:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("still asking")

    monkeypatch.setattr(click, "confirm", prompt)
    before = signal.getsignal(signal.SIGINT)

    async def work() -> None:
        inside = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            asking.confirmed("sure?")
        assert signal.getsignal(signal.SIGINT) is inside

    with asyncio.Runner() as runner:
        runner.run(work())
    assert signal.getsignal(signal.SIGINT) is before


# Lists ----------------------------------------------------------------------------------------------------------------


async def listed(desk: Desk, work: Any, **more: Any) -> int:
    """A command that lists."""
    status: int = await unwrapped(work.callback)(desk.cluster, name="shop", output=more.get("output"))
    return status


async def test_the_requests_of_a_canary(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that wait first; one that names another canary under our label is not ours."""
    desk = await Desk().begin(DONE)
    assert await listed(desk, requests.command) == 0
    assert requests.NONE in capsys.readouterr().err
    await desk.ran("pause", WHY)
    await desk.ran("weight", asking.Manner(reason="more\x1b[2J", by="bo", wait=0.0), weight=40)
    uid = (await desk.scene.stage.client.get(CANARIES, "test", "shop"))["metadata"]["uid"]
    spec = {"canary": "other", "action": "abort", "by": "eve"}
    await desk.scene.stage.client.create(actions.rendered("other", "test", uid, spec))
    capsys.readouterr()
    assert await listed(desk, requests.command) == 0
    head, waiting, done = capsys.readouterr().out.splitlines()
    assert head.split() == ["REQUEST", "ACTION", "BY", "VIA", "STATE", "AGE", "REASON", "ANSWER"]
    assert waiting.split()[1:6] == ["weight", "40", "bo", "cli", "Pending"] and "expires at" in waiting
    assert done.split()[1:5] == ["pause", "sandbox-user", "cli", "Done"] and done.endswith("Paused shop.test")
    assert await listed(desk, requests.command, output="json") == 0
    items = orjson.loads(capsys.readouterr().out)["items"]
    assert [(each["action"], each["state"]) for each in items] == [("weight 40", "Pending"), ("pause", "Done")]
    assert await listed(desk, requests.command, output="name") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


async def test_the_requests_of_a_cluster_without_the_kind() -> None:
    """What to install."""
    desk = await Desk().begin()
    desk.person.answers = lambda asked: ApiAnswer(404, {}, b"{}") if "canaryactions" in asked.path else None
    with pytest.raises(Wrong, match="no CanaryAction definition"):
        await listed(desk, requests.command)


async def test_the_gates_of_a_canary(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether a request has opened or closed each, or its URL decides."""
    hooks = [
        {"name": "approve", "type": "confirm-promotion", "url": "http://gate/"},
        {"name": "load", "url": "http://x/"},
        {"name": "qa", "type": "confirm-rollout", "url": "flagger://gate"},
    ]
    desk = await Desk().begin()
    assert await listed(desk, gates.command.commands["list"]) == 0
    assert gates.NONE in capsys.readouterr().err
    await desk.scene.stage.client.patch(
        Patch(CANARIES.ref("test", "shop"), {"spec": {"analysis": {"webhooks": hooks}}})
    )
    assert await listed(desk, gates.command.commands["list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [
        ["approve", "confirm-promotion", "by", "its", "URL", "-", "-", "-"],
        ["qa", "confirm-rollout", "closed", "-", "-", "-"],
    ]
    assert await listed(desk, gates.command.commands["list"], output="name") == 0
    assert capsys.readouterr().out == "approve\nqa\n"


def test_a_gate_that_a_request_decided() -> None:
    """Its state, who, and the last answer of its URL."""
    canary: Obj = {
        "spec": {"analysis": {"webhooks": [{"name": "approve", "type": "confirm-rollout"}]}},
        "status": {
            "gates": {"approve": {"state": "open", "by": "ann"}},
            "round": {"hooks": [{"name": "approve", "verdict": "refused", "text": "no"}]},
        },
    }
    assert gates.lines(gates_of(canary), Screen())[1].split() == [
        "approve",
        "confirm-rollout",
        "open",
        "ann",
        "-",
        "refused:",
        "no",
    ]


def test_the_deadline_of_a_gate() -> None:
    """How long it may hold a revision; when that ends, once it has held it; nothing after a decision."""
    hooks = {"name": "approve", "type": "confirm-rollout", "metadata": {"deadline": "2h", "default": "abort"}}
    canary: Obj = {"spec": {"analysis": {"webhooks": [hooks]}}, "status": {}}

    def shown(**gate: str) -> str:
        canary["status"] = {"gates": {"approve": gate}} if gate else {}
        return " ".join(gates.lines(gates_of(canary), Screen())[1].split()[2:])

    since = "2026-11-30T10:00:00Z"
    assert shown() == "by its URL - abort after 2h -"
    assert shown(since=since) == "by its URL - abort at 2026-11-30T12:00:00Z -"
    assert shown(since=since, state="open", by="its deadline") == "open its deadline - -"
    hooks["metadata"] = {"default": "abort"}
    assert shown() == "by its URL - - -"


def test_every_command_is_in_the_table() -> None:
    """And no other."""
    assert [name for name, (module, _) in COMMANDS.items() if module == "pyflagger.cli.steering"] == list(commands)
