"""The properties of `targets`, on the corpus and on what hypothesis makes of each language's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, VARIABLES, shut
from pyflagger.gotemplate.errors import OUTPUT_MAX
from pyflagger.metrics.template import TemplateError, render

CORPUS = Path(__file__).resolve().parent / "corpus"
FILES = sorted(path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file())
BOUNDED = settings(
    max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("7")
KEYS = st.sampled_from(
    ("type", "object", "metadata", "name", "namespace", "resourceVersion", "items", "code", "status")
)
MORE = st.sampled_from(
    ("data", "result", "resultType", "value", "series", "pointlist", "results", "datapoints", "values")
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | MORE, inner, max_size=5), max_leaves=20
)


@pytest.fixture(autouse=True, scope="module")
def _loop_is_shut() -> Iterator[None]:
    yield
    shut()


def spoken(name: str) -> st.SearchStrategy[bytes]:
    """A mode, then words of the language and anything between them."""
    words = st.sampled_from(TARGETS[name].words) | st.text(max_size=4)
    text = st.lists(words, max_size=24).map(lambda found: "".join(found).encode("utf-8", "replace"))
    return st.tuples(st.binary(min_size=1, max_size=1), text).map(b"".join)


def told(name: str) -> st.SearchStrategy[bytes]:
    """A mode, then JSON of the right words in the wrong places."""
    text = st.lists(JSON, min_size=1, max_size=3).map(lambda found: "\n".join(map(json.dumps, found)).encode())
    return st.tuples(st.binary(min_size=1, max_size=1), text).map(b"".join)


def play(name: str, inputs: st.SearchStrategy[bytes]) -> None:
    """A target's property for many inputs."""

    @BOUNDED
    @given(inputs)
    def holds(data: bytes) -> None:
        TARGETS[name].check(data)

    holds()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_corpus(path: Path) -> None:
    """What once was found, and what the runs begin from."""
    TARGETS[path.parts[0]].check((CORPUS / path).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_words_in_any_order(name: str) -> None:
    """Texts made of the language's own words."""
    play(name, spoken(name))


@pytest.mark.parametrize("name", ["watch", "providers"])
def test_json_of_any_shape(name: str) -> None:
    """JSON that is well formed and makes no sense."""
    play(name, told(name))


@pytest.mark.parametrize(
    "template",
    [
        '{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 64 }}{{ $x = printf "%s%s" $x $x }}{{ end }}',
        '{{ $x := printf "%1000s" "" }}{{ range 9000 }}{{ $y := html $x }}{{ end }}',
        '{{ $x := printf "%1000s" "" }}{{ print ' + "$x " * 9000 + "}}",
        "{{ 9223372036854775808 }}",
        "{{ 0x" + "f" * 60000 + " }}",
    ],
)
def test_what_a_template_may_cost(template: str) -> None:
    """Values that grow without being printed, and numbers without end, are refused before they cost anything."""
    assert len(template) <= OUTPUT_MAX
    with pytest.raises(TemplateError):
        render(template, VARIABLES)
