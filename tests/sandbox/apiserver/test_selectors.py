"""Selectors by labels and by fields, as texts of queries."""

from __future__ import annotations

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger_sandbox.apiserver import selectors

POD = {
    "metadata": {"name": "p", "labels": {"app": "a", "n": "5"}},
    "spec": {"on": True},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    "text, chosen",
    [
        ("", True),
        ("app=a", True),
        ("app==a,n=5", True),
        ("app!=a", False),
        ("other!=a", True),
        ("app in (a, b)", True),
        ("app notin (a, b),n", False),
        ("!other", True),
        ("app", True),
        ("other", False),
        ("n>4", True),
        ("n<5", False),
        ("app>1", False),
    ],
)
def test_labels(text: str, chosen: bool) -> None:
    """All requirements have to hold."""
    assert selectors.labels(text)(POD) is chosen


@pytest.mark.parametrize(
    "text, chosen",
    [
        ("metadata.name=p", True),
        ("metadata.name!=p", False),
        ("status.phase==Running,spec.on=true", True),
        ("spec.node=", True),
        ("spec.node=n", False),
    ],
)
def test_fields(text: str, chosen: bool) -> None:
    """What is not there is an empty text."""
    assert selectors.fields(text, ("status.phase", "spec.on", "spec.node"), "Pod")(POD) is chosen


@pytest.mark.parametrize("text", ["a b", "=x", "a in b"])
def test_what_is_no_label_selector(text: str) -> None:
    """Is a bad request."""
    with pytest.raises(ApiError, match="unable to parse requirement"):
        selectors.labels(text)


@pytest.mark.parametrize("text, said", [("spec.other=1", "field label not supported"), ("name", "can't understand")])
def test_what_is_no_field_selector(text: str, said: str) -> None:
    """So are fields that a kind cannot be selected by."""
    with pytest.raises(ApiError, match=said):
        selectors.fields(text, (), "Pod")
