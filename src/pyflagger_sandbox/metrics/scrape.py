"""Scrapes every target once in each interval, into the store.

The caller passes the targets (annotated pods, the ingress) and the HTTP client. Time comes from a Clock. When a target
fails or disappears, the scraper writes staleness markers, so that its series end at once and not five minutes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from pyflagger.clock import Clock
from pyflagger.wire import Http, HttpFailure, HttpRequest

from .exposition import Malformed, samples, series_labels
from .store import Store
from .values import NAME, Labels, labels_of

MAX_BODY = 8 << 20
_AT_ONCE = 32
_ACCEPT = (("accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1"),)


class ScrapeTarget(NamedTuple):
    """The URL to scrape, and the labels of all series from there. The scraper adds `job` and `instance` if missing."""

    url: str
    labels: Mapping[str, str]


Discover = Callable[[], Awaitable[Sequence[ScrapeTarget]]]


@dataclass(slots=True)
class State:
    """The state of one target. Times are in seconds. `error` is empty after a successful scrape."""

    target: ScrapeTarget
    labels: Labels
    last: float = 0.0
    duration: float = 0.0
    error: str = ""
    known: dict[str, Labels] = field(default_factory=dict)

    @property
    def health(self) -> str:
        """The health in Prometheus's words."""
        if not self.last:
            return "unknown"
        return "down" if self.error else "up"


class Scraper:
    """Scrapes the targets of `discover` every `interval` seconds while `run` runs.

    If `discover` fails, `discovery_error` says why, and the scraper keeps the last targets.
    """

    def __init__(
        self, store: Store, discover: Discover, http: Http, clock: Clock, *, interval: float = 1.0, job: str = "pods"
    ) -> None:
        self.interval = interval
        self.discovery_error = ""
        self._store = store
        self._discover = discover
        self._http = http
        self._clock = clock
        self._job = job
        self._states: dict[tuple[str, Labels], State] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def targets(self) -> tuple[State, ...]:
        """The targets as of the last round."""
        return tuple(self._states.values())

    async def run(self) -> None:
        """Scrape at even intervals until cancelled. A slow round delays the next one and never overlaps it."""
        due = self._clock.monotonic()
        while True:
            await self.round()
            due = max(due + self.interval, self._clock.monotonic())
            await self._clock.sleep(due - self._clock.monotonic())

    async def round(self) -> None:
        """Scrape every target once, now."""
        await self._refresh()
        await asyncio.gather(*(self._scrape(state) for state in self.targets))
        self._store.sweep(self._now())

    def _now(self) -> int:
        return round(self._clock.now() * 1000)

    async def _refresh(self) -> None:
        try:
            listed = await self._discover()
            self.discovery_error = ""
        except Exception as error:  # An error of `discover` must not end the scraping.
            self.discovery_error = f"{type(error).__name__}: {error}"
            return
        labelled = {(target.url, labels): target for target in listed for labels in [self._labels(target)]}
        for key in self._states.keys() - labelled.keys():
            gone = self._states.pop(key)
            self._end(gone, gone.known.values())
            self._report_end(gone)
        for key, target in labelled.items():
            self._states.setdefault(key, State(target, key[1]))

    def _labels(self, target: ScrapeTarget) -> Labels:
        defaults = {"job": self._job, "instance": urlsplit(target.url).netloc}
        return labels_of((defaults | dict(target.labels)).items())

    async def _scrape(self, state: State) -> None:
        async with self._slots:
            began, time = self._clock.monotonic(), self._now()
            request = HttpRequest("GET", state.target.url, _ACCEPT, timeout=max(self.interval, 1.0), max_bytes=MAX_BODY)
            try:
                answer = await self._http.send(request)
                if answer.status != HTTPStatus.OK:
                    raise Malformed(f"server returned HTTP status {answer.status}")
                count = self._store_page(state, answer.body.decode("utf-8", "replace"), time)
                state.error = ""
            except (HttpFailure, Malformed) as error:
                state.error, count = str(error) or type(error).__name__, 0
                self._end(state, state.known.values(), time)
                state.known = {}
            state.last, state.duration = time / 1000, self._clock.monotonic() - began
        self._report(state, count, time)

    def _store_page(self, state: State, page: str, time: int) -> int:
        """Store a page. Ends the series of the last page that this page lacks."""
        read = list(samples(page))
        seen: dict[str, Labels] = {}
        for raw, value, stamp in read:
            labels = state.known.get(raw) or _attach(series_labels(raw), state.labels)
            seen[raw] = labels
            self._store.append(labels, time if stamp is None else int(stamp), value)
        self._end(state, (labels for raw, labels in state.known.items() if raw not in seen), time)
        state.known = seen
        return len(read)

    def _end(self, state: State, ended: Iterable[Labels], time: int | None = None) -> None:
        for labels in ended:
            self._store.end(labels, self._now() if time is None else time)

    def _report(self, state: State, count: int, time: int) -> None:
        figures = (float(not state.error), state.duration, float(count))
        for name, value in zip(_REPORTED, figures, strict=True):
            self._store.append(labels_of([*state.labels, (NAME, name)]), time, value)

    def _report_end(self, state: State) -> None:
        for name in _REPORTED:
            self._store.end(labels_of([*state.labels, (NAME, name)]), self._now())


_REPORTED = ("up", "scrape_duration_seconds", "scrape_samples_scraped")


def _attach(exposed: Labels, target: Labels) -> Labels:
    """Add the target's labels. Labels of the page with the same name become `exported_…`."""
    own = {name for name, _ in target}
    return labels_of([*((f"exported_{name}" if name in own else name, value) for name, value in exposed), *target])
