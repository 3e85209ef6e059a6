"""Parts of the load tester that need no process: gates, tasks, kept output, payloads."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflagger.loadtester import Options, read_options
from pyflagger.loadtester import gates as gates_module
from pyflagger.loadtester.app import read_payload
from pyflagger.loadtester.gates import Gates, TooManyGates
from pyflagger.loadtester.processes import Tail
from pyflagger.loadtester.tasks import BadTask, Rules, read_task


def test_an_auto_closing_gate_lets_one_pass() -> None:
    """It closes behind whoever passes; asking a closed one changes nothing."""
    gates = Gates(auto_close=True)
    assert not gates.check("a.b")
    gates.open("a.b")
    assert gates.check("a.b")
    assert not gates.check("a.b")


def test_a_gate_of_one_revision_stays_shut_for_the_next() -> None:
    """Opened for a checksum, or without: then it belongs to the first that asks."""
    gates = Gates(per_checksum=True)
    gates.open("a.b", "one")
    assert gates.check("a.b", "one")
    assert not gates.check("a.b", "two")
    assert gates.check("a.b")
    gates.open("a.b")
    assert gates.check("a.b", "two")
    assert not gates.check("a.b", "one")
    assert gates.listing() == [{"gate": "a.b", "open": True, "checksum": "two"}]


def test_a_plain_gate_is_for_every_revision() -> None:
    """As in the reference."""
    gates = Gates()
    gates.open("a.b", "one")
    assert gates.check("a.b", "one")
    assert gates.check("a.b", "two")


def test_open_gates_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit no other opens; those open may be opened again; closing makes room."""
    monkeypatch.setattr(gates_module, "MAX_OPEN", 2)
    gates = Gates()
    gates.open("a")
    gates.open("b")
    gates.open("a")
    with pytest.raises(TooManyGates):
        gates.open("c")
    assert not gates.check("c")
    gates.close("a")
    gates.open("c")
    assert [one["gate"] for one in gates.listing()] == ["b", "c"]


@given(st.lists(st.binary(max_size=50)), st.integers(1, 60))
def test_the_end_of_output_is_kept(chunks: list[bytes], limit: int) -> None:
    """Never more than the limit, always the end, and the note counts what is not there."""
    tail, whole = Tail(limit), b"".join(chunks)
    for chunk in chunks:
        tail.feed(chunk)
    lost = max(0, len(whole) - limit)
    kept = whole[lost:].decode("utf-8", "replace")
    assert tail.text() == (f"({lost} bytes omitted) {kept}" if lost else kept)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), max_size=5))
def test_words_survive_quoting(words: list[str]) -> None:
    """What a shell would take for one word is one word, and no shell is in between."""
    command = shlex.join(["test", *words])
    assert read_task("a.b", {"type": "helm", "cmd": command}, Rules()).work == ("helm", "test", *words)


@given(st.dictionaries(st.sampled_from(["type", "cmd", "returnCmdOutput", "logCmdOutput", "x"]), st.text(max_size=9)))
def test_any_metadata_is_a_task_or_says_why_not(metadata: dict[str, str]) -> None:
    """Nothing but BadTask, with a text."""
    try:
        assert read_task("a.b", metadata, Rules()).work
    except BadTask as error:
        assert str(error)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=3) | st.integers(),
        lambda inner: st.dictionaries(st.sampled_from(["name", "namespace", "metadata", "cmd"]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_is_a_payload_or_is_not(body: bytes) -> None:
    """Nothing but ValueError; what is read has text everywhere."""
    try:
        payload = read_payload(body)
    except ValueError:
        return
    assert isinstance(payload.canary, str)
    assert all(isinstance(value, str) for value in payload.metadata.values())


def test_null_is_absent() -> None:
    """As in Go: null leaves the empty value."""
    payload = read_payload(b'{"name": null, "namespace": "b", "metadata": {"cmd": null}}')
    assert (payload.canary, payload.metadata) == (".b", {"cmd": ""})
    assert read_payload(b"null").canary == "."


def test_command_line() -> None:
    """Go's spelling, the reference's defaults, a token from the environment."""
    plain = read_options([], {})
    assert plain == Options()
    assert (plain.port, plain.timeout, plain.log_level, plain.zap_encoding) == (9090, 3600.0, "debug", "json")
    argv = [
        "-port",
        "8080",
        "--timeout=1m30s",
        "-namespace-regexp=^a$",
        "-zap-replace-globals",
        "-allowed-types=bash, sh",
    ]
    options = read_options(argv, {"LOADTESTER_TOKEN": "t"})
    assert (options.port, options.timeout, options.token) == (8080, 90.0, "t")
    assert options.namespace_regexp == re.compile("^a$")
    assert options.allowed_types == ("bash", "sh")
