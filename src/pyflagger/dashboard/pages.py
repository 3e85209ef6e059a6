"""The contexts of pages and of their regions. A region is a part of a page that a stream replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyflagger.dashboard.chosen import Chosen, Shown, shown
from pyflagger.dashboard.forms import FORMS, offered
from pyflagger.dashboard.rendering import region_id, rendered
from pyflagger.dashboard.rounds import drawn, last_round, overlaid, table
from pyflagger.dashboard.visit import Rows, Site
from pyflagger.dashboard.watching import Opened, Sight
from pyflagger.objects import Key
from pyflagger.seeing.happened import timeline
from pyflagger.seeing.history import difference
from pyflagger.seeing.model import RecordView
from pyflagger.seeing.requests import gates

Regions = Mapping[str, str]
"""Markup by the id of the element that it replaces."""

CANARY_REGIONS = ("trouble", "head", "traffic", "progress", "releases", "requests", "why", "timeline", "objects")


def fleet_page(site: Site, fleet: Rows, chosen: Chosen) -> str:
    """The page of the fleet."""
    found = shown(fleet.rows, chosen)
    return rendered(
        "fleet.html", site=site, stream=f"/api/v1/stream/fleet{chosen.query}", **_fleet(fleet, chosen, found)
    )


def _fleet(fleet: Rows, chosen: Chosen, found: Shown) -> dict[str, Any]:
    return {"chosen": chosen, "shown": found, "now": fleet.now, "trouble": fleet.trouble, "hidden": fleet.hidden}


class FleetRegions:
    """The regions of one fleet page over time. A row is rendered again only when it changed."""

    def __init__(self, fleet: Rows, chosen: Chosen) -> None:
        self._fleet, self._chosen = fleet, chosen
        self._rows: dict[Key, tuple[Any, str]] = {}
        self._order: tuple[Key, ...] | None = None

    def __call__(self) -> Regions:
        """The regions as they are now. The whole table only if other rows are in it than before."""
        found = shown(self._fleet.rows, self._chosen)
        context = _fleet(self._fleet, self._chosen, found) | {"live": True}
        order = tuple(Key(each.namespace, each.name) for each in found.rows)
        regions = {name: rendered(f"regions/{name}.html", **context) for name in ("trouble", "counts", "pages")}
        rows = {key: self._row(key, each, context) for key, each in zip(order, found.rows, strict=True)}
        if order != self._order:
            regions["rows"] = rendered("regions/rows.html", **context)
        else:
            regions |= {region_id("row", *key): text for key, text in rows.items()}
        self._rows = {key: (each, rows[key]) for key, each in zip(order, found.rows, strict=True)}
        self._order = order
        return regions

    def _row(self, key: Key, each: Any, context: Mapping[str, Any]) -> str:
        known = self._rows.get(key)
        return known[1] if known and known[0] == each else rendered("regions/row.html", **context, row=each)


def canary_page(site: Site, opened: Opened, sight: Sight) -> str:
    """The page of a canary."""
    row = sight.view.canary
    stream = f"/api/v1/stream/canaries/{row.namespace}/{row.name}"
    return rendered("canary.html", site=site, stream=stream, **_canary(site, opened, sight))


def _canary(site: Site, opened: Opened, sight: Sight) -> dict[str, Any]:
    verbs = offered(sight.view, gates(sight.look.canary)) if site.acting else ()
    context = {"view": sight.view, "why": sight.why, "now": opened.now, "trouble": opened.trouble}
    context |= {"timeline": timeline(sight.view, sight.records.values())}
    context |= {"settings": sight.settings}
    context |= {"requests": sight.requests, "acts": [(verb, FORMS[verb].title) for verb in verbs]}
    newest = max(sight.records, default=None)
    if newest is None:
        return context | {"charts": {}, "charted": None}
    record = sight.records[newest]
    record = replace(record, rounds=(*record.rounds, *last_round(sight.look.canary, record)))
    charts = {each.name: each.chart for each in drawn(record, sight.requests) if each.chart}
    return context | {"charts": charts, "charted": newest if charts else None}


def release_page(site: Site, opened: Opened, sight: Sight, record: RecordView) -> str:
    """The page of a release."""
    parts = {"record": record, "checks": drawn(record, sight.requests), "table": table(record)}
    return rendered("release.html", site=site, stream="", **_past(opened, sight), **parts)


def compare_page(site: Site, opened: Opened, sight: Sight, old: RecordView, new: RecordView) -> str:
    """The page of two releases beside each other."""
    parts = {"old": old, "new": new, "checks": overlaid(old, new), "difference": difference(old, new)}
    return rendered("compare.html", site=site, stream="", **_past(opened, sight), **parts)


def _past(opened: Opened, sight: Sight) -> dict[str, Any]:
    return {"view": sight.view, "now": opened.now}


def canary_regions(site: Site, opened: Opened) -> Regions:
    """The regions of a canary as they are now."""
    if opened.sight is None:
        return {"head": rendered("regions/gone.html", refusal=opened.refusal)}
    context = _canary(site, opened, opened.sight) | {"live": True}
    return {name: rendered(f"regions/{name}.html", **context) for name in CANARY_REGIONS}
