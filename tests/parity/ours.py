"""The same names in this project, from its registries, tables and charts: nothing is listed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from parity import Names
from parity.reference import below
from pyflagger.alerts.registry import known_types as receivers
from pyflagger.api.crds import crds
from pyflagger.goflags import Flag
from pyflagger.loadtester import app, tasks
from pyflagger.loadtester import options as tester
from pyflagger.metrics.registry import known_types
from pyflagger.operator import options as operator
from pyflagger.operator.process.telemetry import Telemetry

CHARTS = Path(__file__).resolve().parents[2] / "charts"


def names() -> Names:
    """All names, by group."""
    return {
        "flags": frozenset(flag.name for flag in operator.FLAGS),
        "variables": frozenset(flag.env for flag in operator.FLAGS if flag.env),
        "values": values("flagger"),
        "metrics": frozenset(_metrics()),
        "fields": frozenset(_fields()),
        "metric providers": frozenset(known_types()),
        "alert providers": frozenset(receivers()),
        "load tester: flags": frozenset(flag.name for flag in tester.FLAGS),
        "load tester: values": values("loadtester"),
        "load tester: task types": frozenset(tasks.KINDS),
        "load tester: paths": frozenset((*app._GATES, *app._PAGES, "/")),
    }


def without_effect() -> Names:
    """Those that are accepted and have no effect."""
    return {
        "flags": _unused(operator.FLAGS, operator.Options),
        "load tester: flags": _unused(tester.FLAGS, tester.Options),
    }


def _unused(flags: tuple[Flag, ...], options: Any) -> frozenset[str]:
    known = {field.name for field in fields(options)}
    return frozenset(flag.name for flag in flags if flag.attribute not in known)


def _metrics() -> Iterator[str]:
    for family in Telemetry("0", "istio").registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


def _fields() -> Iterator[str]:
    for definition in crds():
        kind = definition["spec"]["names"]["kind"]
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            yield from (f"{kind} {path}" for path in below(part, schema["properties"].get(part, {})))


def values(chart: str) -> frozenset[str]:
    """The values of a chart, from the schema that Helm checks them by."""
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    return frozenset(_values(schema, schema.get("definitions", {})))


def _values(schema: Mapping[str, Any], known: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Paths of leaves. A table whose keys are the user's ends with `.*`."""
    for name, inner in schema.get("properties", {}).items():
        if "$ref" in inner:
            inner = {**known[inner["$ref"].rpartition("/")[2]], **inner}
        if inner.get("properties"):
            yield from _values(inner, known, f"{above}{name}.")
        else:
            yield f"{above}{name}"
        if "object" in inner.get("type", ()) and inner.get("additionalProperties") is not False:
            yield f"{above}{name}.*"
