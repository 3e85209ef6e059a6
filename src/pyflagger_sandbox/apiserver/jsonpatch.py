"""JSON patches (RFC 6902) on plain values.

Pure. Returns a new value that shares its unchanged parts with the old one, and never changes the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyflagger.admission.errors import ApiError, bad_request

MAX_OPERATIONS = 10_000


def apply_json_patch(document: Any, operations: Any) -> Any:
    """`document` after all operations. Raises ApiError: 400 for an invalid patch, 422 for one that does not apply."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise ApiError(413, "RequestEntityTooLarge", f"the JSON patch has more than {MAX_OPERATIONS} operations")
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    name, path = operation.get("op"), _pointer(operation.get("path"))
    match name:
        case "add":
            return _add(document, path, _value(operation))
        case "remove":
            return _remove(document, path)
        case "replace":
            _get(document, path)
            return _replace(document, path, _value(operation))
        case "move":
            source = _pointer(operation.get("from"))
            if path[: len(source)] == source and path != source:
                raise _misfit("cannot move a value into itself")
            return _add(_remove(document, source), path, _get(document, source))
        case "copy":
            return _add(document, path, _get(document, _pointer(operation.get("from"))))
        case "test":
            if not _same(_get(document, path), operation.get("value")):
                raise _misfit(f"testing value {operation.get('path')} failed: test failed")
            return document
    raise bad_request(f"error decoding patch: unexpected kind: {name}")


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise bad_request(f"error decoding patch: {text!r} is not a JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise bad_request(f"error decoding patch: {operation.get('op')} operation without a value")
    return operation["value"]


def _index(items: list[Any], part: str, limit: int) -> int:
    if not part.isdigit() or (part != "0" and part.startswith("0")) or int(part) >= limit:
        raise _misfit(f"index {part} is out of bounds of a list of {len(items)}")
    return int(part)


def _get(document: Any, path: list[str]) -> Any:
    for part in path:
        document = _child(document, part)
    return document


def _child(document: Any, part: str) -> Any:
    if isinstance(document, list):
        return document[_index(document, part, len(document))]
    if isinstance(document, dict) and part in document:
        return document[part]
    raise _misfit(f"path does not exist: missing {part!r}")


def _edit(document: Any, path: list[str], edit: Callable[[Any, str], Any]) -> Any:
    """Copy the containers along a path, and call `edit` to change the last one."""
    if len(path) == 1:
        if not isinstance(document, dict | list):
            raise _misfit(f"path does not exist: {path[0]!r} of a plain value")
        return edit(document, path[0])
    child = _edit(_child(document, path[0]), path[1:], edit)
    if isinstance(document, list):
        index = int(path[0])
        return [*document[:index], child, *document[index + 1 :]]
    return {**document, path[0]: child}


def _add(document: Any, path: list[str], value: Any) -> Any:
    def edit(container: Any, part: str) -> Any:
        if isinstance(container, dict):
            return {**container, part: value}
        index = len(container) if part == "-" else _index(container, part, len(container) + 1)
        return [*container[:index], value, *container[index:]]

    return _edit(document, path, edit) if path else value


def _replace(document: Any, path: list[str], value: Any) -> Any:
    def edit(container: Any, part: str) -> Any:
        if isinstance(container, dict):
            return {**container, part: value}
        return [*container[: int(part)], value, *container[int(part) + 1 :]]

    return _edit(document, path, edit) if path else value


def _remove(document: Any, path: list[str]) -> Any:
    def edit(container: Any, part: str) -> Any:
        _child(container, part)
        if isinstance(container, dict):
            return {key: value for key, value in container.items() if key != part}
        return [*container[: int(part)], *container[int(part) + 1 :]]

    if not path:
        raise _misfit("the whole document cannot be removed")
    return _edit(document, path, edit)


def _same(left: Any, right: Any) -> bool:
    """JSON equality, where `true` is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _misfit(why: str) -> ApiError:
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}", {})
