"""A right to read is missing: the API server's own words are on the canary, its traffic stays, and it mends itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger.kube.events import EVENTS_OF_A_TEXT
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.messages import Request
from stage.manifests import MAX, STEP, analysis, canary, deployment
from stage.trouble import Pair

pytestmark = pytest.mark.looptime

ALWAYS = 1_000_000
TEMPLATE: Obj = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "depth"},
    "spec": {"provider": {"type": "prometheus", "address": "http://prometheus.sick"}, "query": "depth"},
}
ASKS_TEMPLATE = {"name": "depth", "interval": "1m", "thresholdRange": {"max": 1000}, "templateRef": {"name": "depth"}}


@dataclass(frozen=True)
class Denied:
    """A path under which reading is refused, and the right's name. `spares_calm`: the calm canary does not need it."""

    path: str
    right: str
    spares_calm: bool

    def strikes(self, request: Request) -> bool:
        """Whether it is the operator that asks for it."""
        return (request.agent, request.method, request.path) == ("flagger", "GET", self.path)

    def error(self, request: Request) -> ApiError:
        """What an authorizer says."""
        return ApiError(403, "Forbidden", f'User "flagger" {self.right}', {})


DENIED = {
    "one ConfigMap": Denied(
        "/api/v1/namespaces/sick/configmaps/sick-env",
        'cannot get resource "configmaps" in API group "" in the namespace "sick"',
        spares_calm=True,
    ),
    "all ConfigMaps": Denied(
        "/api/v1/configmaps",
        'cannot list resource "configmaps" in API group "" at the cluster scope',
        spares_calm=False,
    ),
    "all MetricTemplates": Denied(
        "/apis/flagger.app/v1beta1/metrictemplates",
        'cannot list resource "metrictemplates" in API group "flagger.app" at the cluster scope',
        spares_calm=True,
    ),
}

COPY = Denied(
    "/api/v1/namespaces/sick/configmaps/sick-env-primary",
    'cannot get resource "configmaps" in API group "" in the namespace "sick"',
    spares_calm=True,
)


async def amid_releases() -> Pair:
    """Both canaries at their first weight; the sick one asks a MetricTemplate."""
    pair = Pair()
    await pair.begin(spoilt=canary("sick", analysis=analysis(metrics=[ASKS_TEMPLATE])))
    await pair.stage.create(TEMPLATE, "sick")
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.weight(STEP)
    return pair


@pytest.mark.parametrize("which", DENIED)
async def test_a_right_to_read_is_missing(which: str) -> None:
    """After a restart amid a release: told once, nothing moves until the right is back, then the release goes on."""
    denied, pair = DENIED[which], await amid_releases()
    await pair.stage.stop_operator()
    before = await pair.traffic()
    deny(pair, denied)
    await pair.stage.start_operator()
    await pair.tells(denied.right, 10)
    await pair.is_blocked("Cluster", denied.right)
    if denied.spares_calm:
        await pair.phase("calm", "Succeeded")
    await pair.stage.clock.sleep(60)
    assert await pair.traffic() == before
    assert len([text for text in await pair.told() if denied.right in text]) == 1
    pair.stage.server.faults.rules.clear()
    await pair.phase("sick", "Succeeded")
    assert await pair.blocked() is None
    assert (await pair.stage.status("sick", "sick"))["failedChecks"] == 0
    await pair.was_foreseen()


async def test_a_copy_that_may_not_be_read_holds_the_promotion() -> None:
    """It is not needed before; until it may be read the primary is what it was, and visitors stay where they are."""
    pair = await amid_releases()
    await pair.stage.stop_operator()
    template = (await pair.traffic())[2]
    deny(pair, COPY)
    await pair.stage.start_operator()
    await pair.weight(MAX)
    await pair.tells(COPY.right)
    before = await pair.traffic()
    await pair.stage.clock.sleep(60)
    assert await pair.traffic() == before and before[2] == template
    assert len([text for text in await pair.told() if COPY.right in text]) <= EVENTS_OF_A_TEXT
    await pair.phase("calm", "Succeeded")
    pair.stage.server.faults.rules.clear()
    await pair.phase("sick", "Succeeded")
    assert (await pair.traffic())[2] != template
    await pair.was_foreseen()


def deny(pair: Pair, denied: Denied) -> None:
    """From now on."""
    pair.stage.server.faults.fail(denied.error, denied.strikes, times=ALWAYS)


@dataclass(frozen=True)
class Rejected(Denied):
    """A write to a path is rejected, with a text."""

    status: int = 422

    def strikes(self, request: Request) -> bool:
        """Whether it is the operator that writes there."""
        return request.agent == "flagger" and request.method in ("POST", "PATCH") and request.path.startswith(self.path)

    def error(self, request: Request) -> ApiError:
        """The answer of a validating webhook, or of the server's own validation."""
        return ApiError(self.status, "Invalid", self.right, {})


DEPLOYMENTS = "/apis/apps/v1/namespaces/sick/deployments"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/sick/ingresses"


@pytest.mark.parametrize("status", [400, 422])
async def test_a_primary_that_the_server_does_not_accept(status: int) -> None:
    """The condition has the server's text before the apex Service exists. It ends as soon as the server accepts it."""
    text = 'admission webhook "policy.example" denied the request: sick-primary has no team'
    pair = Pair()
    await pair.begin(without=("Deployment",))
    deny(pair, Rejected(DEPLOYMENTS, text, True, status))
    await pair.stage.create(deployment("sick"), "sick")
    await pair.tells(text)
    await pair.is_blocked("Cluster", text)
    assert await pair.traffic() == (None, None, None)
    await pair.release("calm")
    await pair.calm_is_prompt()
    pair.stage.server.faults.rules.clear()
    await pair.phase("sick", "Initialized")
    assert await pair.blocked() is None


async def test_a_weight_that_the_server_does_not_accept() -> None:
    """Amid a release the weights stay, and the release goes on once the server accepts them."""
    text = "Ingress sick-canary is invalid: metadata.annotations: Too long"
    pair = await amid_releases()
    before = await pair.traffic()
    deny(pair, Rejected(INGRESSES, text, True))
    await pair.tells(text)
    await pair.is_blocked("Cluster", text)
    await pair.stage.clock.sleep(60)
    assert (await pair.traffic())[0] == before[0]
    assert len([each for each in await pair.told() if text in each]) <= EVENTS_OF_A_TEXT
    pair.stage.server.faults.rules.clear()
    await pair.phase("sick", "Succeeded")
    assert await pair.blocked() is None
