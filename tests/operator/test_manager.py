"""The end of an alert is counted, logged, told to the AlertProvider, and stored in the status of its Canary."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from pyflagger.api.facts import Fault, Problem
from pyflagger.api.parse import parse_canary
from pyflagger.clock import LoopClock
from pyflagger.core.decision import Alert
from pyflagger.kube.client import ApiError, Conflict
from pyflagger.kube.errors import NotFound, NotLeader
from pyflagger.objects import Obj, Patch
from pyflagger.operator.alerting.manager import MARKS_MAX, AlertManager, Reports
from pyflagger.operator.options import Options
from pyflagger.operator.process.telemetry import Telemetry
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import analysis, canary

pytestmark = pytest.mark.looptime
TROUBLE = Problem(Fault.CLUSTER, "not now")
PROVIDER = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "AlertProvider",
    "metadata": {"name": "p", "namespace": "test"},
    "spec": {"type": "webhook", "address": "https://w.example/secret-part"},
}


def raw() -> Obj:
    """The live Canary."""
    obj = canary("shop", analysis=analysis(alerts=[{"name": "a", "providerRef": {"name": "p"}}]))
    meta = {"name": "shop", "namespace": "test", "uid": "u", "resourceVersion": "5"}
    return {**obj, "metadata": meta, "status": {"phase": "Progressing"}}


class Around:
    """What a manager uses: the cache, the API server, the receiver, Events and log."""

    def __init__(
        self, status: int = 200, errors: tuple[Exception, ...] = (), synced: bool = True, dashboard: str = ""
    ) -> None:
        self.status, self.errors, self.is_synced = status, list(errors), synced
        self.sent: list[HttpRequest] = []
        self.live: dict[str, Obj] = {"p": PROVIDER, "shop": raw()}
        self.patches: list[Patch] = []
        self.events: list[str] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.telemetry = Telemetry("1", "nginx")
        here: Any = self
        store: Any = SimpleNamespace(get=lambda ref: self.live.get(ref.name), learn=self.learn, cache=self)
        reports = Reports(here, self.telemetry, self)
        self.manager = AlertManager(Options(dashboard_url=dashboard), here, store, here, LoopClock(), here, reports)

    def synced(self, resource: object) -> bool:
        """Whether AlertProviders are listed."""
        return self.is_synced

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """The receiver."""
        self.sent.append(request)
        return HttpAnswer(self.status, b"x")

    async def patch(self, patch: Patch) -> Obj:
        """The API server."""
        self.patches.append(patch)
        if self.errors:
            raise self.errors.pop(0)
        return {**self.live["shop"], "status": {**self.live["shop"]["status"], **patch.body["status"]}}

    def learn(self, obj: Obj) -> None:
        """The store takes in an answer."""
        self.live["shop"] = obj

    def record(self, about: Obj, type_: str, text: str) -> None:
        """An Event."""
        self.events.append(f"{about['metadata']['name']} {type_} {text}")

    def info(self, text: str, **fields: Any) -> None:
        """A line."""
        self.lines.append((text, fields))

    warning = error = info

    async def alert(self) -> None:
        """One alert, to its end."""
        shop = parse_canary(raw())
        self.manager.stage(shop, Alert("error", "it failed"))
        self.manager.outbox.send(shop)
        await asyncio.sleep(60)
        await self.manager.close()

    @property
    def counted(self) -> list[str]:
        """The series of alerts."""
        return [line for line in self.telemetry.expose({}).decode().splitlines() if line.startswith("flagger_alerts")]


async def test_an_alert_that_is_sent() -> None:
    """It is counted and logged, and the status says so in one write."""
    around = Around()
    await around.alert()
    assert around.counted == ['flagger_alerts_total{outcome="sent",type="webhook"} 1.0']
    assert around.lines == [("alert sent", {"canary": "shop.test", "receiver": "AlertProvider p.test", "attempts": 1})]
    (patch,) = around.patches
    (condition,) = patch.body["status"]["conditions"]
    assert (patch.resource_version, patch.subresource) == ("5", "status")
    assert (condition["status"], condition["reason"]) == ("True", "Sent") and not around.events


async def test_an_alert_with_a_link() -> None:
    """To the Canary's page on the dashboard of the flag; without the flag, to nowhere."""
    for url, link in (("https://flagger.example.com", "https://flagger.example.com/c/test/shop"), ("", None)):
        around = Around(dashboard=url)
        await around.alert()
        (request,) = around.sent
        assert json.loads(request.body or b"")["data"].get("link") == link


async def test_an_alert_that_is_dropped() -> None:
    """It is an Event on its AlertProvider too."""
    around = Around(status=500)
    await around.alert()
    assert around.counted == ['flagger_alerts_total{outcome="failed",type="webhook"} 1.0']
    text = "error response: Status 500 Internal Server Error: x"
    assert around.events == [
        f"p Warning Alert of shop.test dropped after 3 attempts: {text}. Check the health of the receiver."
    ]
    (line, fields), *_ = around.lines
    assert (line, fields["outcome"], fields["error"]) == ("alert dropped", "failed", text)
    assert around.live["shop"]["status"]["conditions"][0]["reason"] == "Dropped"


async def test_a_provider_that_is_gone() -> None:
    """There is no object to report on; the log and the metric have it."""
    around = Around()
    del around.live["p"]
    await around.alert()
    assert around.counted == ['flagger_alerts_total{outcome="misconfigured",type="unknown"} 1.0'] and not around.events


async def test_providers_that_are_not_listed_yet() -> None:
    """A provider may exist all the same: flagger tries again."""
    around = Around(synced=False)
    await around.alert()
    assert [fields["attempts"] for _, fields in around.lines] == [3]


@pytest.mark.parametrize(
    ("errors", "writes"),
    [
        ((Conflict(TROUBLE), Conflict(TROUBLE)), 3),
        ((ApiError(TROUBLE),), 2),
        ((NotFound(TROUBLE),), 1),
        ((NotLeader(TROUBLE),), 1),
        ((Conflict(TROUBLE),) * 99, MARKS_MAX),
    ],
)
async def test_the_mark_meets_an_error(errors: tuple[Exception, ...], writes: int) -> None:
    """It is tried again, unless the Canary is gone or another replica leads."""
    around = Around(errors=errors)
    await around.alert()
    assert len(around.patches) == writes


async def test_a_canary_that_is_gone() -> None:
    """There is nothing to mark."""
    around = Around()
    del around.live["shop"]
    await around.alert()
    assert not around.patches


async def test_a_status_write_was_faster() -> None:
    """A decision that wrote the status in the meantime has stored it already."""
    around = Around()
    await around.alert()
    around.manager._delivered(next(iter(around.manager.outbox._pending)))
    await around.manager.close()
    assert len(around.patches) == 1


async def test_problems_of_the_flags_are_logged_at_the_start() -> None:
    """One line for each."""
    around = Around()
    around.manager._options = Options(slack_url="nowhere")
    await around.manager.start()
    assert [line.partition(":")[0] for line, _ in around.lines] == ["-slack-url"]
