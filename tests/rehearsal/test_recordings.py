"""Recordings: written from a Prometheus, replayed by the same queries, and refused when they are not whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click
import pytest
import yaml

from pyflagger.cli import recording
from pyflagger.cli.recording import Past, asked, fetched, past
from pyflagger.cli.rehearse import main
from pyflagger.clock import LoopClock
from pyflagger.operator.options import Options
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from pyflagger_sandbox.rehearsal.recordings import Recording, Unusable, dumped, loaded
from pyflagger_sandbox.rehearsal.stage import Script

CANARY = Path(__file__).resolve().parents[2] / "examples" / "nginx" / "canary.yaml"
OBJECTS = [yaml.safe_load(CANARY.read_text())]
START = 1_700_000_000.0
SUCCESS = "nginx_ingress_controller_requests"


def matrix(*values: tuple[float, str], series: int = 1) -> bytes:
    """The answer of a range query."""
    result = [{"metric": {}, "values": [[START + at, value] for at, value in values]}] * (series if values else 0)
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


async def recorded(answer: HttpAnswer, length: float = 60.0) -> str:
    """The file of a recording of the example, by a Prometheus that answers every query the same."""

    async def said(request: HttpRequest) -> HttpAnswer:
        body = parse_qs((request.body or b"").decode())
        assert request.url == "http://prometheus/api/v1/query_range"
        assert (body["start"], body["step"]) == (["1700000000.000"], ["10"])
        return answer

    wanted = Past("http://prometheus", START, START + length, Path("unused"))
    return await fetched(Script(said), wanted, asked(OBJECTS, Options(mesh_provider="nginx")))


async def test_a_recording_has_the_operators_own_queries() -> None:
    """Of the canary, of the primary beside it, and the number of requests; values as Prometheus writes them."""
    found = loaded(await recorded(HttpAnswer(200, matrix((0, "99.5"), (10, "99.1")))))
    assert all(SUCCESS in query for query in found.values)
    assert any('canary!=""' in query for query in found.values)
    assert any('canary=""' in query for query in found.values)
    assert (found.length, found.step) == (60, 10)
    assert set(found.values.values()) == {((0.0, "99.5"), (10.0, "99.1"))}


def test_an_answer_is_that_of_the_last_step() -> None:
    """For one step; a gap and a time after the end have none."""
    found = Recording(60, 10, {"q": ((0.0, "1"), (10.0, "2"), (40.0, "3"))})
    assert [found.answer("q", at) for at in (0, 9.9, 10, 19.9, 25, 40, 49, 61)] == [
        "1", "1", "2", "2", None, "3", "3", None,
    ]  # fmt: skip
    assert found.answer("other", 0) is None


async def test_a_recording_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The release fails where the past did; after its end the output says why there are no values."""
    values = tuple((float(at), "99.9" if at < 40 else "97") for at in range(0, 61, 10))
    (tmp_path / "past.json").write_text(await recorded(HttpAnswer(200, matrix(*values))))
    script = {"kind": "Rehearsal", "name": "past", "files": [str(CANARY)], "recorded": "past.json", "canary": "podinfo"}
    file = tmp_path / "script.yaml"
    file.write_text(yaml.safe_dump({**script, "steps": [{"release": "podinfo:2"}]}))
    # The rehearsal has an event loop of its own, so it runs in another thread than this test's.
    assert await click_in_thread([str(tmp_path), "-o", "json"]) == 0
    (canary,) = json.loads(capsys.readouterr().out)[0]["canaries"]
    assert (canary["phase"], canary["weights"]) == ("Failed", [5, 10, 15, 20])
    assert canary["notes"] == ["the recording ends after 1m0s: later queries have no values"]


async def click_in_thread(words: list[str]) -> int:
    """Run the command in a thread."""
    return await asyncio.to_thread(main, words)


def test_a_query_that_is_not_recorded_is_named() -> None:
    """A changed interval is another query."""
    assert "has no query up{} 1: record it again" in Recording(60, 10, {}).lacks("up{}\n  1", 0)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda text: text[: len(text) // 2], "is cut short or damaged"),
        (lambda text: "", "is cut short or damaged"),
        (lambda text: text.replace('"Recording"', '"Else"'), "is no recording: its kind is not Recording"),
        (lambda text: text.replace('"points": 2', '"points": 7'), "is cut short: 2 of 7 values of q are left"),
        (lambda text: text.replace('"to"', '"until"'), "is damaged: KeyError('to')"),
        (lambda text: text.replace('"step": 10.0', '"step": "x"'), "is damaged: ValueError"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    spoil: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its name; exit status 2."""
    whole = dumped(START, 60.0, 10.0, {"q": ((0.0, "1"), (10.0, "2"))})
    assert loaded(whole).values == {"q": ((0.0, "1"), (10.0, "2"))}
    (tmp_path / "past.txt").write_text(spoil(whole))
    script = {"kind": "Rehearsal", "name": "x", "files": [str(CANARY)], "recorded": "past.txt"}
    (tmp_path / "script.yaml").write_text(yaml.safe_dump({**script, "steps": [{"release": "a:2"}]}))
    assert main([str(tmp_path / "script.yaml")]) == 2
    assert f"past.txt: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer, said",
    [
        (HttpAnswer(400, b'{"status":"error","error":"parse error"}'), "parse error"),
        (HttpAnswer(502, b"<html><title>Bad</title>"), "the answer is not JSON"),
        (HttpAnswer(200, matrix((0, "1"), series=2)), "2 series: a check needs one"),
    ],
)
async def test_an_answer_that_is_no_recording_is_refused(answer: HttpAnswer, said: str) -> None:
    """The text has the address, the query and the reason."""
    with pytest.raises(Unusable) as raised:
        await recorded(answer)
    assert said in str(raised.value)
    assert "http://prometheus: " in str(raised.value)


async def test_a_prometheus_that_does_not_answer(tmp_path: Path) -> None:
    """The text has the address without its password."""

    async def said(request: HttpRequest) -> HttpAnswer:
        raise HttpFailure("connect", "connection refused")

    with pytest.raises(Unusable, match="connection refused") as raised:
        await fetched(Script(said), Past("http://me:secret@prometheus", START, START + 60, tmp_path), {"up": None})
    assert "secret" not in str(raised.value)


def test_the_file_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the output says how much of the time each query has values for."""

    async def recorded(wanted: Past, queries: Any) -> str:
        return dumped(wanted.start, wanted.end - wanted.start, 10.0, dict.fromkeys(queries, ((0.0, "1"),)))

    monkeypatch.setattr(recording, "_recorded", recorded)
    file = tmp_path / "past.json"
    words = ["--prometheus", "http://prometheus", "--from", "2h", "--to", "1h", "--record", str(file)]
    script = tmp_path / "script.yaml"
    script.write_text(
        yaml.safe_dump({"kind": "Rehearsal", "name": "x", "steps": [{"release": "a:2"}], "files": [str(CANARY)]})
    )
    assert main([str(script), *words]) == 0
    assert "1 of 361 values: " in capsys.readouterr().out
    assert len(loaded(file.read_text()).values) > 1


@pytest.mark.parametrize(
    "given, said",
    [
        (("http://p", "2h", "", None), "a recording needs --to and --record as well"),
        (("http://p", "1h", "2h", Path("x")), "--from must be before --to"),
        (("http://p", "-1h", "-2h", Path("x")), "--from must be before --to"),
        (("http://p", "yesterday", "1h", Path("x")), "--from: 'yesterday' is neither a time such as"),
    ],
)
@pytest.mark.looptime
async def test_times_that_are_none(given: Any, said: str) -> None:
    """Each with its option."""
    with pytest.raises(click.UsageError) as raised:
        past(LoopClock(), *given)
    assert said in raised.value.message


@pytest.mark.looptime
async def test_times_by_the_clock_and_by_age() -> None:
    """Both forms."""
    found = past(LoopClock(), "http://p", "2023-11-14T21:13:20Z", "10m", Path("x"))
    assert found is not None
    assert (found.start, found.end) == (START - 3600, START - 600)
    assert past(LoopClock(), "", "", "", None) is None
