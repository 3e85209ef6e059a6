"""JSON patches: each operation, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger_sandbox.apiserver.jsonpatch import MAX_OPERATIONS, apply_json_patch

DOCUMENT = {"a": {"b/c": 1}, "list": [1, 2, 3], "yes": True}


@pytest.mark.parametrize(
    "operation, path, value",
    [
        ({"op": "add", "path": "/a/x", "value": 2}, ("a",), {"b/c": 1, "x": 2}),
        ({"op": "add", "path": "/list/1", "value": 9}, ("list",), [1, 9, 2, 3]),
        ({"op": "add", "path": "/list/-", "value": 9}, ("list",), [1, 2, 3, 9]),
        ({"op": "remove", "path": "/a/b~1c"}, ("a",), {}),
        ({"op": "remove", "path": "/list/0"}, ("list",), [2, 3]),
        ({"op": "replace", "path": "/list/2", "value": 9}, ("list",), [1, 2, 9]),
        ({"op": "replace", "path": "/a/b~1c", "value": None}, ("a",), {"b/c": None}),
        ({"op": "replace", "path": "", "value": {"a": 1}}, (), {"a": 1}),
        ({"op": "move", "from": "/list/0", "path": "/first"}, ("first",), 1),
        ({"op": "copy", "from": "/a", "path": "/list/0"}, ("list",), [{"b/c": 1}, 1, 2, 3]),
        ({"op": "test", "path": "/list", "value": [1, 2, 3]}, (), DOCUMENT),
    ],
)
def test_an_operation(operation: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Gives a new document and leaves the old one alone."""
    before = repr(DOCUMENT)
    found: Any = apply_json_patch(DOCUMENT, [operation])
    for key in path:
        found = found[key]
    assert found == value
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    "operations, code, said",
    [
        ({}, 400, "a list of operations"),
        ([1], 400, "a list of operations"),
        ([{"op": "jump", "path": "/a"}], 400, "unexpected kind: jump"),
        ([{"op": "add", "path": "a", "value": 1}], 400, "not a JSON pointer"),
        ([{"op": "add", "path": "/a"}], 400, "without a value"),
        ([{"op": "test", "path": "/yes", "value": 1}], 422, "test failed"),
        ([{"op": "test", "path": "/a", "value": {"b/c": 2}}], 422, "test failed"),
        ([{"op": "remove", "path": "/none"}], 422, "missing 'none'"),
        ([{"op": "remove", "path": ""}], 422, "whole document"),
        ([{"op": "add", "path": "/list/01", "value": 1}], 422, "out of bounds"),
        ([{"op": "replace", "path": "/list/3", "value": 1}], 422, "out of bounds"),
        ([{"op": "add", "path": "/yes/x", "value": 1}], 422, "of a plain value"),
        ([{"op": "move", "from": "/a", "path": "/a/x"}], 422, "into itself"),
        ([{"op": "test"}] * (MAX_OPERATIONS + 1), 413, "more than"),
    ],
)
def test_what_does_not_fit(operations: Any, code: int, said: str) -> None:
    """Says whether it is no patch or one for another document."""
    with pytest.raises(ApiError) as caught:
        apply_json_patch(DOCUMENT, operations)
    assert caught.value.code == code
    assert said in caught.value.message
