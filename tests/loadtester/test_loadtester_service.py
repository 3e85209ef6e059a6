"""The service over HTTP, with real processes: tasks, gates, who may call, limits, an orderly end."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pyflagger import logs
from pyflagger.cli.loadtester import main
from pyflagger.clock import LoopClock, SystemClock
from pyflagger.loadtester import Options, reaper, serve, serving
from pyflagger.operator.process.http import AiohttpHttp

CLOCK = SystemClock()


class Held(SystemClock):
    """A clock on which a command's time is up when the test says so."""

    TIMEOUT = 1234.5

    def __init__(self) -> None:
        self.up = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await (self.up.wait() if seconds == self.TIMEOUT else super().sleep(seconds))


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))


class Caller:
    """A hook's side of the service."""

    def __init__(self, url: str, session: aiohttp.ClientSession, log: Log) -> None:
        self.url = url
        self.session = session
        self.log = log

    async def send(self, path: str = "/", **body: Any) -> tuple[int, str]:
        """POST a payload; status and text."""
        payload = {"name": "podinfo", "namespace": "test", "phase": "Progressing"} | body
        async with self.session.post(self.url + path, json=payload) as answer:
            return answer.status, await answer.text()

    async def task(self, kind: str, command: str, **metadata: str) -> tuple[int, str]:
        """Ask for a task."""
        return await self.send(metadata={"type": kind, "cmd": command, **metadata})

    async def get(self, path: str) -> Any:
        """GET a JSON page."""
        async with self.session.get(self.url + path) as answer:
            return await answer.json()


@asynccontextmanager
async def service(
    *, environment: dict[str, str] | None = None, shutdown: float = 5.0, clock: SystemClock = CLOCK, **options: Any
) -> AsyncIterator[Caller]:
    """The service on a free port, and somebody to call it."""
    log = Log()
    env = {"PATH": os.environ["PATH"]} | (environment or {})
    chosen = Options(port=0, host="127.0.0.1", **options)
    async with (
        AiohttpHttp() as http,
        serving(chosen, clock, log, env, http, shutdown=shutdown) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Caller(url, session, log)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    async with asyncio.timeout(10):
        while not condition():
            await CLOCK.sleep(0.01)


async def until_ended(caller: Caller, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many tasks have ended."""
    async with asyncio.timeout(10):
        ended: list[dict[str, Any]] = []
        while len(ended) < count:
            await CLOCK.sleep(0.01)
            ended = (await caller.get("/tasks"))["ended"]
    return ended


def runs(pid: int) -> bool:
    """Whether a process is there and not just waiting to be reaped."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def family(note: Path) -> str:
    """A script with a child and a grandchild that ignore the end of their parent; their ids go to a file."""
    return f'sh -c "sleep 60 & echo \\$! >> {note}; wait" & echo $! >> {note}; echo $$ >> {note}; wait'


def pids(note: Path) -> list[int]:
    """The ids that a family wrote."""
    return [int(word) for word in note.read_text().split()] if note.exists() else []


@pytest.mark.parametrize(
    ("metadata", "status", "text"),
    [
        ({"type": "bash", "cmd": "echo out; echo err >&2"}, 200, ""),
        ({"type": "bash", "cmd": "echo out; echo err >&2", "returnCmdOutput": "true"}, 200, "out\nerr\n"),
        ({"type": "bash", "cmd": "echo bad; exit 3"}, 500, "command echo bad; exit 3 failed: bad\n: exit status 3"),
        ({"type": "sh", "cmd": "echo $0", "returnCmdOutput": "1"}, 200, "sh\n"),
        ({"type": "bash", "cmd": "kill -9 $$"}, 500, "command kill -9 $$ failed: : signal: killed"),
        ({"type": "bash", "cmd": "cat"}, 200, ""),
        ({"type": "bash", "cmd": ""}, 400, "cmd not found in metadata"),
        ({"type": "bash"}, 400, "cmd not found in metadata"),
        ({"type": "helm", "cmd": " "}, 400, "cmd not found in metadata"),
        ({"cmd": ""}, 400, "cmd not found in metadata"),
        ({}, 400, "metadata not found in payload"),
        (None, 400, "metadata not found in payload"),
        ({"type": "rust", "cmd": "x"}, 400, "unknown task type rust (use bash, cmd, concord, helm, helmv3, kubectl, "),
        ({"type": "bash", "cmd": "true", "returnCmdOutput": "yes"}, 400, "returnCmdOutput 'yes' is not a boolean"),
        ({"type": "helm", "cmd": 'test "x'}, 400, "cannot split cmd into words: No closing quotation"),
        ({"type": "bash", "cmd": "true", "logCmdOutput": "maybe"}, 400, "logCmdOutput 'maybe' is not a boolean"),
        ({"type": "bash", "cmd": "a\0b"}, 400, "cmd contains a NUL"),
    ],
)
async def test_answers_of_tasks(metadata: dict[str, str] | None, status: int, text: str) -> None:
    """Exit status and text for every kind of metadata; bad metadata says what is wrong with it."""
    async with service() as caller:
        got, body = await caller.send(metadata=metadata)
        assert got == status
        assert body.startswith(text) if text and status == 400 else body == text


async def test_words_without_a_shell(tmp_path: Path) -> None:
    """helm, helmv3 and kubectl get words as quoted, from the given PATH, and no shell sees them."""
    for name in ("helm", "kubectl"):
        tool = tmp_path / name
        tool.write_text('#!/bin/sh\nprintf "[%s]" "$0" "$@"\n')
        tool.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    async with service(environment={"PATH": path}) as caller:
        for kind, tool_name in (("helm", "helm"), ("helmv3", "helm"), ("kubectl", "kubectl")):
            answer = await caller.task(kind, "test 'a b' \"c;d\" $HOME `x` e\\ f", returnCmdOutput="true")
            assert answer == (200, f"[{tmp_path}/{tool_name}][test][a b][c;d][$HOME][`x`][e f]")
    async with service(environment={"PATH": "/nowhere"}) as caller:
        status, text = await caller.task("helm", "version")
        assert (status, text) == (500, 'command version failed: : exec: "helm": executable file not found in $PATH')


async def test_the_environment_is_the_given_one() -> None:
    """Commands see what they were given and nothing of ours."""
    async with service(environment={"http_proxy": "http://127.0.0.1:1"}) as caller:
        os.environ["LOADTESTER_SECRET_OF_OURS"] = "x"
        _, text = await caller.task("bash", "echo $http_proxy-$LOADTESTER_SECRET_OF_OURS-", returnCmdOutput="true")
        assert text == "http://127.0.0.1:1--\n"
        del os.environ["LOADTESTER_SECRET_OF_OURS"]


async def test_background_tasks_do_not_stack(tmp_path: Path) -> None:
    """The same command of a canary runs once at a time; another canary's is another; ended ones may run again."""
    count, gate = tmp_path / "count", tmp_path / "gate"
    command = f"echo x >> {count}; while [ ! -e {gate} ]; do sleep 0.02; done"
    async with service() as caller:
        answers = await asyncio.gather(*(caller.send(metadata={"cmd": command}) for _ in range(8)))
        assert answers == [(202, "")] * 8
        assert await caller.send(name="other", metadata={"type": "cmd", "cmd": command}) == (202, "")
        await until(lambda: count.exists() and len(count.read_text().split()) == 2)
        status = await caller.get("/tasks")
        assert sorted(one["canary"] for one in status["running"]) == ["other.test", "podinfo.test"]
        gate.touch()
        await until_ended(caller, 2)
        assert (await caller.send(metadata={"cmd": command}))[0] == 202
        await until_ended(caller, 3)
        assert len(count.read_text().split()) == 3
        skipped = [event for _, event, fields in caller.log.lines if "already running" in event]
        assert len(skipped) == 7
        async with caller.session.get(caller.url + "/metrics") as answer:
            page = await answer.text()
        assert 'loadtester_tasks_total{result="succeeded",type="cmd"} 3.0' in page
        assert 'loadtester_tasks_skipped_total{type="cmd"} 7.0' in page
        assert 'loadtester_tasks_running{type="cmd"} 0.0' in page


async def test_a_background_failure_is_told_when_asked_for() -> None:
    """202 at once; the status page and the log know; the next call of that command hears of it, once."""
    async with service() as caller:
        for report, answers in (("false", [202, 202, 202]), ("true", [202, 500, 500])):
            for number, want in enumerate(answers):
                status, text = await caller.task("cmd", f"echo why; exit 4 # {report}", reportFailure=report)
                assert status == want
                assert ("exit status 4" in text) == (want == 500)
                ended = await until_ended(caller, number + 1 + (3 if report == "true" else 0))
                assert (ended[0]["result"], ended[0]["error"]) == ("failed", "exit status 4")
        level, _, fields = caller.log.lines[-1]
        assert (level, fields["canary"], fields["error"], fields["output"]) == (
            "error",
            "podinfo.test",
            "exit status 4",
            "why\n",
        )


async def test_output_of_background_tasks_is_logged_on_request() -> None:
    """logCmdOutput decides; blocking tasks always log theirs."""
    async with service() as caller:
        await caller.task("cmd", "echo quiet")
        await until_ended(caller, 1)
        for number, yes in enumerate(("true", "TRUE", "1"), 2):
            await caller.task("cmd", f"echo loud; : {yes}", logCmdOutput=yes)
            await until_ended(caller, number)
        await caller.task("bash", "echo blocking", logCmdOutput="false")
        outputs = [fields.get("output") for _, _, fields in caller.log.lines]
        assert outputs == [None, *["loud\n"] * 3, "blocking\n"]


@asynccontextmanager
async def held_service() -> AsyncIterator[tuple[Caller, Held]]:
    """The service with a time-out that the test owns."""
    clock = Held()
    async with service(clock=clock, timeout=Held.TIMEOUT) as caller:
        yield caller, clock


@pytest.mark.parametrize("kind", ["bash", "cmd"])
async def test_time_out_ends_the_whole_family(kind: str, tmp_path: Path) -> None:
    """When time is up child and grandchild are gone, though they hold the output open."""
    note = tmp_path / "pids"
    async with held_service() as (caller, clock):
        call = asyncio.create_task(caller.task(kind, family(note)))
        await until(lambda: len(pids(note)) == 3)
        assert all(runs(pid) for pid in pids(note))
        clock.up.set()
        status, text = await call
        assert status == (202 if kind == "cmd" else 500)
        (one,) = await until_ended(caller)
        assert one["result"] == "timed out"
        assert text == "" or text.endswith(": timed out after 20m34.5s")
        assert not [pid for pid in pids(note) if runs(pid)]


async def test_who_ignores_term_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TERM first, KILL when that does not help."""
    monkeypatch.setattr("pyflagger.loadtester.processes.GRACE", 0.1)
    note = tmp_path / "pids"
    async with held_service() as (caller, clock):
        call = asyncio.create_task(caller.task("bash", f"trap '' TERM; echo $$ > {note}; while :; do sleep 0.05; done"))
        await until(lambda: len(pids(note)) == 1)
        clock.up.set()
        assert (await call)[0] == 500
        assert not [pid for pid in pids(note) if runs(pid)]


async def test_term_gives_time_to_tidy_up(tmp_path: Path) -> None:
    """A command that handles TERM gets to do it."""
    note, ready = tmp_path / "note", tmp_path / "ready"
    async with held_service() as (caller, clock):
        command = f"trap 'echo tidy > {note}; exit 0' TERM; echo 1 > {ready}; while :; do sleep 0.02; done"
        call = asyncio.create_task(caller.task("bash", command))
        await until(lambda: bool(pids(ready)))
        clock.up.set()
        await call
        assert note.read_text() == "tidy\n"


async def test_disconnect_cancels_a_blocking_task(tmp_path: Path) -> None:
    """Nobody waits for the answer any more: the family is ended and the task is known as cancelled."""
    note = tmp_path / "pids"
    async with service() as caller:
        call = asyncio.create_task(caller.task("bash", family(note)))
        await until(lambda: len(pids(note)) == 3)
        call.cancel()
        (one,) = await until_ended(caller)
        assert one["result"] == "cancelled"
        assert not [pid for pid in pids(note) if runs(pid)]


async def test_disconnect_does_not_cancel_a_background_task(tmp_path: Path) -> None:
    """Load goes on after the hook has its 202."""
    gate = tmp_path / "gate"
    async with service() as caller:
        assert (await caller.task("cmd", f"while [ ! -e {gate} ]; do sleep 0.02; done"))[0] == 202
        await caller.session.close()
        gate.touch()
        async with aiohttp.ClientSession() as session:
            (one,) = await until_ended(Caller(caller.url, session, caller.log))
        assert one["result"] == "succeeded"


async def test_nothing_is_left_of_a_command(tmp_path: Path) -> None:
    """What a command leaves running in its group ends with it."""
    note = tmp_path / "pid"
    async with service() as caller:
        status, _ = await caller.task("bash", f"sleep 60 >/dev/null 2>&1 & echo $! > {note}")
        assert status == 200
        assert not [pid for pid in pids(note) if runs(pid)]


async def test_shutdown_leaves_no_process(tmp_path: Path) -> None:
    """Background and blocking families are gone when the service is."""
    one, two = tmp_path / "one", tmp_path / "two"
    async with service(shutdown=0.1) as caller:
        await caller.task("cmd", family(one))
        call = asyncio.create_task(caller.task("bash", family(two)))
        await until(lambda: len(pids(one)) == 3 and len(pids(two)) == 3)
    assert not [pid for pid in pids(one) + pids(two) if runs(pid)]
    await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("caller_left", [False, True])
async def test_shutdown_waits_for_those_who_ignore_term(
    caller_left: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is gone only after the last process, killed in the end, be its caller there or not."""
    monkeypatch.setattr("pyflagger.loadtester.processes.GRACE", 0.3)
    note, told = tmp_path / "pids", tmp_path / "told"
    command = f"trap 'echo 1 >> {told}' TERM; echo $$ >> {note}; while :; do sleep 0.02; done"
    async with service(shutdown=0.1) as caller:
        call = asyncio.create_task(caller.task("bash", command))
        await until(lambda: len(pids(note)) == 1)
        if caller_left:
            call.cancel()
            await until(lambda: len(pids(told)) == 1)
        else:
            await caller.task("cmd", command)
            await until(lambda: len(pids(note)) == 2)
    assert not [pid for pid in pids(note) if runs(pid)]
    await asyncio.gather(call, return_exceptions=True)


async def test_output_is_bounded() -> None:
    """The end of a long output is kept, with a note of what is not."""
    async with service(max_output=1000) as caller:
        status, text = await caller.task(
            "bash", "head -c 300000 /dev/zero | tr '\\0' x; echo END", returnCmdOutput="true"
        )
        assert status == 200
        assert text.startswith("(299004 bytes omitted) xxx")
        assert text.endswith("xEND\n")


async def test_commands_at_once_are_bounded() -> None:
    """Over the limit is 429, and there is room again later."""
    async with service(max_tasks=2) as caller:
        assert (await caller.task("cmd", "sleep 60"))[0] == 202
        assert (await caller.task("cmd", "sleep 61"))[0] == 202
        assert (await caller.task("cmd", "sleep 62"))[0] == 429
        assert (await caller.task("bash", "true"))[0] == 429
        assert (await caller.task("cmd", "sleep 61"))[0] == 202
        assert len((await caller.get("/tasks"))["running"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'"x"',
        b'{"metadata": {"cmd": 1}}',
        b'{"name": 1}',
        b'{"metadata": []}',
        b"\xff",
        b"[" * 100_000,
    ],
)
async def test_bodies_that_are_not_payloads(body: bytes) -> None:
    """400 with an empty body, for tasks and gates alike."""
    async with service() as caller:
        for path in ("/", "/gate/check"):
            async with caller.session.post(caller.url + path, data=body) as answer:
                assert (answer.status, await answer.text()) == (400, "")


async def test_a_huge_body_is_refused() -> None:
    """413, and the service goes on."""
    async with service() as caller:
        async with caller.session.post(caller.url + "/", data=io.BytesIO(b"x" * (2 << 20))) as answer:
            assert answer.status == 413
        assert (await caller.task("bash", "true"))[0] == 200


async def test_a_body_that_does_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever announces a body and does not send it is told so."""
    monkeypatch.setattr("pyflagger.loadtester.app.BODY_WITHIN", 0.05)
    async with service() as caller:
        host, port = caller.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_any_method_path_and_content_type() -> None:
    """Whatever is not a gate or a page runs a task."""
    async with service() as caller:
        body = json.dumps({"name": "a", "namespace": "b", "metadata": {"type": "bash", "cmd": "true"}, "new": [1]})
        for method, path in (("POST", "/"), ("PUT", "/any/where"), ("POST", "/tasks"), ("GET", "/")):
            async with caller.session.request(method, caller.url + path, data=body) as answer:
                assert answer.status == 200


async def test_fixed_pages() -> None:
    """Health, and the gates that always say the same, need no body."""
    async with service(namespace_regexp=re.compile("never"), token="t") as caller:
        for path, status, text in (
            ("/healthz", 200, "OK"),
            ("/gate/approve", 200, "OK"),
            ("/gate/halt", 403, "Forbidden"),
        ):
            for method in ("GET", "POST"):
                async with caller.session.request(method, caller.url + path) as answer:
                    assert (answer.status, await answer.text()) == (status, text)
        async with caller.session.get(caller.url + "/metrics") as answer:
            assert answer.status == 200
            assert "python_info" in await answer.text()


@pytest.mark.parametrize("room", ["gate", "rollback"])
async def test_gates(room: str) -> None:
    """Closed until opened, for that canary alone; the two rooms do not see each other."""
    other = {"gate": "rollback", "rollback": "gate"}[room]
    async with service() as caller:
        assert await caller.send(f"/{room}/check") == (403, "Forbidden")
        assert await caller.send(f"/{room}/open") == (202, "")
        assert await caller.send(f"/{room}/check") == (200, "Approved")
        assert await caller.send(f"/{room}/check") == (200, "Approved")
        assert await caller.send(f"/{room}/check", namespace="prod") == (403, "Forbidden")
        assert await caller.send(f"/{room}/check", name="other") == (403, "Forbidden")
        assert await caller.send(f"/{other}/check") == (403, "Forbidden")
        name = "podinfo.test" if room == "gate" else "rollback.podinfo.test"
        assert await caller.get("/gate/list") == [{"gate": name, "open": True, "checksum": ""}]
        assert await caller.send(f"/{room}/close") == (202, "")
        assert await caller.send(f"/{room}/close") == (202, "")
        assert await caller.send(f"/{room}/check") == (403, "Forbidden")
        assert await caller.get("/gate/list") == []


@pytest.mark.parametrize(
    ("namespace", "full", "status"),
    [
        ("test", False, 200),
        ("my-test-2", False, 200),
        ("prod", False, 403),
        ("", False, 403),
        ("test", True, 200),
        ("my-test-2", True, 403),
    ],
)
async def test_namespace_rule(namespace: str, full: bool, status: int) -> None:
    """Found anywhere, as in the reference, or as a whole; gates are held to it too."""
    async with service(namespace_regexp=re.compile("test"), namespace_regexp_full_match=full) as caller:
        got, text = await caller.send(namespace=namespace, metadata={"type": "bash", "cmd": "true"})
        assert (got, text) == (status, "" if status == 200 else "Forbidden")
        assert (await caller.send("/gate/open", namespace=namespace))[0] == (202 if status == 200 else 403)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer s3cre", 401),
        ("Bearer", 401),
        ("Basic " + base64.b64encode(b"any:s3cret").decode(), 200),
        ("Basic " + base64.b64encode(b"s3cret:any").decode(), 401),
        ("Basic !!!", 401),
        ("Digest s3cret", 401),
    ],
)
async def test_token(authorization: str, status: int) -> None:
    """With a token nothing runs and nothing is told without it; a hook's URL can carry it as a password."""
    body = {"name": "a", "namespace": "b", "metadata": {"type": "bash", "cmd": "true"}}
    headers = {"Authorization": authorization} if authorization else {}
    async with service(token="s3cret") as caller:
        for method, path in (("POST", "/"), ("GET", "/tasks"), ("GET", "/gate/list")):
            async with caller.session.request(method, caller.url + path, json=body, headers=headers) as answer:
                assert answer.status == status


async def test_allow_lists() -> None:
    """Types and commands can be narrowed."""
    async with service(allowed_types=("bash",), allowed_commands=re.compile("true|hey .*")) as caller:
        assert (await caller.task("bash", "true"))[0] == 200
        assert await caller.task("cmd", "true") == (400, "task type cmd is not allowed (allowed: bash)")
        assert await caller.task("bash", "true; rm x") == (400, "cmd does not match -allowed-commands")


async def test_serve_ends_when_told() -> None:
    """From start to stop, with a line for each."""
    stop, log = asyncio.Event(), Log()
    task = asyncio.create_task(serve(Options(port=0, host="127.0.0.1"), CLOCK, {}, AiohttpHttp(), stop, log))
    await until(lambda: bool(log.lines))
    assert not task.done()
    stop.set()
    await task
    assert [event for _, event, _ in log.lines] == ["starting load tester", "shutting down"]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["-namespace-regexp=("], "-namespace-regexp: is not a regular expression"),
        (["-port=x"], "-port"),
        (["-nosuch"], "not defined: -nosuch"),
        (["-timeout=0s"], "-timeout"),
        (["-timeout=5"], "-timeout"),
    ],
)
def test_bad_command_lines(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and one line that names the flag."""
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Every flag is shown."""
    assert main(["-h"]) == 0
    shown = capsys.readouterr().out
    for name in ("-port", "-log-level", "-timeout", "-namespace-regexp", "-zap-encoding", "-token", "-gate-auto-close"):
        assert name in shown


async def test_as_a_process(tmp_path: Path) -> None:
    """The real command: serves, logs JSON lines, ends on TERM with status 0 and takes its commands with it."""
    note = tmp_path / "pids"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from pyflagger.cli.loadtester import main; sys.exit(main(sys.argv[1:]))",
        "-port=0",
        "--host=127.0.0.1",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    first = json.loads(await process.stderr.readline())
    assert (first["msg"], first["level"]) == ("starting load tester", "info")
    async with aiohttp.ClientSession() as session:
        caller = Caller(first["address"], session, Log())
        assert (await caller.task("cmd", family(note)))[0] == 202
        await until(lambda: len(pids(note)) == 3)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not [pid for pid in pids(note) if runs(pid)]


async def test_a_taken_port_is_told() -> None:
    """Status 1 and a line with the port."""
    async with service() as caller:
        port = caller.url.rsplit(":", 1)[1]
        code = "import sys; from pyflagger.cli.loadtester import main; "
        code += f"sys.exit(main(['-port={port}', '-host=127.0.0.1']))"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE)
        _, error = await process.communicate()
    assert process.returncode == 1
    assert f"cannot serve on port {port}" in error.decode()


async def test_a_body_that_bursts() -> None:
    """A compressed body is bounded by what it unpacks to, and a deeply nested one is no payload."""
    bomb = gzip.compress(b'{"name":"' + b"a" * (64 << 20) + b'"}')
    async with service() as caller:
        for body, headers, status in (
            (bomb, {"Content-Encoding": "gzip"}, 413),
            (bomb, {}, 400),
            (io.BytesIO(b"x" * (2 << 20)), {}, 413),
            (b"[" * 1_000_000, {}, 400),
            (b'{"metadata":' * 80_000, {}, 400),
        ):
            async with caller.session.post(f"{caller.url}/gate/open", data=body, headers=headers) as answer:
                assert answer.status == status
        assert (await caller.get("/gate/list")) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b", "/tmp/x", "$(touch x)", "a\nb", "\0"])
async def test_names_are_only_names(name: str, tmp_path: Path) -> None:
    """What a canary is called leads to no file and into no shell; the command runs with what the hook says alone."""
    async with service(environment={"HOME": str(tmp_path)}) as caller:
        payload = {"name": name, "namespace": name, "phase": name, "checksum": name}
        metadata = {"type": "bash", "cmd": "pwd", "returnCmdOutput": "true", name: name}
        status, text = await caller.send(**payload, metadata=metadata)
        assert (status, text.strip()) == (200, os.getcwd())
        assert await caller.send("/gate/open", **payload) == (202, "")
        assert [gate["gate"] for gate in await caller.get("/gate/list")] == [f"{name}.{name}"]
    assert os.listdir(tmp_path) == []


# What no client library would send ------------------------------------------------------------------------------------

TOKEN = "s3cret-token"
BODY = b'{"name":"podinfo","namespace":"test"}'


def raw(head: bytes, body: bytes = BODY, line: bytes = b"POST /gate/open HTTP/1.1") -> bytes:
    """A request, byte by byte."""
    return b"%b\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n\r\n%b" % (line, len(body), head, body)


BEARER = f"Authorization: Bearer {TOKEN}".encode()
NOT_BEFORE_THE_TOKEN = {
    "a header in Latin-1": (raw(b"X-Team: caf\xe9"), 401),
    "gzip that is none": (raw(b"Content-Encoding: gzip"), 401),
    "brotli that is none": (raw(b"Content-Encoding: br"), 401),
    "zstandard that is none": (raw(b"Content-Encoding: zstd"), 401),
    "a token in Latin-1": (raw(b"Authorization: Bearer caf\xe9"), 400),
    "a password in Latin-1": (raw(b"Authorization: Basic caf\xe9"), 400),
    "a password that is not base64": (raw("Authorization: Basic café".encode()), 401),
}
WITH_THE_TOKEN = {
    "gzip that is none": (raw(BEARER + b"\r\nContent-Encoding: gzip"), 400, "the body is not gzip"),
    "gzip with more behind it": (
        raw(BEARER + b"\r\nContent-Encoding: gzip", gzip.compress(BODY) + b"x"),
        400,
        "the body is not gzip: it is truncated or has data after its end",
    ),
    "half of a gzip": (
        raw(BEARER + b"\r\nContent-Encoding: gzip", gzip.compress(BODY)[:9]),
        400,
        "the body is not gzip",
    ),
    "deflate that is none": (raw(BEARER + b"\r\nContent-Encoding: deflate"), 400, "the body is not deflate"),
    "brotli": (raw(BEARER + b"\r\nContent-Encoding: br"), 400, "Content-Encoding 'br' is not supported"),
    "two encodings": (raw(BEARER + b"\r\nContent-Encoding: gzip, br"), 400, "is not supported"),
    "half a character": (raw(BEARER, b'{"name":"\\ud800","namespace":"test"}'), 400, ""),
    "UTF-16 that is none": (raw(BEARER, b"\xff\xfe{"), 400, ""),
    "a number as long as a book": (raw(BEARER, b'{"name":%b}' % (b"1" * 5000)), 400, ""),
    "gzip": (raw(BEARER + b"\r\nContent-Encoding: gzip", gzip.compress(BODY)), 202, ""),
    "deflate": (raw(BEARER + b"\r\nContent-Encoding: deflate", zlib.compress(BODY)), 202, ""),
    "a header in Latin-1": (raw(BEARER + b"\r\nX-Team: caf\xe9"), 202, ""),
}
NOT_HTTP = {
    "a header as the request line": b"%b\r\n\r\n" % BEARER,
    "a token in a line of another version": f"GET /?token={TOKEN} HTTP/9.x\r\nHost: x\r\n\r\n".encode(),
    "no colon": raw(f"Authorization Bearer {TOKEN}".encode()),
    "a NUL": raw(BEARER + b"\0"),
    "a header that is too long": raw(BEARER + b"x" * 20_000),
    "a length below zero": b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\nContent-Length: -5\r\n\r\n" % BEARER,
    "a chunk that is none": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n" % BEARER,
    "a host that is none": raw(BEARER, line=f"POST http://[{TOKEN} HTTP/1.1".encode()),
}


async def said(url: str, request: bytes) -> tuple[int, str]:
    """The status and the body of the answer to a request as it is."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
            return int(head.split()[1]), (await reader.readexactly(length)).decode()
    finally:
        writer.close()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged, aiohttp's own lines too."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logs.configure("debug", "json", stream)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)
    logs.configure("info", "json")


async def test_what_cannot_be_read_is_400_and_never_before_the_token(logged: io.StringIO) -> None:
    """A wrong header or a body that is not what it says: no 500, no traceback, and strangers learn nothing of it."""
    async with service(token=TOKEN) as caller:
        for name, (request, status) in NOT_BEFORE_THE_TOKEN.items():
            assert (await said(caller.url, request))[0] == status, name
        for name, (request, status, text) in WITH_THE_TOKEN.items():
            got = await said(caller.url, request)
            assert got[0] == status and text in got[1], (name, got)
    assert "Traceback" not in logged.getvalue() and TOKEN not in logged.getvalue()


async def test_no_token_in_the_log_of_what_is_not_http(logged: io.StringIO) -> None:
    """aiohttp writes the bytes of a request that it cannot parse into its log: ours names the error alone."""
    async with service(token=TOKEN) as caller:
        for name, request in NOT_HTTP.items():
            assert (await said(caller.url, request))[0] == 400, name
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    parsed = [line for line in lines if line["msg"] == "failed to parse a request"]
    assert len(parsed) >= len(NOT_HTTP) - 1, "one is left out by aiohttp as noise"
    assert TOKEN not in logged.getvalue() and "Traceback" not in logged.getvalue()


async def test_a_crash_is_logged_without_what_was_sent(logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was and what kind: the text of an exception can hold the request."""

    def crash(*_: object) -> None:
        raise KeyError(TOKEN)

    monkeypatch.setattr("pyflagger.loadtester.app.read_payload", crash)
    async with service(token=TOKEN) as caller:
        assert (await said(caller.url, raw(BEARER)))[0] == 500
    (line,) = [json.loads(text) for text in logged.getvalue().splitlines() if "a request failed" in text]
    assert (line["level"], line["error"]) == ("error", "KeyError") and "in crash" in line["stack"]
    assert TOKEN not in logged.getvalue()


# Orphans --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="zombies are seen in /proc")
def test_orphans_that_left_their_group_are_reaped(tmp_path: Path) -> None:
    """The load tester is process 1 of its container: what nobody waits for would stay a zombie for ever."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pyflagger.cli.main", "loadtester", "-port=0", "-host=127.0.0.1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = json.loads(process.stderr.readline())["address"]
        note = tmp_path / "pid"
        # The command ends at once; its grandchild has a session of its own and ends later, with nobody to wait for it.
        script = f"setsid sh -c 'echo $$ > {note}; exec sleep 0.3' > /dev/null 2>&1 & while [ ! -s {note} ]; do :; done"
        body = json.dumps({"name": "a", "namespace": "b", "metadata": {"type": "bash", "cmd": script}}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=20) as answer:
            assert answer.status == 200
        orphan = note.read_text().strip()
        parent = Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[1]
        assert parent == str(process.pid), "it was given to the load tester"
        wait_for_the_end_of(orphan)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def wait_for_the_end_of(pid: str) -> None:
    """Until a process is gone from the table of processes."""
    deadline = CLOCK.monotonic() + 15
    while Path(f"/proc/{pid}").exists():
        assert CLOCK.monotonic() < deadline, f"{pid} was never reaped"
        asyncio.run(CLOCK.sleep(0.05))


@pytest.mark.looptime
async def test_what_a_runner_waits_for_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was a zombie at two looks in a row is reaped: a command's own status goes to its runner."""
    looks, reaped = iter([{7, 8}, {8, 9}, {9}, set()]), list[int]()
    monkeypatch.setattr(reaper, "_zombies", lambda: next(looks))
    monkeypatch.setattr(os, "waitpid", lambda pid, _: reaped.append(pid))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await reaper.reap(LoopClock())
    assert reaped == [8, 9]
