"""Rules of the evaluator that the recording does not reach: Prometheus 3's edges, staleness, limits, odd input."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyflagger_sandbox.metrics import Engine, Matrix, QueryError, Store, Vector, labels_of
from pyflagger_sandbox.metrics.values import STALE, is_stale, show_number

T0 = 1_700_000_000


def engine_with(samples: Sequence[tuple[float, float]], *, name: str = "m", **labels: str) -> Engine:
    """An engine over one series; samples as (seconds after T0, value)."""
    store = Store(retention=100_000)
    for after, value in samples:
        store.append(labels_of([("__name__", name), *labels.items()]), round((T0 + after) * 1000), value)
    return Engine(store)


def only(engine: Engine, query: str, after: float) -> float | None:
    """The single value of a query, None for an empty vector."""
    value = engine.instant(query, T0 + after)
    assert isinstance(value, Vector)
    assert len(value.samples) <= 1
    return value.samples[0].value if value.samples else None


RAMP = [(float(k), float(10 * k)) for k in range(101)]


@pytest.mark.parametrize(
    ("samples", "query", "after", "want"),
    [
        (RAMP, "count_over_time(m[10s])", 50, 10.0),
        (RAMP, "rate(m[10s])", 50, 10.0),
        (RAMP, "increase(m[10s])", 50, 100.0),
        (RAMP, "rate(m[1s])", 50, None),
        (RAMP, "m", 100 + 299.999, 1000.0),
        (RAMP, "m", 100 + 300, None),
        (RAMP, "m offset 300s", 100 + 599, 1000.0),
        ([(0, 2), (10, 12)], "increase(m[60s])", 15, 17.0),
        ([(0, 100), (10, 110)], "increase(m[60s])", 15, 20.0),
        ([(0, 4), (10, 14)], "increase(m[12s])", 11, 12.0),
        ([(0, 0), (10, 10)], "increase(m[60s])", 10, 10.0),
        ([(0, 50), (10, 60), (20, 5), (30, 15)], "increase(m[31s])", 30, 25 * 31 / 30),
        ([(0, 50), (10, 60), (20, 5)], "irate(m[1m])", 20, 0.5),
        ([(0, 1), (10, math.nan), (20, 3)], "count_over_time(m[1m])", 20, 3.0),
    ],
)
def test_windows_and_extrapolation(
    samples: list[tuple[float, float]], query: str, after: float, want: float | None
) -> None:
    """A window excludes its start; a change is stretched to the edges, at most half a step, never below zero."""
    got = only(engine_with(samples), query, after)
    assert got == want if want is None else got == pytest.approx(want)


def test_a_stale_series_is_gone_at_once_and_can_come_back() -> None:
    """After the marker there is no value; windows skip the marker; a later sample is a value again."""
    engine = engine_with([(0, 1.0), (10, 2.0)])
    engine.store.end(labels_of([("__name__", "m")]), (T0 + 20) * 1000)
    assert only(engine, "m", 19) == 2.0
    assert only(engine, "m", 20) is None
    assert only(engine, "absent(m)", 20) == 1.0
    assert only(engine, "count_over_time(m[1m])", 20) == 2.0
    engine.store.append(labels_of([("__name__", "m")]), (T0 + 30) * 1000, 7.0)
    assert only(engine, "m", 30) == 7.0
    assert only(engine, "count_over_time(m[1m])", 30) == 3.0


def test_only_the_marker_is_stale() -> None:
    """A NaN that a target reports is a value."""
    assert is_stale(STALE)
    assert not is_stale(math.nan)
    engine = engine_with([(0, math.nan)])
    assert math.isnan(only(engine, "m", 1) or 0.0)


@pytest.mark.parametrize(
    ("query", "kind", "text"),
    [
        ("foo(m)", "bad_data", "unknown function"),
        ("sum(", "bad_data", "parse error"),
        ("", "bad_data", "no expression"),
        ("holt_winters(m[1m], 0.5, 0.5)", "bad_data", ""),
        ("histogram_fraction(0, 1, m)", "bad_data", "not supported"),
        ('m{a="b" or c="d"}', "bad_data", "or"),
        ('m{a=~"["}', "bad_data", ""),
        ("(" * 501 + "1" + ")" * 501, "bad_data", "operators"),
        ("(" * 400 + "abs(" * 90 + "m" + ")" * 490, "bad_data", ""),
        ("1" + "+1" * 20_000, "bad_data", "operators"),
        ("1" + " and 1" * 9_000, "bad_data", "operators"),
        ("# '\n1" + "+1" * 20_000 + "'", "bad_data", "operators"),
        ("'" + "1" + "+1" * 20_000, "bad_data", "operators"),
        ("-" * 499 + "m", "bad_data", "nested"),
        ("m" * 70_000, "bad_data", "characters"),
        ("topk(Inf, m)", "execution", "overflows"),
        ("sum_over_time(m[30d:1ms])", "execution", "too many samples"),
        ('label_join(m, "-", "", "a")', "execution", "label name"),
    ],
)
def test_refusals(query: str, kind: str, text: str) -> None:
    """What cannot be answered says whose fault it is, in Prometheus's words where it has them."""
    with pytest.raises(QueryError) as refused:
        engine_with(RAMP).instant(query, T0 + 50)
    assert refused.value.kind == kind
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("start", "end", "step", "text"),
    [
        (0, 10, 0, "step"),
        (0, 10, -1, "step"),
        (0, 10, math.nan, "step"),
        (10, 0, 1, "before start"),
        (0, 100_000, 1, "11,000 points"),
        (math.inf, 10, 1, "not a time"),
    ],
)
def test_range_limits(start: float, end: float, step: float, text: str) -> None:
    """A range query is bounded and its arguments are checked."""
    with pytest.raises(QueryError, match=text):
        engine_with(RAMP).range("m", start, end, step)


def test_operators_in_strings_are_not_operators() -> None:
    """A long regular expression or a comment does not count against the limit."""
    names = "|".join(f"podinfo-{n}-(a+b)" for n in range(600))
    assert only(engine_with(RAMP, pod="podinfo-3-aab"), f'm{{pod=~"{names}"}} # {"-" * 900}', 5) == 50.0


def test_a_range_query_is_an_instant_query_at_each_step() -> None:
    """Each point of the matrix is what an instant query says then."""
    engine = engine_with([(0, 0.0), (3, 9.0), (7, 2.0), (12, 8.0), (20, 30.0)])
    matrix = engine.range("rate(m[10s])", T0, T0 + 30, 3)
    assert isinstance(matrix, Matrix)
    points = dict(zip(matrix.series[0].times, matrix.series[0].values, strict=True))
    for after in range(0, 31, 3):
        assert points.get((T0 + after) * 1000) == only(engine, "rate(m[10s])", after)


def test_reading_is_bounded() -> None:
    """A query that would read more samples than allowed is refused, a smaller one on the same store is not."""
    store = engine_with(RAMP).store
    small = Engine(store, max_samples=50)
    assert only(small, "count_over_time(m[20s])", 50) == 20.0
    with pytest.raises(QueryError, match="too many samples"):
        small.instant("count_over_time(m[80s])", T0 + 90)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_answered_or_refused(text: str) -> None:
    """Arbitrary text never raises anything but QueryError."""
    _try(text)


FRAGMENTS = st.sampled_from(
    """
    m m{a="b"} m{a=~".*"} m[1m] m[30s:5s] 1 0 -1 NaN Inf "x" $1 ( ) , + - * / % ^ atan2 == != > bool on(a) ignoring(a)
    group_left() group_right(b) and or unless by(a) without(a) offset 5s @ 5 start() end() sum( avg( topk(1,
    quantile(0.5, count_values( rate( increase( irate( delta( deriv( predict_linear( histogram_quantile(0.9,
    label_replace( label_join( absent( scalar( vector( time() clamp( round( sort( timestamp( year( sum_over_time(
    quantile_over_time( 1e308 1e-308
    """.split()  # noqa: SIM905
)


@given(st.lists(FRAGMENTS, max_size=9))
@settings(max_examples=700, deadline=None)
def test_any_near_expression_is_answered_or_refused(fragments: list[str]) -> None:
    """Nor does text that is almost, or just, PromQL."""
    text = " ".join(fragments)
    _try(text)
    _try(text + ")" * (text.count("(") - text.count(")")))


FUZZED = engine_with([(0, 1.0), (5, math.nan), (10, math.inf), (15, -2.0)], a="b")


def _try(text: str) -> None:
    try:
        FUZZED.instant(text, T0 + 20)
        FUZZED.range(text, T0, T0 + 20, 10)
    except QueryError as error:
        assert str(error)


COUNTER = st.lists(st.tuples(st.integers(1, 40_000), st.floats(0, 1e12)), min_size=1, max_size=30)


@given(COUNTER, st.integers(1, 120), st.integers(0, 200))
@settings(max_examples=200, deadline=None)
def test_a_rate_is_never_negative(steps: list[tuple[int, float]], window: int, after: int) -> None:
    """Whatever a counter does, rate, irate and increase are zero or more."""
    at = 0
    samples: list[tuple[float, float]] = []
    for gap, level in steps:
        at += gap
        samples.append((at / 1000, level))
    engine = engine_with(samples)
    for function in ("rate", "irate", "increase", "resets"):
        value = only(engine, f"{function}(m[{window}s])", after)
        assert value is None or value >= 0


BUCKETS = st.lists(st.integers(0, 1000), min_size=2, max_size=8)


@given(BUCKETS, st.floats(0, 1), st.floats(0, 1))
def test_histogram_quantiles_are_ordered_and_inside(counts: list[int], p: float, q: float) -> None:
    """A higher quantile is never lower, and both lie within the finite bounds."""
    store, total = Store(), 0
    for index, count in enumerate(counts):
        total += count
        bound = "+Inf" if index == len(counts) - 1 else str(2**index)
        store.append(labels_of([("__name__", "b"), ("le", bound)]), T0 * 1000, float(total))
    low, high = (only(Engine(store), f"histogram_quantile({x!r}, b)", 1) for x in sorted((p, q)))
    assert low is not None
    assert high is not None
    if total and not (math.isnan(low) or math.isnan(high)):
        assert 0 <= low <= high * (1 + 1e-9) <= 2 ** (len(counts) - 2) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (0.000001, "0.000001"),
        (1e-7, "1e-07"),
        (1 / 3, "0.3333333333333333"),
        (12345678901234567.0, "12345678901234568"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(value: float, text: str) -> None:
    """Shortest digits, no exponent between a millionth and 1e21."""
    assert show_number(value) == text


def test_without_the_wheel_there_is_one_line_to_read() -> None:
    """A missing promql-parser is named, with the command that installs it; importing the package still works."""
    code = (
        "import sys; sys.modules['promql_parser'] = None\n"
        "from pyflagger_sandbox.metrics import Engine, Store\n"
        "from pyflagger_sandbox.trouble import MissingExtra\n"
        "try: Engine(Store())\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "the embedded metrics store needs promql-parser: pip install 'pyflagger[sandbox]'\n"
    assert not done.stderr
