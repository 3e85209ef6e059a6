"""Whose an object is: the controller's group, kind and name say it, and nothing less."""

from __future__ import annotations

from typing import Any

import pytest

from api.manifests import GOOD
from pyflagger.api.names import is_owned, owner_reference
from pyflagger.api.parse import parse_canary

CANARY = parse_canary(GOOD)
OURS = owner_reference(CANARY)


@pytest.mark.parametrize(
    ("owner", "owned"),
    [
        (OURS, True),
        (OURS | {"apiVersion": "flagger.app/v1alpha3"}, True),
        (OURS | {"uid": "of the one before"}, True),
        (OURS | {"apiVersion": "releases.example/v1"}, False),
        (OURS | {"apiVersion": "flagger.app.example/v1beta1"}, False),
        (OURS | {"kind": "Deployment"}, False),
        (OURS | {"name": "another"}, False),
        (OURS | {"controller": False}, False),
        ({**OURS, "apiVersion": ""}, False),
        (None, False),
    ],
)
def test_whose_it_is(owner: dict[str, Any] | None, owned: bool) -> None:
    """A Canary of somebody else's group is somebody else, whatever it is called."""
    meta = {"name": "podinfo-primary", "ownerReferences": [owner]} if owner else {"name": "podinfo-primary"}
    assert is_owned(CANARY, {"metadata": meta}) is owned
