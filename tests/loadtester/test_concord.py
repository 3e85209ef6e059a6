"""Task type `concord` against a server that plays Concord: requests, good and bad answers, time, cancellation."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtester.remotes import Polling, Said, server
from loadtester.test_loadtester_service import Caller, service, until, until_ended

KEY = "c0ncord-key-0123456789"
STARTED = Said(body={"instanceId": "4b1c-22", "ok": True})
RUNNING = Said(body={"instanceId": "4b1c-22", "status": "RUNNING"})
FINISHED = Said(body={"instanceId": "4b1c-22", "status": "FINISHED"})


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file with an API key, as a mounted Secret has it."""
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    return path


def metadata(url: str, key: Path | str, **more: str) -> dict[str, str]:
    """The metadata of a webhook."""
    names = {"org": "shop", "project": "checks", "repo": "main", "entrypoint": "smoke", "endpoint": "https://canary/"}
    return {"type": "concord", "server": url, "apiKeyPath": str(key)} | names | more


async def ask(caller: Caller, fields: Mapping[str, str]) -> tuple[int, str]:
    """Ask for the task."""
    return await caller.send(metadata=dict(fields))


async def test_a_process_that_finishes(key: Path) -> None:
    """Multipart form, key from the file, polls until FINISHED; 200 with an empty body, or with the end on request."""
    async with server(STARTED, RUNNING, FINISHED) as concord, service(clock=Polling()) as caller:
        fields = metadata(concord.url + "/", key, **{"arguments.user": "ann", "arguments.n": "2"})
        assert await ask(caller, fields) == (200, "")
        base = "/api/v1/process"
        assert concord.methods() == [f"POST {base}", f"GET {base}/4b1c-22", f"GET {base}/4b1c-22"]
        assert {one.authorization for one in concord.asked} == {KEY}
        found = dict(re.findall(r'name="([^"]+)"\r\n\r\n(.*?)\r\n--', concord.asked[0].body))
        assert found == {
            "org": "shop",
            "project": "checks",
            "repo": "main",
            "entryPoint": "smoke",
            "arguments.endpoint": "https://canary/",
            "arguments.user": "ann",
            "arguments.n": "2",
        }
        lines = [(text, more.get("canary")) for _, text, more in caller.log.lines]
        assert ("concord started test 4b1c-22", "podinfo.test") in lines
    async with server(STARTED, FINISHED) as concord, service(clock=Polling()) as caller:
        answer = await ask(caller, metadata(concord.url, key, returnCmdOutput="true"))
        assert answer == (200, "concord test 4b1c-22: FINISHED")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ([STARTED, Said(body={"status": "FAILED"})], "concord instanceID: 4b1c-22 failed"),
        ([STARTED, Said(body={"status": "CANCELLED"})], "concord instanceID: 4b1c-22 was cancelled"),
        ([STARTED, Said(body={"status": "TIMED_OUT"})], "concord instanceID: 4b1c-22 timed out"),
        ([Said(401, "no")], "concord: POST {url}/api/v1/process: Status 401 Unauthorized: no"),
        ([Said(403, {"message": KEY})], 'concord: POST {url}/api/v1/process: Status 403 Forbidden: {"message": "***"}'),
        ([Said(500, "")], "concord: POST {url}/api/v1/process: Status 500 Internal Server Error"),
        ([Said(200, "<html><title>Login</title>")], "concord did not answer with a JSON object: Status 200 OK: "),
        ([Said(200, '{"instanceId": "4b')], "concord did not answer with a JSON object: Status 200 OK: "),
        ([Said(200, [])], "concord did not answer with a JSON object: Status 200 OK: []"),
        ([Said(body={"ok": False})], 'concord did not start a process: Status 200 OK: {"ok": false}'),
        ([Said(body={"instanceId": 7})], "concord did not start a process: "),
        ([Said(body={"instanceId": "../../x"})], "concord did not start a process: "),
        ([Said(302, "", "http://127.0.0.1:1/login")], "concord did not answer with a JSON object: Status 302 Found"),
        ([STARTED, Said(404, "gone")], "concord: GET {url}/api/v1/process/4b1c-22: Status 404 Not Found: gone"),
        ([Said(200, "x" * (2 << 20))], "concord: POST {url}/api/v1/process: the answer is larger than 1048576 bytes"),
    ],
)
async def test_answers_that_fail(script: list[Said], text: str, key: Path) -> None:
    """500 and a text with service and address, never the key; a process that has ended is not stopped."""
    async with server(*script) as concord, service(clock=Polling()) as caller:
        status, said = await ask(caller, metadata(concord.url, key))
        assert status == 500
        assert said.startswith(text.replace("{url}", concord.url))
        assert KEY not in said + str(caller.log.lines)
        stopped = [one for one in concord.methods() if one.startswith("DELETE")]
        assert bool(stopped) == ("404" in text)
        (ended,) = await until_ended(caller)
        assert ended["result"] == "failed"


async def test_nobody_listens(key: Path) -> None:
    """The text about a server that does not answer has its address."""
    async with service(clock=Polling()) as caller:
        status, text = await ask(caller, metadata("http://127.0.0.1:9", key))
        assert (status, text.startswith("concord: POST http://127.0.0.1:9/api/v1/process: ")) == (500, True)


@pytest.mark.parametrize("trouble", [Said(503, "busy"), Said(429, ""), Said(200, "<html>")])
async def test_a_poll_that_fails_is_tried_again(trouble: Said, key: Path) -> None:
    """One bad answer does not fail a test that goes on."""
    async with server(STARTED, trouble, FINISHED) as concord, service(clock=Polling()) as caller:
        assert await ask(caller, metadata(concord.url, key)) == (200, "")


@pytest.mark.parametrize(("last", "told"), [(RUNNING, ""), (Said(503, "busy"), "503 Service Unavailable: busy")])
async def test_the_time_of_a_process_is_absolute(last: Said, told: str, key: Path) -> None:
    """At `pollTimeout` the process is stopped, however short the polls; the text has the last error."""
    clock = Polling()
    async with server(STARTED, last) as concord, service(clock=clock) as caller:
        call = asyncio.create_task(ask(caller, metadata(concord.url, key, pollTimeout="60", pollInterval="5")))
        await concord.polled.wait()
        await until(lambda: len(concord.asked) > 3)
        clock.up.set()
        status, text = await call
        assert status == 500
        assert text.startswith("concord process timed out, after 60 seconds")
        assert told in text
        assert concord.methods()[-1] == "DELETE /api/v1/process/4b1c-22"
        assert ("concord stopped test 4b1c-22") in [line for _, line, _ in caller.log.lines]


async def test_the_time_of_a_command_bounds_it_too(key: Path) -> None:
    """`-timeout` is the limit if it is less than `pollTimeout`."""
    clock = Polling()
    async with server(STARTED, RUNNING) as concord, service(clock=clock, timeout=7.5) as caller:
        call = asyncio.create_task(ask(caller, metadata(concord.url, key)))
        await concord.polled.wait()
        clock.up.set()
        assert await call == (500, "concord: timed out after 7.5s")


async def test_a_caller_that_leaves_ends_the_process(key: Path) -> None:
    """The webhook's own timeout stops the process, as it stops a command."""
    async with server(STARTED, RUNNING) as concord, service(clock=Polling()) as caller:
        call = asyncio.create_task(ask(caller, metadata(concord.url, key)))
        await concord.polled.wait()
        call.cancel()
        (ended,) = await until_ended(caller)
        assert ended["result"] == "cancelled"
        assert concord.methods()[-1] == "DELETE /api/v1/process/4b1c-22"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read apiKeyPath {path}: No such file or directory"),
        ("", "apiKeyPath {path} does not contain an API key on one line"),
        ("one\ntwo", "apiKeyPath {path} does not contain an API key on one line"),
    ],
)
async def test_files_without_a_key(content: str | None, text: str, tmp_path: Path) -> None:
    """Nothing is sent, and the text names the file."""
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    async with server(STARTED) as concord, service(clock=Polling()) as caller:
        assert await ask(caller, metadata(concord.url, path)) == (500, text.replace("{path}", str(path)))
        assert concord.asked == []


async def test_paths_that_are_no_file(tmp_path: Path) -> None:
    """A folder, a device and a pipe are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    async with service(clock=Polling()) as caller:
        for path in ("/dev/zero", str(tmp_path / "pipe")):
            answer = await ask(caller, metadata("http://127.0.0.1:9", path))
            assert answer == (500, f"apiKeyPath {path} is not a file")
        answer = await ask(caller, metadata("http://127.0.0.1:9", tmp_path))
        assert answer == (500, f"cannot read apiKeyPath {tmp_path}: Is a directory")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"org": "", "repo": ""}, "org, repo not found in metadata, required with type concord"),
        ({"server": "concord"}, "server is not a URL such as http://server:8080, without credentials"),
        ({"server": "http://me:pass@concord"}, "server is not a URL such as http://server:8080, without credentials"),
        ({"server": "http://[::1"}, "server is not a URL such as http://server:8080, without credentials"),
        ({"pollInterval": "5s"}, "pollInterval '5s' is not a whole number of seconds greater than zero"),
        ({"pollTimeout": "0"}, "pollTimeout '0' is not a whole number of seconds greater than zero"),
        ({"arguments.endpoint": "x"}, "arguments.endpoint cannot be set: set endpoint"),
        ({'arguments."x': "x"}, "'arguments.\"x' cannot be sent to concord as a form field"),
    ],
)
async def test_bad_metadata(change: dict[str, str], text: str) -> None:
    """400 with what is wrong, before anything is sent."""
    async with service(clock=Polling()) as caller:
        assert await ask(caller, metadata("http://127.0.0.1:9", "/key") | change) == (400, text)


async def test_rules_apply_to_it(key: Path) -> None:
    """`-allowed-types` and `-allowed-commands` bound where the key may go."""
    async with server(STARTED, FINISHED) as concord:
        fields = metadata(concord.url, key)
        async with service(clock=Polling(), allowed_types=("cmd",)) as caller:
            assert await ask(caller, fields) == (400, "task type concord is not allowed (allowed: cmd)")
        async with service(clock=Polling(), allowed_commands=re.compile("hey .*")) as caller:
            status, text = await ask(caller, fields)
            assert (status, text.endswith(" shop checks main smoke does not match -allowed-commands")) == (400, True)
        assert concord.asked == []
        pattern = re.compile(re.escape(concord.url) + "/api/v1/process shop .*")
        async with service(clock=Polling(), allowed_commands=pattern) as caller:
            assert await ask(caller, fields) == (200, "")
