"""Panels of Grafana dashboards, as values: a dashboard is a list of rows of panels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 39
"""The schema of Grafana 10.4 and newer. Newer ones read it, too."""

COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One panel. `queries`: expression by legend. `kind` is Grafana's type of panel, `unit` its unit."""

    title: str
    queries: Mapping[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Panels of one width side by side, below a title if there is one."""

    height: int
    panels: Sequence[Panel]
    title: str = ""


@dataclass(frozen=True)
class Board:
    """One dashboard. `variables`: the query of each variable, by name, in order; `several` of them take many values."""

    uid: str
    title: str
    variables: Mapping[str, str]
    rows: Sequence[Row]
    description: str = ""
    several: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """The dashboard as Grafana imports it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["flagger"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-30m", "to": "now"},
            "timezone": "",
            "annotations": {"list": []},
            "links": [{"type": "dashboards", "title": "flagger", "tags": ["flagger"], "asDropdown": True}],
            "templating": {"list": list(self._variables())},
            "panels": list(self._panels()),
        }

    def _variables(self) -> Iterator[dict[str, Any]]:
        yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}
        for name, query in self.variables.items():
            several = name in self.several
            yield {
                "name": name,
                "label": name.capitalize(),
                "type": "query",
                "datasource": SOURCE,
                "definition": query,
                "query": {"query": query, "refId": name},
                "refresh": 2,
                "sort": 1,
                "multi": several,
                "includeAll": several,
                "current": {},
                **({"allValue": ".*"} if several else {}),
            }

    def _panels(self) -> Iterator[dict[str, Any]]:
        number, top = 0, 0
        for row in self.rows:
            if row.title:
                number += 1
                place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
                yield {
                    "id": number,
                    "type": "row",
                    "title": row.title,
                    "gridPos": place,
                    "collapsed": False,
                    "panels": [],
                }
                top += 1
            width = COLUMNS // len(row.panels)
            for at, panel in enumerate(row.panels):
                number += 1
                place = {"x": at * width, "y": top, "w": width, "h": row.height}
                yield {"id": number, "gridPos": place, **_panel(panel)}
            top += row.height


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for at, (legend, expr) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": []},
        "options": {**_OPTIONS.get(panel.kind, {}), **panel.options},
    }


_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    },
    "state-timeline": {"mergeValues": True, "showValue": "never", "rowHeight": 0.8},
}
