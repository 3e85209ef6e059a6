"""`flagger migrate` on a cluster: what it says about settings and canaries, that it only reads, and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pyflagger import __version__
from pyflagger.api.canary import CanaryStatus
from pyflagger.cli.migrate import checked, prepared
from pyflagger.cli.migrate.cluster import client_of
from pyflagger.cli.migrate.findings import STOPS, Fate, Finding
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.manifests import canary, deployment, image, ingress, settings
from stage.stage import MERGE, Stage, path_of

pytestmark = pytest.mark.looptime

THEIRS = "85d557f47b"
ARGS = ["-mesh-provider=nginx", "-metrics-server", "http://prometheus", "-threadiness=4", "-log-level=info"]
ADOPTED = Finding(
    Fate.CHANGED, "shop.test", "its phase becomes Initializing: Flagger then records the revision and releases nothing"
)


def operator(*args: str, replicas: int = 1, image: str = "ghcr.io/fluxcd/flagger:1.44.0", env: Any = ()) -> Obj:
    """The Deployment of an operator."""
    container = {"name": "flagger", "image": image, "command": ["./flagger", *args], "env": list(env)}
    template = {"metadata": {"labels": {"app": "flagger"}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "flagger"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "flagger"}, "spec": spec}


async def stage_with(*more: Obj, status: Obj | None = None, **spec: Any) -> Stage:
    """A canary that was initialized, by Flagger if its status is given, and no operator that acts."""
    stage = Stage()
    await stage.start()
    await stage.namespace("test")
    for obj in (settings("shop"), deployment("shop"), ingress("shop"), canary("shop", **spec), *more):
        await stage.create(obj)
    await until(stage, "Initialized")
    await stage.stop_operator()
    if status is not None:
        await write(stage, **status)
    return stage


async def until(stage: Stage, phase: str) -> None:
    """Wait for a phase."""
    for _ in range(600):
        if (await stage.status("shop")).get("phase") == phase:
            return
        await stage.clock.sleep(1)
    raise AssertionError(await stage.status("shop"))


async def write(stage: Stage, **status: Any) -> None:
    """Another operator writes the status."""
    await stage.client.call("PATCH", f"{path_of('Canary', 'test', 'shop')}/status", {"status": status}, MERGE)


async def check(stage: Stage, values: Obj | None = None) -> list[Finding]:
    """What `flagger migrate check` says, with a client that must not write."""
    return await checked(client_of(stage.transport, stage.clock, writes=False), stage.clock, values or {})


async def back(stage: Stage, *, write: bool) -> list[Finding]:
    """What `flagger migrate back` says."""
    return await prepared(client_of(stage.transport, stage.clock, writes=write), stage.clock, write)


def about(told: list[Finding], what: str) -> list[tuple[Fate, str]]:
    """The findings about one thing."""
    return [(one.fate, one.text) for one in told if one.about == what]


async def test_an_idle_canary_of_flagger_goes_on() -> None:
    """Its hash cannot be compared, and its primary runs the target."""
    stage = await stage_with(operator(*ARGS), status={"lastAppliedSpec": THEIRS, "lastPromotedSpec": THEIRS})
    told = await check(stage)
    assert about(told, "shop.test") == [(Fate.SAME, "no release starts (Initialized)")]
    assert about(told, "-mesh-provider") == [(Fate.SAME, "has the same effect")]
    assert [fate for fate, _ in about(told, "-threadiness")] == [Fate.IGNORED]


async def test_a_target_that_changed_meanwhile_is_released() -> None:
    """With either hash."""
    stage = await stage_with(operator(*ARGS), status={"lastAppliedSpec": THEIRS, "lastPromotedSpec": THEIRS})
    await stage.set_image("shop", "shop", image("shop", "2"))
    assert [fate for fate, _ in about(await check(stage), "shop.test")] == [Fate.RELEASED]


async def test_a_release_of_flagger_goes_on() -> None:
    """At its weight. With another ConfigMap it starts again."""
    held = {"phase": "Progressing", "canaryWeight": 25, "lastAppliedSpec": THEIRS, "lastPromotedSpec": "other"}
    stage = await stage_with(operator(*ARGS), status=held)
    ((fate, text),) = about(await check(stage), "shop.test")
    assert fate is Fate.SAME and text.startswith("its release goes on at weight 25")
    await write(stage, trackedConfigs={"configmap/shop-env": "changed"})
    assert [fate for fate, _ in about(await check(stage), "shop.test")] == [Fate.RELEASED]


async def test_objects_that_are_missing_are_written() -> None:
    """The command says which."""
    stage = await stage_with(operator(*ARGS))
    await stage.delete("Service", "shop-canary")
    told = about(await check(stage), "shop.test")
    assert (Fate.CHANGED, "flagger writes the Service of the canary (drift)") in told


async def test_a_new_canary_is_initialized() -> None:
    """It has no primary yet."""
    stage = Stage()
    await stage.start(operator=False)
    await stage.namespace("test")
    for obj in (settings("shop"), deployment("shop"), ingress("shop"), canary("shop")):
        await stage.create(obj)
    told = await check(stage)
    assert about(told, "shop.test")[0] == (Fate.CHANGED, "it is initialized (phase empty)")
    assert about(told, "operator")[0][0] is Fate.CHANGED


async def test_what_is_refused() -> None:
    """A canary, a flag, a variable, a value and a second operator; a secret in an address is not shown."""
    env = [{"name": "EVENT_WEBHOOK_URL", "value": "http://hook"}, {"name": "OTHER", "value": "1"}]
    args = ["-mesh-provider=nginx", "-nonsense", "-metrics-server=ftp://user:secret@x"]
    more = {**operator(), "metadata": {"name": "flagger-two"}}
    stage = await stage_with(operator(*args, env=env), more)
    await stage.patch("Canary", "shop", {"spec": {"provider": "nosuch"}})
    told = await check(stage, {"meshProvider": "nginx", "podLabels": {"a": "b"}, "nosuch": {"value": 1}})
    refused = {one.about for one in told if one.fate is Fate.REFUSED}
    assert refused == {"shop.test", "-nonsense", "-metrics-server", "value nosuch.value"}
    assert about(told, "EVENT_WEBHOOK_URL") == [(Fate.SAME, "has the same effect")]
    assert "2 Deployments" in about(told, "operator")[0][1]
    assert "secret" not in str(told)


class Denying(InProcess):
    """A way to the server on which some collections are denied."""

    denied: tuple[str, ...] = ()

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call, or deny it."""
        if any(f"/{plural}" in request.path for plural in self.denied):
            status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "denied", "code": 403}
            return ApiAnswer(403, {}, json.dumps(status).encode())
        return await super().call(request)


@pytest.mark.parametrize("plural", ["deployments", "configmaps", "canaries", "ingresses"])
async def test_a_right_that_is_missing_is_said(plural: str) -> None:
    """Nothing is taken for equal that could not be read, and nothing is prepared."""
    stage = await stage_with(operator(*ARGS))
    way = Denying(stage.server, "test")
    way.denied = (plural,)
    told = await checked(client_of(way, stage.clock, writes=False), stage.clock, {})
    assert any(one.fate in STOPS and "denied" in one.text for one in told), told


async def test_a_variable_from_a_secret_is_not_read() -> None:
    """The command says so."""
    env = [{"name": "SLACK_URL", "valueFrom": {"secretKeyRef": {"name": "slack", "key": "address"}}}]
    stage = await stage_with(operator(*ARGS, env=env))
    ((_, text),) = about(await check(stage), "SLACK_URL")
    assert "does not read" in text


async def test_the_way_back_of_what_flagger_released() -> None:
    """Nothing to prepare: its hash is still there after this operator has run."""
    stage = await stage_with(status={"lastAppliedSpec": THEIRS, "lastPromotedSpec": THEIRS})
    await stage.start_operator()
    await stage.clock.sleep(60)
    await stage.stop_operator()
    assert (await stage.status("shop"))["lastAppliedSpec"] == THEIRS
    assert [fate for fate, _ in about(await back(stage, write=True), "shop.test")] == [Fate.SAME]
    assert (await stage.status("shop"))["phase"] == "Initialized"


async def test_the_way_back_of_what_this_operator_released() -> None:
    """Without --write nothing is written. Prepared, and with an operator of ours again, nothing is released."""
    stage = await stage_with()
    assert ADOPTED in await back(stage, write=False)
    assert (await stage.status("shop"))["phase"] == "Initialized"
    assert ADOPTED in await back(stage, write=True)
    assert (await stage.status("shop"))["phase"] == "Initializing"
    await stage.start_operator()
    await until(stage, "Initialized")
    await stage.clock.sleep(60)
    status = CanaryStatus.model_validate(await stage.status("shop"))
    assert status.phase == "Initialized" and status.last_applied_spec == status.last_promoted_spec


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"phase": "Progressing"}, "its release is under way"),
        ({"phase": "Finalising"}, "its release is under way"),
        ({"phase": "Waiting"}, "Flagger starts a release of the new revision"),
        ({"phase": "Failed", "lastAppliedSpec": "v1:other"}, "Flagger starts a release of the new revision"),
        ({"phase": "Failed", "canaryWeight": 100}, "the canary serves users in place of a broken primary"),
    ],
)
async def test_what_cannot_be_prepared(status: Obj, text: str) -> None:
    """It is left as it is, and said."""
    stage = await stage_with(status=status)
    ((fate, told),) = about(await back(stage, write=True), "shop.test")
    assert fate is Fate.RELEASED and told.startswith(text)
    assert (await stage.status("shop"))["phase"] == status["phase"]


GATE = {"name": "ask", "type": "confirm-promotion", "url": "flagger://gate"}


async def test_what_users_asked_for_and_flagger_does_not_know() -> None:
    """A pause, which spec.suspend replaces, a closed gate, and a gate that only an action opens."""
    asked = {"hold": {"by": "ann"}, "gates": {"smoke": {"state": "closed", "by": "ann"}}}
    stage = await stage_with(status={"phase": "Progressing", "lastAppliedSpec": THEIRS, **asked})
    told = about(await back(stage, write=False), "shop.test")
    assert any(fate is Fate.RELEASED and "paused by ann: Flagger knows no pause" in text for fate, text in told)
    assert any(fate is Fate.CHANGED and text.startswith("gate smoke, closed by ann") for fate, text in told)
    await stage.patch("Canary", "shop", {"spec": {"suspend": True, "analysis": {"webhooks": [GATE]}}})
    told = about(await back(stage, write=False), "shop.test")
    assert not [text for _, text in told if "paused by" in text or "closed by" in text]
    assert [text for _, text in told if "Flagger cannot call flagger://gate" in text]


async def test_no_canary_is_prepared_while_an_operator_runs() -> None:
    """It would undo it."""
    stage = await stage_with(operator(*ARGS, image="registry.example/pyflagger:1"))
    told = await back(stage, write=True)
    assert [fate for fate, _ in about(told, "Deployment test/flagger")] == [Fate.REFUSED]
    assert (await stage.status("shop"))["phase"] == "Initialized"
    await stage.patch("Deployment", "flagger", {"spec": {"replicas": 0}})
    await back(stage, write=True)
    assert (await stage.status("shop"))["phase"] == "Initializing"


class WithGitOps(InProcess):
    """A cluster that serves kinds of Flux and Argo CD, of which these objects are there."""

    served: Mapping[str, list[Obj] | None] = {}
    """Objects by the path of their list; None: the caller may not list them."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Answer for these kinds, and for the groups; the server answers the rest."""
        paths = [path.split("/") for path in self.served]
        if request.path == "/apis":
            groups: dict[str, list[Obj]] = {}
            for _, _, group, version, _ in paths:
                groups.setdefault(group, []).append({"groupVersion": f"{group}/{version}"})
            listed = [{"name": name, "versions": versions} for name, versions in groups.items()]
            return ApiAnswer(200, {}, json.dumps({"groups": listed}).encode())
        if self.served.get(request.path, ()) is None:
            return ApiAnswer(403, {}, b'{"kind": "Status", "reason": "Forbidden", "message": "denied", "code": 403}')
        if request.path in self.served:
            return ApiAnswer(200, {}, json.dumps({"items": self.served[request.path]}).encode())
        return await super().call(request)


def named(name: str, **spec: Any) -> Obj:
    """An object of a GitOps controller."""
    return {"metadata": {"name": name, "namespace": "flux"}, "spec": spec}


def chart(name: str, version: str | None) -> Obj:
    """What a HelmRelease says of its chart."""
    return {"spec": {"chart": name, "version": version}}


async def test_versions_of_charts_that_gitops_controllers_ask_for() -> None:
    """Each object that asks for one of Flagger's is named with ours; other charts and the newest version are not."""
    stage = await stage_with(operator(*ARGS))
    way = WithGitOps(stage.server, "test")
    way.served = {
        "/apis/helm.toolkit.fluxcd.io/v2/helmreleases": [
            named("flagger", chart=chart("flagger", "1.x")),
            named("tester", chart=chart("loadtester", "0.36.x")),
            named("newest", chart=chart("flagger", None)),
            named("other", chart=chart("podinfo", "6.x")),
            named("by-reference", chartRef={"kind": "OCIRepository", "name": "flagger"}),
        ],
        "/apis/source.toolkit.fluxcd.io/v1/gitrepositories": [],
        "/apis/source.toolkit.fluxcd.io/v1beta2/ocirepositories": [
            named("flagger", url="oci://ghcr.io/fluxcd/charts/flagger", ref={"semver": ">=1.40.0"}),
            named("app", url="oci://ghcr.io/acme/app", ref={"tag": "1.0.0"}),
        ],
        "/apis/argoproj.io/v1alpha1/applications": [
            named("one", source={"chart": "flagger", "targetRevision": "1.44.0"}),
            named("many", sources=[{"path": "."}, {"chart": "flagger", "targetRevision": "*"}]),
        ],
    }
    told = await checked(client_of(way, stage.clock, writes=False), stage.clock, {})
    found = {one.about: one.text for one in told if "chart" in one.text}
    assert set(found) == {
        "HelmRelease flux/flagger",
        "HelmRelease flux/tester",
        "OCIRepository flux/flagger",
        "Application flux/one",
    }
    assert (
        f"version 1.x of the chart flagger, by Flagger's numbers. The chart of pyflagger has version {__version__}"
        in (found["HelmRelease flux/flagger"])
    )
    assert "version >=1.40.0" in found["OCIRepository flux/flagger"]
    assert {one.fate for one in told if one.about in found} == {Fate.CHANGED}


async def test_charts_that_may_not_be_listed() -> None:
    """The line names the kind; without the kind in the cluster nothing is asked."""
    stage = await stage_with(operator(*ARGS))
    way = WithGitOps(stage.server, "test")
    way.served = {"/apis/argoproj.io/v1alpha1/applications": None}
    told = await checked(client_of(way, stage.clock, writes=False), stage.clock, {})
    assert [one.fate for one in told if "applications" in one.text] == [Fate.UNKNOWN]
    assert not any("helmreleases" in one.text for one in told)
