"""Which canaries the fleet's page shows: the query of its URL, and the rows that it chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from pyflagger.seeing.fleet import SORTS
from pyflagger.seeing.model import FleetRow, Verdict

PAGE_ROWS = 100
TEXT_MAX = 200
"""Characters of a filter. Names and labels are shorter."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filters of a page. Empty texts choose everything. `page` counts from 1."""

    ns: str = ""
    q: str = ""
    verdict: str = ""
    sort: str = "verdict"
    page: int = 1

    def url(self, **changes: Any) -> str:
        """The address of the page with other filters. Only what differs from the default is in it."""
        other = replace(self, **{"page": 1} | changes)
        given = {name: getattr(other, name) for name in ("ns", "q", "verdict", "sort", "page")}
        query = urlencode({name: value for name, value in given.items() if value != getattr(ALL, name)})
        return f"/?{query}" if query else "/"

    @property
    def query(self) -> str:
        """The query of the address, with its question mark; empty for the default."""
        return self.url(page=self.page)[1:]


ALL = Chosen()


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of a page. `counts`: canaries by verdict that the other filters choose. `found`: rows on all pages."""

    rows: Sequence[FleetRow]
    counts: Mapping[Verdict, int]
    found: int
    pages: int
    page: int
    namespaces: Sequence[str]


def chosen_of(query: Mapping[str, str]) -> Chosen:
    """The filters of a URL. Values that make no sense are the defaults."""
    verdict, sort, page = (query.get(name, "")[:TEXT_MAX] for name in ("verdict", "sort", "page"))
    return Chosen(
        ns=query.get("ns", "")[:TEXT_MAX],
        q=query.get("q", "")[:TEXT_MAX].strip(),
        verdict=verdict if verdict in {str(each) for each in Verdict} else "",
        sort=sort if sort in SORTS else ALL.sort,
        page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
    )


def shown(rows: Sequence[FleetRow], chosen: Chosen, most: int = PAGE_ROWS) -> Shown:
    """The rows that the filters choose, in their order, at most so many. A page after the last is the last."""
    alike = [each for each in rows if _matches(each, chosen)]
    found = [each for each in alike if not chosen.verdict or each.verdict == chosen.verdict]
    if chosen.sort != ALL.sort:
        found.sort(key=SORTS[chosen.sort])
    pages = max(1, -(-len(found) // most))
    page = min(chosen.page, pages)
    counts = Counter(each.verdict for each in alike)
    return Shown(
        rows=found[(page - 1) * most : page * most],
        counts={verdict: counts[verdict] for verdict in Verdict},
        found=len(found),
        pages=pages,
        page=page,
        namespaces=sorted({each.namespace for each in rows}),
    )


def _matches(row: FleetRow, chosen: Chosen) -> bool:
    """Whether a row has the namespace, and a part of its name, namespace or images, or the label `key=value`."""
    if chosen.ns and row.namespace != chosen.ns:
        return False
    label, equals, value = chosen.q.partition("=")
    if equals:
        return row.labels.get(label) == value
    words = (row.name, row.namespace, *(image for each in row.images for image in (each.old, each.new)))
    return any(chosen.q.lower() in word.lower() for word in words)
