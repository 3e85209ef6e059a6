"""Each need goes to its source, and only the checks of a release are shown to the spectator."""

from __future__ import annotations

import json

import pytest
from shelf import Shelf

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Managed, Problem
from pyflagger.clock import SystemClock
from pyflagger.core.situation import (
    CallHook,
    CheckMetric,
    FindManager,
    FindTrouble,
    Need,
    Passed,
    ProbeProviders,
    QueryFailed,
    Refused,
    Result,
    Role,
    Trouble,
    Value,
)
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.objects import Obj
from pyflagger.operator.evidence.gatherer import Gatherer
from pyflagger.operator.observe.compiled import compile_canary, settings_of
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from pyflagger.operator.spectator import Spectator
from stage.manifests import canary

SETTINGS = settings_of(Options())
PODS, SERVICE = "/api/v1/namespaces/mall/pods", "/api/v1/namespaces/mall/services/web-canary"


class Notes(Spectator):
    """A spectator that writes down the checks that it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, Need, Result]] = []

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        self.shown.append((canary.metadata.name, need, result))


class Place:
    """Checks with one result, an API server that serves objects by path, and a watch cache."""

    def __init__(self, *cached: Obj, result: Result | None = None, **served: Obj) -> None:
        self.ran: list[Need] = []
        self.asked: list[ApiRequest] = []
        self.notes, self._result, self._served = Notes(), result or Passed(), served
        clock = SystemClock()
        client, store = Client(self, clock), Store(Shelf(*cached), clock)  # type: ignore[arg-type]
        self._gatherer = Gatherer(client, store, self, self.notes, SETTINGS)  # type: ignore[arg-type]

    async def run(self, need: Need, canary: Canary) -> Result:
        """Run a check."""
        assert canary.metadata.name == "web"
        self.ran.append(need)
        return self._result

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Answer a request to the API server."""
        self.asked.append(request)
        found = self._served.get(request.path)
        return ApiAnswer(200 if found else 404, {}, json.dumps(found or {}).encode())

    async def gather(self, need: Need) -> Result:
        """Gather one need of Canary `web`."""
        manifest = canary("web")
        manifest["metadata"] |= {"namespace": "mall", "uid": "u"}
        return await self._gatherer.gather(compile_canary(manifest, None, SETTINGS), need)


CHECKS: dict[str, tuple[Need, Result]] = {
    "a hook": (CallHook(0, "Progressing", "1"), Passed()),
    "a hook that refuses": (CallHook(0, "Progressing", "1"), Refused("no")),
    "a metric": (CheckMetric(0, "builtin"), Value(99.5)),
    "a metric that fails": (CheckMetric(0, "query"), QueryFailed(Problem(Fault.PROVIDER, "no answer"))),
    "the probe": (ProbeProviders(), Passed()),
}


@pytest.mark.parametrize("case", CHECKS)
async def test_checks_are_run_once_and_shown(case: str) -> None:
    """With their result, also a failed one. The API server is not asked."""
    need, result = CHECKS[case]
    place = Place(result=result)
    assert await place.gather(need) == result
    assert place.ran == [need] and place.notes.shown == [("web", need, result)] and place.asked == []


def deployment(name: str) -> Obj:
    """A Deployment whose pods have its name as their label."""
    spec = {"selector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "mall"},
        "spec": spec,
    }


@pytest.mark.parametrize(("role", "label"), [("canary", "app=web"), ("primary", "app=web-primary")])
async def test_troubles_are_those_of_the_roles_own_pods(role: Role, label: str) -> None:
    """They are read from the API server. They are no check of a release."""
    waiting = {"name": "app", "image": "shop:2", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    pods = {"items": [{"metadata": {}, "status": {"containerStatuses": [waiting]}}]}
    place = Place(deployment("web"), deployment("web-primary"), **{PODS: pods})
    assert await place.gather(FindTrouble(role)) == Trouble("1 pod: container app cannot pull image shop:2")
    assert [request.query["labelSelector"] for request in place.asked] == [label]
    assert place.ran == [] and place.notes.shown == []


@pytest.mark.parametrize("role", ["canary", "primary"])
async def test_a_missing_workload_has_no_trouble(role: Role) -> None:
    """Nothing selects its pods, so nothing is listed."""
    other = deployment("web-primary" if role == "canary" else "web")
    place = Place(other)
    assert await place.gather(FindTrouble(role)) == Trouble() and place.asked == []


async def test_managers_are_read_from_the_api_server() -> None:
    """The watch cache drops managed fields. To find a manager is no check of a release."""
    meta = {"name": "web-canary", "namespace": "mall"}
    cached = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    fields = [{"manager": by, "time": f"2026-01-0{day}T00:00:00Z"} for day, by in ((1, "flagger"), (2, "argocd"))]
    place = Place(cached, **{SERVICE: {**cached, "metadata": {**meta, "managedFields": fields}}})
    assert await place.gather(FindManager()) == Managed("argocd", "service web-canary.mall")
    assert place.ran == [] and place.notes.shown == []
