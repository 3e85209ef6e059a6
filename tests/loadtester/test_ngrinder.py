"""Task type `ngrinder` against a server that plays nGrinder: requests, good and bad answers, time, shutdown."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from loadtester.remotes import Polling, Said, server
from loadtester.test_loadtester_service import Caller, service, until, until_ended

PASSWORD = "s3cret-pässword"
LOGIN = f"Basic {b64encode(f'admin:{PASSWORD}'.encode()).decode()}"
STARTED = Said(body={"success": True, "id": 42})


def status(name: str) -> Said:
    """The answer to a poll."""
    return Said(body={"success": True, "status": [{"status_id": name, "id": 42}]})


def metadata(url: str, **more: str) -> dict[str, str]:
    """The metadata of a webhook, as in the reference's documentation."""
    passwd = b64encode(PASSWORD.encode()).decode()
    return {"type": "ngrinder", "server": url, "clone": "100", "username": "admin", "passwd": passwd} | more


async def outcome(caller: Caller, fields: dict[str, str]) -> dict[str, Any]:
    """The run of the task: 202 at once, and its end in `/tasks`."""
    assert await caller.send(metadata=fields) == (202, "")
    (ended,) = await until_ended(caller)
    return ended


async def test_a_test_that_finishes() -> None:
    """Cloned, started, polled with basic authentication until FINISHED."""
    async with server(STARTED, status("TESTING"), status("FINISHED")) as grinder, service(clock=Polling()) as caller:
        ended = await outcome(caller, metadata(grinder.url + "/", pollInterval="5s"))
        assert (ended["result"], ended["error"]) == ("succeeded", "")
        assert ended["command"] == f"{grinder.url}/perftest/api/100/clone_and_start"
        base = "/perftest/api"
        assert grinder.methods() == [f"POST {base}/100/clone_and_start", *[f"GET {base}/42/status"] * 2]
        assert {one.authorization for one in grinder.asked} == {LOGIN}
        assert PASSWORD not in str(caller.log.lines)


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ([STARTED, status("STOP_BY_ERROR")], "ngrinder test 42 ended as STOP_BY_ERROR"),
        ([STARTED, status("CANCELED")], "ngrinder test 42 ended as CANCELED"),
        ([STARTED, status("UNKNOWN")], "ngrinder test 42 ended as UNKNOWN"),
        ([Said(body={"success": False, "message": "no test"})], "ngrinder refused the request: "),
        ([STARTED, Said(body={"success": False})], 'ngrinder refused the request: {"success": false}'),
        ([Said(body={"success": True})], "ngrinder did not start a test: Status 200 OK: "),
        ([Said(body={"id": True})], "ngrinder did not start a test: Status 200 OK: "),
        ([Said(body={"id": "42"})], "ngrinder did not start a test: Status 200 OK: "),
        ([Said(200, "<html><title>Login</title>")], "ngrinder did not answer with a JSON object: "),
        ([Said(401, PASSWORD)], "ngrinder: POST {url}/perftest/api/100/clone_and_start: Status 401 Unauthorized: ***"),
        ([Said(502, "")], "ngrinder: POST {url}/perftest/api/100/clone_and_start: Status 502 Bad Gateway"),
        ([STARTED, Said(403, "")], "ngrinder: GET {url}/perftest/api/42/status: Status 403 Forbidden"),
    ],
)
async def test_answers_that_fail(script: list[Said], text: str) -> None:
    """The run fails with a text, the log has it at the level error, and the process lives on."""
    async with server(*script) as grinder, service(clock=Polling()) as caller:
        ended = await outcome(caller, metadata(grinder.url))
        assert ended["result"] == "failed"
        assert ended["error"].startswith(text.replace("{url}", grinder.url))
        assert PASSWORD not in ended["error"] + str(caller.log.lines)
        assert [level for level, line, _ in caller.log.lines if line.startswith("command failed")] == ["error"]
        assert (await caller.task("bash", "true"))[0] == 200


@pytest.mark.parametrize("trouble", [Said(503, ""), Said(body={"status": []}), Said(body={"status": ["x"]})])
async def test_a_poll_that_says_nothing_is_tried_again(trouble: Said) -> None:
    """As with the reference."""
    async with server(STARTED, trouble, status("FINISHED")) as grinder, service(clock=Polling()) as caller:
        assert (await outcome(caller, metadata(grinder.url)))["result"] == "succeeded"


async def test_a_failure_is_reported_on_request() -> None:
    """With `reportFailure` the next call answers 500, so the webhook's check fails."""
    async with server(Said(404, "no test")) as grinder, service(clock=Polling()) as caller:
        fields = metadata(grinder.url, reportFailure="true")
        await outcome(caller, fields)
        code, text = await caller.send(metadata=fields)
        assert (code, "Status 404 Not Found: no test" in text) == (500, True)


async def test_one_run_at_a_time_stopped_when_its_time_is_up() -> None:
    """Webhooks repeat each interval: the same clone does not start twice. At `-timeout` the test is stopped."""
    clock = Polling()
    async with server(STARTED, status("TESTING")) as grinder, service(clock=clock, timeout=90) as caller:
        for _ in range(3):
            assert await caller.send(metadata=metadata(grinder.url)) == (202, "")
        await grinder.polled.wait()
        clock.up.set()
        (ended,) = await until_ended(caller)
        assert (ended["result"], ended["error"]) == ("timed out", "ngrinder: timed out after 1m30s")
        assert grinder.methods().count("POST /perftest/api/100/clone_and_start") == 1
        assert grinder.methods()[-1] == "PUT /perftest/api/42?action=stop"


async def test_shutdown_stops_the_test() -> None:
    """No load is left behind by a load tester that ends."""
    async with server(STARTED, status("TESTING")) as grinder:
        async with service(clock=Polling()) as caller:
            await caller.send(metadata=metadata(grinder.url))
            await until(grinder.polled.is_set)
        assert grinder.methods()[-1] == "PUT /perftest/api/42?action=stop"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"clone": "", "passwd": ""}, "clone, passwd not found in metadata, required with type ngrinder"),
        ({"clone": "abc"}, "clone 'abc' is not the number of a test"),
        ({"clone": "../1"}, "clone '../1' is not the number of a test"),
        ({"passwd": "%"}, "passwd is not base64"),
        ({"server": "ftp://x"}, "server is not a URL such as http://server:8080, without credentials"),
        ({"pollInterval": "5"}, "pollInterval '5' is not a duration such as 10s or 1m30s"),
        ({"pollInterval": "0s"}, "pollInterval '0s' is not greater than zero"),
    ],
)
async def test_bad_metadata(change: dict[str, str], text: str) -> None:
    """400 with what is wrong, before anything is sent."""
    async with service(clock=Polling()) as caller:
        assert await caller.send(metadata=metadata("http://127.0.0.1:9") | change) == (400, text)
