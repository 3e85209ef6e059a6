"""One app behind its proxy while it is released: its steps are taken when the test says so, its visitors counted."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from http import HTTPStatus
from types import MappingProxyType

from e2e import apps
from e2e.environment import Environment, until
from e2e.planes.apps import NEW, OLD, host
from e2e.planes.gates import Gates
from e2e.visitors import Visitors, asked
from pyflagger.objects import Obj

NOBODY: Mapping[str, str] = MappingProxyType({})
VISITS_MIN, SHARE_POINTS_MAX = 500, 3.0
CERTAIN = 200
"""Visits where not one may differ."""

DEVIATIONS = 4
"""Where lots are drawn, so many visits are counted that the points allowed are this many standard deviations."""

SETTLE_SECONDS = 1.0
"""A proxy has the weight a moment after the object has it: half a second at most, where it was measured."""

PER_SECOND, FAST = 40.0, 10000.0


def enough(share: float) -> int:
    """Visits to be counted where lots are drawn with this chance, in percent."""
    return max(VISITS_MIN, int(1e4 * (share / 100) * (1 - share / 100) * (DEVIATIONS / SHARE_POINTS_MAX) ** 2))


class Release:
    """The releases of one app of the cast."""

    def __init__(
        self,
        name: str,
        env: Environment,
        proxy: str,
        gates: Gates,
        figure: Callable[[str], None],
        *,
        chance: bool,
        further: str = "",
    ) -> None:
        self.name, self.env, self.proxy, self._chance = name, env, proxy, chance
        self._host, self._further = host(name), further
        self._gates, self._figure = gates, figure

    @property
    def status(self) -> Obj:
        """The canary's."""
        return self.env.status(self.name)

    def at_port(self, port: str) -> Release:
        """The same release, for visitors of a further port."""
        found = copy(self)
        if self._further:
            found.proxy = self._further
        else:
            found._host = host(self.name, port)
        return found

    def led(self) -> None:
        """Wait until the proxy knows the way: it hears of it after the app is initialised, or its route made again."""
        self.until(lambda: asked(self.proxy, self._host).status == HTTPStatus.OK)

    def visitors(self, headers: Mapping[str, str] = NOBODY) -> Visitors:
        """Some that come all the time, once there is a way."""
        self.led()
        return Visitors(self.proxy, self._host, PER_SECOND, 2, headers)

    def begin(self, tag: str = NEW) -> None:
        """A new image, and its pods ready to be judged."""
        self.image(tag)
        self.until(lambda: self.status.get("phase") == "Progressing")

    def image(self, tag: str) -> None:
        """Set the image, whatever comes of it."""
        self.env.kubectl("set", "image", f"deployment/{self.name}", f"web={apps.IMAGE}:{tag}")

    def let(self, times: int = 1) -> None:
        """Open the gate so many times."""
        self._gates.let(self.name, times)

    def until(self, look: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait; what the canary said is told when it does not come to that."""
        until(look, lambda: f"{self.status}\n{self.env.said(self.name)}", seconds)

    def step(self, weight: int) -> None:
        """Let it pass to a weight, and wait until the proxy has it too."""
        self.let()
        self.until(lambda: self.status.get("canaryWeight") == weight)
        settle()

    def iterated(self) -> None:
        """Wait until it stands before its gate, all iterations done."""
        self.until(lambda: self.status.get("phase") == "WaitingPromotion")
        settle()

    def ended(self, phase: str) -> None:
        """Wait until it is over, and its proxy knows it."""
        assert self.env.wait(self.name, phase)["canaryWeight"] == 0
        settle()

    def promoted(self) -> None:
        """Wait until it is over for good, and until the last pod of the old version has gone."""
        self.ended("Succeeded")
        self.until(lambda: set(self.count()) == {NEW})

    def count(self, visits: int = CERTAIN, headers: Mapping[str, str] = NOBODY) -> Counter[str]:
        """So many visits, or some more, by the version that answered; none may fail."""
        with Visitors(self.proxy, self._host, FAST, 2, headers) as crowd:
            until(lambda: crowd.count().total() >= visits or crowd.failed, lambda: str(crowd.count()))
        assert not crowd.failed, crowd.failed[:5]
        return crowd.count()

    def share(self, weight: int, headers: Mapping[str, str] = NOBODY) -> Counter[str]:
        """As many visitors as the weight says meet the new version; at 100 all of them."""
        seen = self.count(enough(weight) if self._chance else VISITS_MIN, headers)
        share = 100 * seen[NEW] / seen.total()
        self._figure(f"{self._host}: weight {weight:3}: {share:5.2f} % of {seen.total()} visits met the new version")
        assert set(seen) <= {OLD, NEW} and abs(share - weight) <= (SHARE_POINTS_MAX if weight < 100 else 0)
        return seen

    def none_lost(self, *crowds: Visitors) -> None:
        """Of those who came all the time."""
        came, lost = sum(crowd.count().total() for crowd in crowds), [text for crowd in crowds for text in crowd.failed]
        self._figure(f"{self._host}: {came} visits besides, {len(lost)} failed")
        assert not lost, lost

    def copies(self) -> int:
        """Requests that the canary's pods got at `/` so far, whoever sent them."""
        return self.requests(f"app={self.name}", "root")

    def requests(self, pods: str, path: str) -> int:
        """Requests that the pods of a selector got so far at a path, as podinfo calls it."""
        found = json.loads(self.env.kubectl("get", "pods", "-l", pods, "-o", "json"))["items"]
        return sum(_requests(pod["status"]["podIP"], path) for pod in found if pod["status"].get("podIP"))

    def cookies(self, version: str, sent: str = "") -> list[str]:
        """What an answer of a version sets, to a visitor who sends a cookie."""
        return until(lambda: next((cookies for met, cookies in [self._visit(sent)] if met == version), None))

    def _visit(self, cookie: str) -> tuple[str, list[str]]:
        answer = asked(self.proxy, self._host, headers={"Cookie": cookie} if cookie else NOBODY)
        return json.loads(answer.body)["version"], answer.headers.get_all("Set-Cookie") or ["none"]


def settle() -> None:
    """Give the proxy its moment."""
    threading.Event().wait(SETTLE_SECONDS)


def _requests(address: str, path: str) -> int:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}:9898/metrics") as page:
        lines = page.read().decode().splitlines()
    counts = [
        line.rpartition(" ")[2]
        for line in lines
        if line.startswith("http_request_duration_seconds_count") and f'path="{path}"' in line
    ]
    return sum(int(float(text)) for text in counts)
