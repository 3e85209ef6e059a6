"""Fields that flagger wrote and that an API server did not keep."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.operator.evidence.field_managers import missing


@pytest.mark.parametrize(
    ("live", "wanted", "paths"),
    [
        ({"spec": {"tls": {"mode": "A"}}}, {"spec": {"tls": {"mode": "A", "mood": 1}}}, ["spec.tls.mood"]),
        ({"spec": {}}, {"spec": {"tls": {"mood": 1}}}, ["spec.tls"]),
        ({"spec": {"http": [{"a": 1}]}}, {"spec": {"http": [{"a": 1, "b": 2}]}}, ["spec.http[0].b"]),
        ({"spec": {"http": [{"a": 1}]}}, {"spec": {"http": [{"a": 1}, {"b": 2}]}}, []),
        ({"spec": {"a": 1}}, {"spec": {"a": 2, "b": None}}, []),
        ({"metadata": {}}, {"metadata": {"labels": {"a": "b"}}}, []),
        (None, {"spec": {"a": 1}}, []),
    ],
)
def test_missing_fields(live: Any, wanted: Any, paths: list[str]) -> None:
    """Only what is not there at all: another value or another length is drift."""
    assert list(missing(live, wanted)) == paths
