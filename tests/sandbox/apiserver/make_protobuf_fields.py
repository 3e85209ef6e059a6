"""Makes `protobuf_fields.json`: which field of which type has which number in the API's protobuf form.

Run by hand when Kubernetes has moved on, from the sources of its API modules:

    go mod download k8s.io/api@v0.34.1 k8s.io/apimachinery@v0.34.1
    python make_protobuf_fields.py "$(go env GOMODCACHE)/k8s.io" v0.34.1 > FILE

A line a type, `{number: [JSON name, type, marks]}`. Marks: `r` a list, `m` a map, `i` its fields belong to the type
around it, `z` a zero means that it was not set.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

GROUPS = (
    *("apps/v1", "authentication/v1", "authorization/v1", "autoscaling/v1", "autoscaling/v2", "batch/v1"),
    *("coordination/v1", "core/v1", "discovery/v1", "events/v1", "networking/v1", "policy/v1", "rbac/v1"),
    *("scheduling/v1", "storage/v1"),
)
MACHINERY = ("api/resource", "apis/meta/v1", "runtime", "util/intstr")
MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(
    r"^\s+(optional|repeated|map<string, (?P<value>[\w.]+)>) ?(?P<type>[\w.]+)? (?P<name>\w+) = (?P<number>\d+);",
    re.MULTILINE,
)
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.MULTILINE | re.DOTALL)
TAGGED = re.compile(
    r'^\s+(?:\w+ +)?(?P<go>[\w.*\[\]]+) +`json:"(?P<json>[^"]*)" protobuf:"\w+,(?P<number>\d+)', re.MULTILINE
)


def structs(folder: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """Go type → field number → (Go type of the field, JSON tag)."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for file in sorted(folder.glob("*.go")):
        for name, body in STRUCT.findall(file.read_text()):
            found[name] = {field["number"]: (field["go"], field["json"]) for field in TAGGED.finditer(body)}
    return found


def messages(folder: Path, package: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """The types of one package."""
    types = structs(folder)
    for name, body in MESSAGE.findall((folder / "generated.proto").read_text()):
        tagged = types.get(name, {})
        fields = {}
        for field in FIELD.finditer(body):
            go, tag = tagged.get(field["number"], ("", field["name"]))
            kind = field["value"] or field["type"]
            kind = kind.removeprefix(".")
            if kind[0].isupper():
                kind = f"{package}.{kind}"
            marks = "r" if field[1] == "repeated" else "m" if field["value"] else ""
            marks += "i" if tag == ",inline" else "" if go.startswith("*") or marks else "z"
            fields[field["number"]] = [tag.partition(",")[0] or field["name"], kind, marks]
        yield f"{package}.{name}", fields


def main(root: Path, version: str) -> None:
    """Write the table to standard output."""
    table = {}
    for group in GROUPS:
        table |= messages(root / f"api@{version}" / group, f"k8s.io.api.{group.replace('/', '.')}")
    for part in MACHINERY:
        table |= messages(
            root / f"apimachinery@{version}/pkg" / part, f"k8s.io.apimachinery.pkg.{part.replace('/', '.')}"
        )
    lines = (
        f" {json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}" for name, fields in sorted(table.items())
    )
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
