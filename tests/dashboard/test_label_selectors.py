"""Label selectors: the syntax of Kubernetes, compared with the API server of the sandbox."""

from __future__ import annotations

import pytest

from pyflagger.dashboard.problems import Refused
from pyflagger.dashboard.selectors import selector
from pyflagger_sandbox.apiserver import selectors as theirs

LABELS = ({}, {"team": "a"}, {"team": "b", "tier": "web"}, {"app.kubernetes.io/name": "cart", "team": ""},
          {"team": "a", "tier": "x"})  # fmt: skip
GOOD = (
    "", "team=a", "team==a", "team!=a", "team=", "team!=", "team in (a, b)", "team in (a)", "team notin (a,b)", "team",
    "!team", "! team", "team=b,tier=web", "team,!tier", "app.kubernetes.io/name=cart", "team in (a,),tier",
    "tier notin (web),team!=a", " team = a , tier ",
)  # fmt: skip
BAD = (
    "=", "team=a b", "team in a", "team in (a", "team in (a))", ",", "team=a,", ",team=a", "team>1", "-team", "team=-a",
    "team in (a b)", "(team)", "team=a;x", "team in (-a)", "!", "!team=a", "<b>",
)  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_as_the_api_server_selects(text: str) -> None:
    """The same labels match."""
    ours, wanted = selector(text), theirs.labels(text)
    found = [ours(labels) for labels in LABELS]
    assert found == [bool(not text or wanted({"metadata": {"labels": labels}})) for labels in LABELS]
    assert not text or set(found) == {True, False}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_selector(text: str) -> None:
    """400, with the part that is wrong."""
    with pytest.raises(Refused, match="is no label selector") as error:
        selector(text)
    assert error.value.status == 400
