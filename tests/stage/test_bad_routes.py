"""What can be wrong with routes: edited, deleted, fought over, not to be had, not accepted. Each told, and harmless."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger_sandbox.network.routes import definition
from stage.manifests import canary
from stage.routes import Else, accept, definitions, everybody, main_kind, shares
from stage.trouble import PROMPT_SECONDS, Pair

pytestmark = pytest.mark.looptime

GATEWAYS = {"service": {"port": 80, "targetPort": 8080, "gatewayRefs": [{"name": "gw"}]}}


def sick(provider: str, **spec: Any) -> Obj:
    """The sick Canary, routed by a mesh."""
    made = canary("sick", **{"provider": provider, **GATEWAYS, **spec})
    del made["spec"]["ingressRef"]
    return made


class Routed(Pair):
    """A pair whose sick canary is routed by `provider`; a Gateway accepts its routes while `accepting`."""

    def __init__(self, provider: str) -> None:
        super().__init__()
        self.provider, self.accepting, self.controller = provider, True, "example.net/gateway"
        self.seen: list[int] = []
        """The canary's weight for everybody, each time that it was another one."""
        self.routes: list[Obj] = []
        """What each look saw of the routes."""

    async def begin(self, **more: Any) -> None:
        """With the provider's kinds, and to Initialized."""
        await super().begin(**{"spoilt": sick(self.provider), "definitions": definitions(self.provider), **more})
        self.stage.beside(self._watch())

    async def promoted(self, seconds: float = 300) -> None:
        """The sick canary's release ends well, with everybody on the primary."""
        await self.phase("sick", "Succeeded", seconds=seconds)
        await self.stage.clock.sleep(1)
        assert self.seen[-1] == 0

    async def release_to_first_step(self) -> None:
        """The sick canary has its first visitors."""
        await self.phase("sick", "Initialized")
        await self.release("calm", "sick")
        await self.weight(25)

    @property
    def other(self) -> Else:
        """Somebody who touches the route; `spoil` says how."""
        return Else(self.stage, main_kind(self.provider), "sick", "sick", lambda obj: None)

    def elsewise(self, spoil: Any) -> Else:
        """The same with an idea of its own."""
        return Else(self.stage, main_kind(self.provider), "sick", "sick", spoil)

    async def _watch(self) -> None:
        while True:
            listed = await self.stage.client.call("GET", main_kind(self.provider).path("sick"))
            for route in listed["items"]:
                self.routes.append(route["spec"])
                weight = dict(shares(everybody(route))).get("canary", 0)
                self.seen += [weight] if self.seen[-1:] != [weight] else []
                if self.accepting and self.provider.startswith("gatewayapi"):
                    await accept(self.stage, route, self.controller)
            await self.stage.clock.sleep(0.5)


def weigh(primary: int, other: int) -> Any:
    """An edit of the weights of everybody's rule."""

    def spoil(obj: Obj) -> None:
        rule = everybody(obj)
        parts = (
            rule.get("backendRefs"),
            rule.get("route"),
            rule.get("backends"),
            rule.get("weighted", {}).get("services"),
        )
        for ref in next(found for found in parts if found):
            weight = primary if "primary" in str(ref) else other
            ref["weight"] = str(weight) if isinstance(ref["weight"], str) else weight

    return spoil


def elsewhere(obj: Obj) -> None:
    """An edit that leads visitors away, weights left alone."""
    everybody(obj)["timeouts" if "rules" in obj["spec"] else "timeout"] = None
    if "rules" in obj["spec"]:
        obj["spec"]["hostnames"] = ["evil.example"]
    else:
        obj["spec"]["hosts"] = ["evil.example"]


MESHES = ("gatewayapi:v1", "istio")


@pytest.mark.parametrize("provider", MESHES)
async def test_a_route_that_somebody_edits(provider: str) -> None:
    """It is mended at once with the weights that it has; who did it is told; the release goes on to its end."""
    pair = Routed(provider)
    await pair.begin()
    await pair.release_to_first_step()
    await pair.elsewise(elsewhere).look("kubectl-edit")
    kind = main_kind(provider).kind.lower()
    await pair.tells(f"Warning kubectl-edit changed {kind} sick\\.sick: flagger restores it and keeps its weights", 2)
    assert "evil.example" not in str((await pair.other.get())["spec"])
    assert await pair.blocked() is None
    await pair.promoted()
    assert pair.seen == [0, 25, 50, 0], "nobody was moved by it"
    await pair.calm_is_prompt()


@pytest.mark.parametrize("provider", [*MESHES, "traefik", "linkerd"])
async def test_a_route_that_somebody_deletes(provider: str) -> None:
    """It is made again at once, with the weight that the release had reached."""
    pair = Routed(provider)
    await pair.begin()
    await pair.release_to_first_step()
    await pair.stage.client.call("DELETE", main_kind(provider).path("sick", "sick"))
    await pair.tells(r"Warning The route of sick\.sick is missing: flagger restores it with canary weight 25", 2)
    assert dict(shares(everybody(await pair.other.get()))) == {"primary": 75, "canary": 25}
    await pair.promoted()
    assert pair.seen == [0, 25, 50, 0]
    await pair.calm_is_prompt()


@pytest.mark.parametrize("provider", [*MESHES, "traefik"])
async def test_weights_that_make_no_sense(provider: str) -> None:
    """Told with the numbers, and set to what the release had reached."""
    pair = Routed(provider)
    await pair.begin()
    await pair.release_to_first_step()
    await pair.elsewise(weigh(30, 30)).look("kubectl-edit")
    await pair.tells(r"Warning .*sick.*30.*30.*100", 2)
    assert dict(shares(everybody(await pair.other.get()))) == {"primary": 75, "canary": 25}
    await pair.promoted()
    await pair.calm_is_prompt()


@pytest.mark.parametrize("provider", [*MESHES, "linkerd"])
async def test_weights_that_somebody_sets(provider: str) -> None:
    """They are the truth: told, held for an interval, judged, and gone on from."""
    pair = Routed(provider)
    await pair.begin()
    await pair.release_to_first_step()
    await pair.elsewise(weigh(90, 10)).look("kubectl-edit")
    await pair.tells(r"Warning Another client set the canary weight of sick\.sick to 10: flagger holds and judges", 2)
    await pair.calm_is_prompt()
    await pair.promoted()
    assert pair.seen == [0, 25, 10, 35, 60, 0]


FIGHTS = {"shape": elsewhere, "weights": weigh(100, 0), "nonsense": weigh(1, 0)}


@pytest.mark.long
@pytest.mark.parametrize(("provider", "sort"), [*(("gatewayapi:v1", sort) for sort in FIGHTS), ("istio", "weights")])
async def test_a_second_controller_that_fights_for_a_route(provider: str, sort: str) -> None:
    """It is named in an event and a condition; a few writes a minute, fewer later; over when the other one stops."""
    pair = Routed(provider)
    await pair.begin()
    await pair.release_to_first_step()
    other = pair.elsewise(FIGHTS[sort])
    rival = other.start()
    kind = main_kind(provider).kind.lower()
    said = f"argocd-controller changes {kind} sick\\.sick each time flagger writes it"
    await pair.tells(f"Warning {said}", 60)
    await pair.calm_is_prompt()
    await pair.stage.clock.sleep(60)
    blocked = await pair.blocked()
    assert blocked and "argocd-controller" in blocked["message"]
    before = _writes(pair)
    await pair.stage.clock.sleep(300)
    assert _writes(pair) - before <= 8, "five minutes"
    assert len([text for text in await pair.told() if "each time" in text]) == 1
    assert (await pair.stage.status("sick", "sick"))["phase"] == "Progressing"
    rival.cancel()
    await pair.promoted(1200)
    await pair.stage.clock.sleep(700)
    assert await pair.blocked() is None


def _writes(pair: Routed) -> int:
    """What flagger has written to the route so far."""
    path = main_kind(pair.provider).path("sick", "sick")
    return sum(entry.path == path and entry.verb == "patch" and entry.agent == "flagger" for entry in pair.stage.audit)


THEIRS = (("Canary", ""), ("Deployment", ""), ("Deployment", "-primary"), ("Ingress", ""), ("Ingress", "-canary"))
OURS = (("Service", ""), ("Service", "-primary"), ("Service", "-canary"))


@pytest.mark.parametrize("edited", [THEIRS[3:4], THEIRS, THEIRS + OURS], ids=["source", "sources", "everything"])
async def test_somebody_who_annotates_each_second_holds_no_release(edited: tuple[tuple[str, str], ...]) -> None:
    """Our Ingress follows the user's at once, Services are tidied ever more seldom, and the release takes its steps."""
    pair = Pair()
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")

    async def edit() -> None:
        for number in itertools.count():
            for kind, suffix in edited:
                body = {"metadata": {"annotations": {"example/edit": str(number)}}}
                await pair.stage.patch(kind, f"sick{suffix}", body, "sick")
                await pair.stage.clock.sleep(0.1)
            await pair.stage.clock.sleep(1)

    editor = asyncio.ensure_future(edit())
    await pair.phase("sick", "Succeeded", seconds=PROMPT_SECONDS + 3)
    editor.cancel()
    await pair.stage.clock.sleep(1)
    ours, theirs = [(await pair.stage.get("Ingress", name, "sick"))["metadata"] for name in ("sick-canary", "sick")]
    assert ours["annotations"]["example/edit"] == theirs["annotations"]["example/edit"]
    told = {text for text in await pair.told() if "each time" in text}
    assert [text for text in told if "Services" not in text] == [] and len(told) == (edited[-1:] == OURS[-1:])
    tidied = [each for each in pair.stage.audit if "/sick/services/" in each.path and each.agent == "flagger"]
    assert sum(each.verb == "patch" for each in tidied) <= 20
    await pair.calm_is_prompt()


async def test_a_fight_at_rest() -> None:
    """Traffic to a canary without pods is taken back ever more seldom, not as fast as the watch."""
    pair = Routed("gatewayapi:v1")
    await pair.begin()
    await pair.phase("sick", "Initialized")
    rival = pair.elsewise(weigh(50, 50)).start()
    await pair.tells("argocd-controller changes .* each time flagger writes it", 60)
    await pair.stage.clock.sleep(120)
    before = _writes(pair)
    await pair.stage.clock.sleep(600)
    assert _writes(pair) - before <= 6
    await pair.release("calm")
    await pair.calm_is_prompt()
    rival.cancel()
    await pair.stage.clock.sleep(1200)
    assert dict(shares(everybody(await pair.other.get()))) == {"primary": 100, "canary": 0}
    assert await pair.blocked() is None


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "istio", "traefik", "contour", "linkerd", "kuma"])
async def test_a_definition_that_is_not_installed(provider: str) -> None:
    """Named with what to do on the canary that needs it; nothing is made; once it is there all goes on by itself."""
    pair = Routed(provider)
    await pair.begin(definitions=())
    kind = main_kind(provider)
    text = await pair.tells(f"does not serve {kind.plural}\\.{kind.group} in version {kind.version}")
    assert "its CustomResourceDefinition is not installed" in text
    assert text.removeprefix("Warning ") in (await pair.blocked() or {})["message"]
    assert await pair.traffic() == (None, None, None)
    await pair.release("calm")
    await pair.calm_is_prompt()
    assert pair.operator.unready() is None
    for each in definitions(provider):
        await pair.stage.client.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", each)
    await pair.phase("sick", "Initialized", seconds=120)
    assert await pair.blocked() is None


async def test_only_an_old_version_of_a_definition() -> None:
    """The version that there is, is in the text; naming its provider mends it."""
    pair = Routed("gatewayapi:v1")
    old = definition("gateway.networking.k8s.io", "HTTPRoute", "httproutes", ("v1beta1",))
    await pair.begin(definitions=(old,))
    text = await pair.tells(r"does not serve httproutes\.gateway\.networking\.k8s\.io in version v1:")
    assert "served versions of gateway.networking.k8s.io: v1beta1" in text
    await pair.release("calm")
    await pair.calm_is_prompt()
    pair.provider = "gatewayapi:v1beta1"
    await pair.edit(provider=pair.provider)
    await pair.phase("sick", "Initialized", seconds=60)
    assert await pair.blocked() is None


async def test_a_gateway_that_never_accepts() -> None:
    """It is named; no weight is given and no check fails; a rollback would not wait; it goes on once accepted."""
    pair = Routed("gatewayapi:v1")
    pair.accepting = False
    await pair.begin(spoilt=sick("gatewayapi:v1", progressDeadlineSeconds=600))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.tells(r"Warning HTTPRoute sick: parent Gateway gw is not ready")
    await pair.calm_is_prompt()
    await pair.stage.clock.sleep(300)
    assert pair.seen == [0]
    assert (await pair.stage.status("sick", "sick"))["failedChecks"] == 0
    pair.accepting = True
    await pair.promoted()
    assert pair.seen == [0, 25, 50, 0]


async def test_a_gateway_that_accepts_too_late() -> None:
    """Past the deadline of the Canary the release has failed, without ever having had traffic."""
    pair = Routed("gatewayapi:v1")
    pair.accepting = False
    await pair.begin()
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.tells(r"Warning HTTPRoute sick: parent Gateway gw is not ready")
    await pair.calm_is_prompt()
    await pair.phase("sick", "Failed", seconds=90)
    await pair.tells(r"Warning Rolling back sick\.sick progress deadline exceeded HTTPRoute sick: parent Gateway gw")
    assert pair.seen == [0]


STEPS = {"stepWeight": 25, "maxWeight": 50}


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "gatewayapi:v1beta1"])
@pytest.mark.parametrize(("by", "seen"), [(STEPS, [0, 25, 50, 0]), ({"iterations": 2}, [0, 100, 0])])
async def test_a_gateway_that_would_break_on_mirrors(provider: str, by: Obj, seen: list[int]) -> None:
    """It accepts them and answers visitors with an error, so none is written: told once, and gone on without."""
    pair = Routed(provider)
    pair.controller = "traefik.io/gateway-controller"
    analysis = {key: value for key, value in sick(provider)["spec"]["analysis"].items() if key not in STEPS}
    await pair.begin(spoilt=sick(provider, analysis={**analysis, "mirror": True, **by}))
    await pair.phase("sick", "Initialized")
    await pair.release("calm", "sick")
    await pair.tells(
        f"Warning Provider {provider} does not support traffic mirroring: the release continues without it"
    )
    await pair.calm_is_prompt()
    await pair.promoted()
    assert pair.seen == seen and "RequestMirror" not in str(pair.routes)


async def test_a_reference_to_another_namespace_where_those_are_off() -> None:
    """The field and both namespaces are told; nothing is made of it; a reference within the namespace mends it."""
    pair = Routed("gloo")
    pair.options = {"no_cross_namespace_refs": True}
    upstream = {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "name": "config", "namespace": "gloo-system"}
    await pair.begin(spoilt=sick("gloo", upstreamRef=upstream))
    text = await pair.tells(r"can't access gloo upstream config\.gloo-system, cross-namespace references are blocked")
    assert text.removeprefix("Warning ") in (await pair.blocked() or {})["message"]
    assert await pair.traffic() == (None, None, None)
    await pair.release("calm")
    await pair.calm_is_prompt()
    await pair.edit(upstreamRef=None)
    await pair.phase("sick", "Initialized")
    assert await pair.blocked() is None
