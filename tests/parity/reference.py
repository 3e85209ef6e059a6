"""The names in Flagger's source: flags, variables, Helm values, metrics, fields of kinds, requests of the load tester.

Only names are kept, in `reference.json`, so that `make docs` and the tests need no copy of that source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from parity import Names

HERE = Path(__file__).parent / "reference.json"
FLAG = re.compile(r'flag\.\w+Var\(&\w+, "([^"]+)"')
VARIABLE = re.compile(r'fromEnv\("([^"]+)"')
METRIC = re.compile(r'Subsystem: controller,\s+Name:\s+"([^"]+)"')
CASE = re.compile(r'case "([^"]+)":')
TASK = re.compile(r'^const TaskType\w+ = "([^"]+)"', re.MULTILINE)
PATH = re.compile(r'mux\.Handle(?:Func)?\("([^"]+)"')
VALUE = re.compile(r"\.Values\.([A-Za-z][A-Za-z0-9.]*)")
VERSION = re.compile(r'VERSION = "([^"]+)"')


def read(tree: Path) -> dict[str, Any]:
    """All names of a source tree of Flagger, by group. Raises OSError if it is none."""
    main, tester = tree / "cmd/flagger/main.go", tree / "cmd/loadtester/main.go"
    tasks = "\n".join(file.read_text() for file in sorted((tree / "pkg/loadtester").glob("*.go")))
    names = {
        "flags": FLAG.findall(main.read_text()),
        "variables": VARIABLE.findall(main.read_text()),
        "values": values(tree / "charts/flagger"),
        "metrics": [f"flagger_{name}" for name in METRIC.findall((tree / "pkg/metrics/recorder.go").read_text())],
        "fields": fields(tree / "charts/flagger/crds/crd.yaml"),
        "metric providers": CASE.findall((tree / "pkg/metrics/providers/factory.go").read_text()),
        "alert providers": CASE.findall((tree / "pkg/notifier/factory.go").read_text()),
        "load tester: flags": FLAG.findall(tester.read_text()),
        "load tester: values": values(tree / "charts/loadtester"),
        "load tester: task types": TASK.findall(tasks),
        "load tester: paths": PATH.findall((tree / "pkg/loadtester/server.go").read_text()),
    }
    version = VERSION.findall((tree / "pkg/version/version.go").read_text())[0]
    return {"version": version, "names": {group: sorted(set(found)) for group, found in names.items()}}


def values(chart: Path) -> Iterator[str]:
    """The values that a chart's file of defaults sets, and those that its templates read besides."""
    held = list(paths(yaml.safe_load((chart / "values.yaml").read_text())))
    yield from held
    for file in sorted((chart / "templates").iterdir()):
        for path in VALUE.findall(file.read_text()):
            path = path.rstrip(".")
            if not any(one == path or one.startswith(f"{path}.") or path.startswith(f"{one}.") for one in held):
                yield path


def paths(held: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The path of each value; an empty table is one."""
    for key, value in held.items():
        if isinstance(value, Mapping) and value and key not in FREE:
            yield from paths(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


FREE = frozenset({"affinity", "podAnnotations", "annotations", "resources", "context", "podSecurityContext"})
"""Values that are parts of Kubernetes objects."""


def fields(file: Path) -> Iterator[str]:
    """The fields of the three kinds, from their definitions."""
    for definition in filter(None, yaml.safe_load_all(file.read_text())):
        kind = definition["spec"]["names"]["kind"]
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            found = below(part, schema["properties"].get(part, {}))
            yield from (f"{kind} {path}" for path in found if not path.endswith("*"))


def below(path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """The paths of all fields of a schema. One that takes any field ends with `.*`."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}.*"
    for name, inner in (schema.get("properties") or {}).items():
        yield f"{path}.{name}"
        yield from below(f"{path}.{name}", inner)
        yield from below(f"{path}.{name}[]", inner.get("items") or {})
        more = inner.get("additionalProperties")
        yield from below(f"{path}.{name}.*", more if isinstance(more, Mapping) else {})


def kept() -> tuple[str, Names]:
    """The version and names that were read last."""
    held = json.loads(HERE.read_text())
    return held["version"], {group: frozenset(found) for group, found in held["names"].items()}


def keep(tree: Path) -> None:
    """Read a tree anew."""
    HERE.write_text(json.dumps(read(tree), indent=1) + "\n")
