"""Decodes protobuf bodies, which `kubectl create` and typed Go clients send for built-in kinds.

There is no encoder, because every client that sends protobuf accepts JSON. `protobuf_fields.json` has the field
numbers, from the API's own definitions. `writing.parse_body` calls it. The result equals the object from a JSON body.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from pyflagger.api import durations
from pyflagger.objects import Obj

MAGIC = b"k8s\x00"
_API, _MACHINERY = "k8s.io.api", "k8s.io.apimachinery.pkg"
_META = f"{_MACHINERY}.apis.meta.v1"
_DEPTH_MAX = 64

Wire: TypeAlias = int | bytes | float
Fields: TypeAlias = Mapping[str, tuple[str, str, str]]


class Undecodable(ValueError):
    """The bytes are malformed, or their type is unknown. The text says which."""


def decode(body: bytes) -> Obj:
    """The object in a body that begins with MAGIC. Raises Undecodable."""
    envelope = _message(body[len(MAGIC) :], f"{_MACHINERY}.runtime.Unknown", 0)
    version, kind = envelope.get("apiVersion", ""), envelope.get("kind", "")
    raw = next((value for number, value in _wire(body[len(MAGIC) :]) if number == 2), b"")
    if not isinstance(raw, bytes):
        raise Undecodable("the body has no object")
    return {"apiVersion": version, "kind": kind} | _message(raw, _type_of(version, kind), 0)


def _type_of(version: str, kind: str) -> str:
    """The protobuf type of a kind. All groups share the types of request options."""
    group, _, number = version.rpartition("/")
    common = f"{_META}.{kind}"
    name = common if common in _types() else f"{_API}.{group.partition('.')[0] or 'core'}.{number}.{kind}"
    if name not in _types():
        raise Undecodable(f"the server cannot decode {version} {kind} from protobuf: send JSON")
    return name


@cache
def _types() -> Mapping[str, Fields]:
    text = (files(__package__) / "protobuf_fields.json").read_text()
    return {
        name: {number: tuple(field) for number, field in fields.items()} for name, fields in json.loads(text).items()
    }


def _message(data: bytes, name: str, depth: int) -> Obj:
    """One message as an object. Leaves out unknown field numbers, which belong to a newer API."""
    if depth > _DEPTH_MAX:
        raise Undecodable("nested too deeply")
    fields, found = _types()[name], dict[str, Any]()
    for number, wire in _wire(data):
        if str(number) not in fields:
            continue
        field, kind, marks = fields[str(number)]
        if field == "-":
            continue
        if "m" in marks:
            key, value = _entry(wire, kind, depth)
            found.setdefault(field, {})[key] = value
            continue
        value = _value(wire, kind, depth)
        if "r" in marks:
            found.setdefault(field, []).append(value)
        elif "i" in marks:
            found |= value
        elif value is not None and not ("z" in marks and value in ("", 0, {})):
            found[field] = value
    return found


def _value(wire: Wire, kind: str, depth: int) -> Any:
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(wire)
    if kind in _types():
        value = _message(_bytes(wire), kind, depth + 1)
        return value.get("items", []) if kind.endswith((".ExtraValue", ".Verbs")) else value
    raise Undecodable(f"the server cannot decode a field of type {kind} from protobuf: send JSON")


def _entry(wire: Wire, kind: str, depth: int) -> tuple[str, Any]:
    """One entry of a map. The message may leave out an empty key or value."""
    parts = dict(_wire(_bytes(wire)))
    return _text(parts.get(1, b"")), _value(parts.get(2, b""), kind, depth)


def _wire(data: bytes) -> Iterator[tuple[int, Wire]]:
    """The (number, value) of each field, in order."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value: Wire
                value, at = _varint(data, at)
            case 1:
                value, at = _cut(data, at, 8)
                value = float(struct.unpack("<d", value)[0])
            case 2:
                size, at = _varint(data, at)
                value, at = _cut(data, at, size)
            case 5:
                value, at = _cut(data, at, 4)
            case other:
                raise Undecodable(f"wire type {other} does not exist")
        yield tag >> 3, value


def _cut(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise Undecodable("the message ends inside a field")
    return data[at : at + size], at + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Undecodable("the message ends inside a number")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


# Types with a special format in JSON -----------------------------------------------------------------------


def _bytes(wire: Wire) -> bytes:
    if not isinstance(wire, bytes):
        raise Undecodable("found a number instead of a message")
    return wire


def _text(wire: Wire) -> str:
    try:
        return _bytes(wire).decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"a string is not UTF-8: {error}") from None


def _integer(wire: Wire) -> int:
    """Decode an integer. Negative numbers are 64 bits of two's complement. A missing number is empty."""
    if wire == b"":
        return 0
    if not isinstance(wire, int):
        raise Undecodable("found a string instead of a number")
    return wire - (1 << 64) if wire >= 1 << 63 else wire


def _numbers(wire: Wire) -> dict[int, Wire]:
    return dict(_wire(_bytes(wire)))


def _time(wire: Wire) -> str | None:
    """Decode seconds and nanoseconds. The zero time means no time."""
    parts = _numbers(wire)
    seconds, nanos = _integer(parts.get(1, 0)), _integer(parts.get(2, 0))
    if not parts or not (seconds or nanos):
        return None
    if not nanos:
        return durations.stamp(seconds)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanos // 1000:06d}Z"


def _int_or_string(wire: Wire) -> int | str:
    parts = _numbers(wire)
    return _text(parts.get(3, b"")) if parts.get(1) else _integer(parts.get(2, 0))


def _json(wire: Wire) -> Any:
    try:
        return json.loads(_bytes(_numbers(wire).get(1, b"")) or b"null")
    except ValueError as error:
        raise Undecodable(f"embedded JSON: {error}") from None


_SPECIAL: Mapping[str, Callable[[Wire], Any]] = {
    "string": _text,
    "int32": _integer,
    "int64": _integer,
    "bool": lambda wire: bool(_integer(wire)),
    "double": lambda wire: wire,
    "bytes": lambda wire: base64.b64encode(_bytes(wire)).decode(),
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _time,
    f"{_META}.FieldsV1": _json,
    f"{_META}.Duration": lambda wire: durations.show(_integer(_numbers(wire).get(1, 0)) / 1e9),
    f"{_MACHINERY}.runtime.RawExtension": _json,
    f"{_MACHINERY}.api.resource.Quantity": lambda wire: _text(_numbers(wire).get(1, b"")),
    f"{_MACHINERY}.util.intstr.IntOrString": _int_or_string,
}
