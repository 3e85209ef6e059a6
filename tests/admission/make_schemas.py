"""Makes the types of the built-in kinds and their descriptions from the schemas that kubernetes-validate carries.

Run by `make schemas`, with the release of Kubernetes as its argument. That package is 111 MB on disk, so it is needed
here only. It writes a line a type to `pyflagger/admission/types.json`,

    "io.k8s.api.core.v1.Pod": {"fields": {"spec": "io.k8s.api.core.v1.PodSpec"}, "required": [], "marks": {}}

where the type of a field is a scalar of `schema.Kind`, `[]` or `{}` before the type of its items or values, or the name
of a type. `marks` are the `x-kubernetes-…` extensions of fields, under `""` those of the type itself. What has no
entries is left out. Descriptions go to `pyflagger_sandbox/apiserver/descriptions.json`, by type and field.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.builtin import builtin

SOURCE = Path(__file__).resolve().parents[2] / "src"
TYPES = SOURCE / "pyflagger/admission/types.json"
DESCRIPTIONS = SOURCE / "pyflagger_sandbox/apiserver/descriptions.json"
MARKS = ("patch-strategy", "patch-merge-key", "list-type", "list-map-keys", "map-type")
SCALARS: Mapping[str, str] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
}

Node = Mapping[str, Any]


def definitions(release: str) -> Mapping[str, Node]:
    """Every type of a release, by name."""
    found = find_spec("kubernetes_validate")
    assert found is not None and found.origin is not None, "pip install kubernetes-validate"
    folder = Path(found.origin).parent / "kubernetes-json-schema" / f"v{release}-local"
    read: Mapping[str, Node] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return read


def type_of(node: Node, known: Mapping[str, Node]) -> str:
    """The type of a field as text. A type without fields is a scalar or holds anything."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name in SCALARS:
            return SCALARS[name]
        return name if known[name].get("properties") else type_of(known[name], known)
    said = node.get("type", "object")
    kind = next(each for each in said if each != "null") if isinstance(said, list) else said
    if kind == "array":
        return f"[]{type_of(node['items'], known)}"
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        return "{}" + type_of(node["additionalProperties"], known)
    return str(node.get("format", "int64")) if kind == "integer" else str({"number": "double"}.get(kind, kind))


def marks(node: Node) -> dict[str, Any]:
    """The extensions that say how a field or a type is patched."""
    return {name: node[f"x-kubernetes-{name}"] for name in MARKS if f"x-kubernetes-{name}" in node}


def entry(node: Node, known: Mapping[str, Node]) -> dict[str, Any]:
    """A type as a line of the file."""
    fields = {name: type_of(field, known) for name, field in node["properties"].items()}
    marked = {name: marks(field) for name, field in [("", node), *node["properties"].items()]}
    said = {"fields": fields, "required": node.get("required"), "marks": {k: v for k, v in marked.items() if v}}
    return {name: value for name, value in said.items() if value}


def needed(roots: Iterable[str], known: Mapping[str, Node]) -> Iterator[str]:
    """The names of some types and of all that their fields lead to, each once."""
    waiting, seen = list(roots), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            inner = (text.lstrip("[]{}") for text in entry(known[name], known)["fields"].values())
            waiting += [text for text in inner if "." in text]


def described(node: Node) -> dict[str, str]:
    """The descriptions of a type (under an empty name) and of its fields."""
    said = {"": node.get("description", "")} | {k: v.get("description", "") for k, v in node["properties"].items()}
    return {name: text for name, text in said.items() if text}


def lines(table: Mapping[str, Any]) -> str:
    """A table as JSON, a line an entry."""
    each = (f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in sorted(table.items()))
    return "{\n" + ",\n".join(each) + "\n}\n"


def main(release: str) -> None:
    """Write both files."""
    known = definitions(release)
    roots = {resource.model for resource in builtin()} | {schema.OBJECT_META, schema.SCALE}
    names = sorted(needed(roots, known))
    TYPES.write_text(lines({"": release} | {name: entry(known[name], known) for name in names}))
    DESCRIPTIONS.write_text(lines({name: described(known[name]) for name in names}))


if __name__ == "__main__":
    main(sys.argv[1])
