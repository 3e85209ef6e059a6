"""The answer of Prometheus's query API, which compatible systems give too, as one number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pyflagger.metrics.base import TEXT_MAX, MultipleValues, NoValues, ProviderError, json_object, nothing, only
from pyflagger.wire import HttpAnswer

_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Inf|NaN)", re.ASCII)
WHAT = "what"
"""The label that tells the series of a range query apart."""

_AGGREGATE = "Aggregate the query to one number, for example with sum()."


def number(answer: HttpAnswer, todo: str) -> float:
    """The number of an instant query: a scalar, one series, or several series with the same value.

    `todo` is for answers of another API. Raises NoValues, MultipleValues or ProviderError.
    """
    body = json_object(answer, todo)
    try:
        return only(_values(_data(body, todo), todo))
    except NoValues:
        raise nothing(body.get("warnings")) from None


def ranges(answer: HttpAnswer, todo: str) -> dict[str, dict[float, float]]:
    """The numbers of a range query, by the label `WHAT` and by time (seconds since the epoch). Raises ProviderError."""
    data = _data(json_object(answer, todo), todo)
    result = data.get("result")
    if data.get("resultType") != "matrix" or not isinstance(result, list):
        raise ProviderError("answer has no ranges of samples", todo)
    return {name: samples for series in result for name, samples in [_range(series, todo)]}


def _range(series: Any, todo: str) -> tuple[str, dict[float, float]]:
    labels, values = (series.get("metric"), series.get("values")) if isinstance(series, dict) else (None, None)
    if not isinstance(labels, dict) or not isinstance(values, list):
        raise ProviderError("a result of the answer is not a range of samples", todo)
    return str(labels.get(WHAT, "")), {_time(sample, todo): _number(sample, todo) for sample in values}


def _time(sample: Any, todo: str) -> float:
    time = sample[0] if isinstance(sample, list) and sample else None
    if isinstance(time, bool) or not isinstance(time, int | float):
        raise ProviderError("a sample of the answer has no time", todo)
    return float(time)


def _data(body: dict[str, Any], todo: str) -> dict[str, Any]:
    """The `data` of an answer. Raises ProviderError."""
    if body.get("status") == "error":
        text = f"{body.get('errorType')}: {body.get('error')}"[:TEXT_MAX]
        raise ProviderError(f"error response: {text}", "The metric system rejects the query. Try it there.")
    data = body.get("data")
    if not isinstance(data, dict):
        raise ProviderError("answer has no data", todo)
    return data


def _values(data: dict[str, Any], todo: str) -> Iterator[float]:
    """The number of every series. Raises MultipleValues or ProviderError."""
    kind, result = data.get("resultType"), data.get("result")
    if not isinstance(result, list):
        raise ProviderError("answer has no list of results", todo)
    if kind == "string":
        raise ProviderError("the query returns a string, not a number", _AGGREGATE)
    if kind == "scalar":
        yield _number(result, todo)
        return
    for series in result:
        if not isinstance(series, dict):
            raise ProviderError("a result of the answer is not an object", todo)
        yield _sample(series, todo)


def _sample(series: dict[str, Any], todo: str) -> float:
    if "values" in series or "histograms" in series:
        raise MultipleValues(
            "the query returns a range of samples", "Remove the range, or wrap it: rate(), avg_over_time()."
        )
    if "histogram" in series:
        raise ProviderError(
            "the query returns a native histogram, not a number",
            "Wrap it: histogram_quantile(), histogram_count() or histogram_avg().",
        )
    return _number(series.get("value"), todo)


def _number(sample: Any, todo: str) -> float:
    text = sample[1] if isinstance(sample, list) and len(sample) == 2 else None
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ProviderError(f"a sample of the answer is not a number: {str(text)[:100]}", todo)
    return float(text)
