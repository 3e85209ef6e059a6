"""The evaluator against answers that a real Prometheus gave to the same queries on the same samples.

PROMQL_VECTORS may name another recording than the committed one: `make e2e` makes one on the spot.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pyflagger.clock import SystemClock
from pyflagger_sandbox.metrics import Api, Engine, Store, labels_of

RECORDED = json.loads(Path(os.environ.get("PROMQL_VECTORS") or Path(__file__).with_name("vectors.json")).read_text())
ORDERED = ("sort", "topk", "bottomk")
NEWER = {"temperature atan2 3": "Prometheus 3 drops the name here, 2.42 (which made the recording) did not"}


def recorded_store() -> Store:
    """The recorded samples, in a store."""
    store = Store(retention=3600)
    for one in RECORDED["series"]:
        labels = labels_of(one["labels"].items())
        for k, value in enumerate(one["values"]):
            if value is not None:
                store.append(labels, (RECORDED["base"] + RECORDED["step"] * k) * 1000 + one["shift"], float(value))
    return store


API = Api(Engine(recorded_store()), SystemClock())


def ask(case: dict[str, Any]) -> dict[str, Any]:
    """Our answer to a recorded question."""
    if "at" in case:
        target = "/api/v1/query?" + urlencode({"query": case["query"], "time": case["at"]})
    else:
        target = "/api/v1/query_range?" + urlencode({key: case[key] for key in ("query", "start", "end", "step")})
    document: dict[str, Any] = json.loads(API.answer("GET", target).body)
    return document


def same_number(mine: str, theirs: str) -> bool:
    """Equal but for rounding in the last digits."""
    a, b = float(mine), float(theirs)
    return (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def points(element: Any) -> list[list[Any]]:
    """The (time, number) pairs of one element of a result."""
    if isinstance(element, dict):
        return element["values"] if "values" in element else [element["value"]]
    return [element]


def by_labels(result: list[Any]) -> list[Any]:
    """Elements in an order of their own."""
    return sorted(result, key=lambda element: sorted(element["metric"].items()))


@pytest.mark.parametrize(
    "case", [case for case in RECORDED["cases"] if case["query"] not in NEWER], ids=lambda case: case["query"][:80]
)
def test_answers_like_prometheus(case: dict[str, Any]) -> None:
    """Result type, labels, times and numbers are the recorded ones; an error is an error of the same kind."""
    answer = ask(case)
    if "error" in case:
        assert answer["status"] == "error", answer
        assert answer["errorType"] == case["error"], answer
        return
    assert answer["status"] == "success", answer
    assert answer["data"]["resultType"] == case["type"]
    mine, theirs = answer["data"]["result"], case["result"]
    if case["type"] == "string":
        assert mine == theirs
        return
    if case["type"] == "scalar":
        mine, theirs = [mine], [theirs]
    else:
        if not case["query"].startswith(ORDERED) or " by " in case["query"]:
            mine, theirs = by_labels(mine), by_labels(theirs)
        assert [e["metric"] for e in mine] == [e["metric"] for e in theirs]
    for got, want in zip(mine, theirs, strict=True):
        assert [t for t, _ in points(got)] == [t for t, _ in points(want)]
        wrong = [(g, w) for (_, g), (_, w) in zip(points(got), points(want), strict=True) if not same_number(g, w)]
        assert not wrong


def test_recorded_errors_are_few_and_on_purpose() -> None:
    """The recording is of answers, not of a broken question: most cases have data."""
    failed = [case["query"] for case in RECORDED["cases"] if "error" in case]
    empty = [case["query"] for case in RECORDED["cases"] if "result" in case and not case["result"]]
    assert len(RECORDED["cases"]) >= 150
    assert len(failed) + len(empty) < len(RECORDED["cases"]) / 5


def test_every_built_in_check_has_a_number() -> None:
    """Each provider's success rate and duration is a finite number on the recorded series."""
    checks = [case for case in RECORDED["cases"] if case.get("note")]
    assert len({case["note"].split(":")[0] for case in checks}) == 13
    for case in checks:
        assert math.isfinite(float(ask(case)["data"]["result"][0]["value"][1])), case["query"]
