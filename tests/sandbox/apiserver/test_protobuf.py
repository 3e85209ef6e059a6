"""Bodies in the API's protobuf form become the objects that their JSON would be."""

from __future__ import annotations

import pytest

from pyflagger_sandbox.apiserver.protobuf import MAGIC, Undecodable, decode


def number(value: int) -> bytes:
    """A varint."""
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(at: int, value: int | str | bytes) -> bytes:
    """A field: a number, or anything else with its length."""
    if isinstance(value, int):
        return number(at << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(at << 3 | 2) + number(len(data)) + data


def body(version: str, kind: str, message: bytes) -> bytes:
    """A request's body."""
    return MAGIC + field(1, field(1, version) + field(2, kind)) + field(2, message)


def test_a_config_map() -> None:
    """Maps, metadata, and times without a value."""
    meta = field(1, "c") + field(3, "n") + field(8, b"") + field(11, field(1, "app") + field(2, "a"))
    data = field(2, field(1, "key") + field(2, "value")) + field(2, field(1, "empty"))
    assert decode(body("v1", "ConfigMap", field(1, meta) + data)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "n", "labels": {"app": "a"}},
        "data": {"key": "value", "empty": ""},
    }


def test_a_service() -> None:
    """Lists, numbers and ports that have a number or a name; fields of a newer API are left out."""
    by_number = field(3, 80) + field(4, field(1, 0) + field(2, 8080)) + field(99, "new")
    by_name = field(3, 81) + field(4, field(1, 1) + field(3, "http"))
    ports = decode(body("v1", "Service", field(2, field(1, by_number) + field(1, by_name))))["spec"]["ports"]
    assert ports == [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "http"}]


def test_numbers_below_zero() -> None:
    """Are 64 bits of two's complement; a zero of a pointer was said."""
    spec = field(1, 0)
    assert decode(body("apps/v1", "Deployment", field(2, spec)))["spec"]["replicas"] == 0
    spec = field(1, (1 << 64) - 3)
    assert decode(body("apps/v1", "Deployment", field(2, spec)))["spec"]["replicas"] == -3


def test_bytes_and_times() -> None:
    """Bytes are base64, times are RFC 3339."""
    secret = field(1, field(8, field(1, 1_767_225_600))) + field(2, field(1, "k") + field(2, b"\x00\xff"))
    found = decode(body("v1", "Secret", secret))
    assert found["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert found["data"] == {"k": "AP8="}


@pytest.mark.parametrize(
    "data, said",
    [
        (body("v1", "Nothing", b"\x0a"), "send JSON"),
        (body("v1", "ConfigMap", b"\x0a\x05ab"), "inside a field"),
        (body("v1", "ConfigMap", b"\x80"), "inside a number"),
        (body("v1", "ConfigMap", b"\x0b"), "wire type 3 does not exist"),
        (body("v1", "ConfigMap", field(1, 5)), "found a number instead of a message"),
        (body("v1", "ConfigMap", field(1, field(1, b"\xff"))), "not UTF-8"),
    ],
)
def test_what_cannot_be_read(data: bytes, said: str) -> None:
    """Says what is wrong with it."""
    with pytest.raises(Undecodable, match=said):
        decode(data)
