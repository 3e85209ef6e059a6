"""Reading the template in the record of a release: what is of use, what is not, and what the primary becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from shelf import Shelf

from pyflagger.clock import SystemClock
from pyflagger.core.situation import Recorded
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.objects import Obj, Ref, merge_apply
from pyflagger.operator.evidence.recorded import Source, find_record, load
from pyflagger.operator.observe.compiled import CompiledCanary, Settings, compile_canary, settings_of
from pyflagger.operator.observe.store import Store
from pyflagger.operator.options import Options
from pyflagger.workloads.deployment import Deployment
from stage.manifests import canary, deployment, image, settings

RECORDS = "/apis/flagger.app/v1alpha1/namespaces/mall/canaryreleases"
CONFIGS = "/api/v1/namespaces/mall/configmaps"
SETTINGS = settings_of(Options())


def compiled(**spec: Any) -> CompiledCanary:
    """The Canary `web`."""
    manifest = canary("web", **spec)
    manifest["metadata"] |= {"namespace": "mall", "uid": "u"}
    return compile_canary(manifest, None, SETTINGS)


def target() -> Obj:
    """The target, asleep, with a later template than that of the record."""
    found = deployment("web")
    found["metadata"] |= {"namespace": "mall"}
    found["spec"] |= {"replicas": 0}
    return found


def record(change: Obj) -> Obj:
    """Release 1 of image `web:0`, with changes."""
    was = target()
    was["spec"]["template"]["spec"]["containers"][0]["image"] = image("web", "0")
    made = {
        "metadata": {"name": "web-1", "namespace": "mall", "labels": {"flagger.app/canary-uid": "u"}},
        "spec": {"number": 1, "revision": Deployment().revision(was)},
        "status": {"outcome": "Promoted", "replicas": 7, "template": was["spec"]["template"]},
    }
    return merge_apply(made, change)


class Place:
    """An API server with objects by path. Other paths are not found; those in `refused` are forbidden."""

    def __init__(self, served: dict[str, Obj], *cached: Obj, refused: str = "none") -> None:
        self._served, self._refused = served, refused
        clock = SystemClock()
        self.client, self.store = Client(self, clock), Store(Shelf(*cached), clock)  # type: ignore[arg-type]

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Answer a request."""
        found = self._served.get(request.path)
        status = 403 if self._refused in request.path else 200 if found else 404
        return ApiAnswer(status, {}, json.dumps(found if status == 200 else {"message": "not for you"}).encode())


def place(change: Obj | None = None, *, configs: bool = True, cached: bool = True, refused: str = "none") -> Place:
    """A record with changes, with or without the config of its template and the target."""
    served = {f"{RECORDS}/web-1": record(change or {})}
    if configs:
        env = settings("web")
        env["metadata"]["namespace"] = "mall"
        served[f"{CONFIGS}/web-env"] = env
    return Place(served, *([target()] if cached else []), refused=refused)


async def test_a_template_of_use() -> None:
    """The target with that template, the primary's pods, and the configs that it uses, as they are now."""
    here = place()
    found = await load(here.client, here.store, compiled(), SETTINGS, 1)
    assert isinstance(found, Source)
    assert found.target["spec"]["template"]["spec"]["containers"][0]["image"] == image("web", "0")
    assert found.target["spec"]["replicas"] == 7 and list(found.tracked.refs) == ["configmap/web-env"]
    assert found.find(Ref("v1", "ConfigMap", "mall", "web-env-primary")) is None
    told = await find_record(here.client, here.store, compiled(), SETTINGS, 1)
    assert told == Recorded(record({})["spec"]["revision"])


async def test_a_target_that_runs_pods_keeps_their_number() -> None:
    """The number in the record is for a target at zero."""
    here = Place({f"{RECORDS}/web-1": record({})}, merge_apply(target(), {"spec": {"replicas": 3}}))
    untracked: Settings = replace(SETTINGS, options=Options(enable_config_tracking=False))
    found = await load(here.client, here.store, compiled(), untracked, 1)
    assert isinstance(found, Source) and found.target["spec"]["replicas"] == 3 and not found.tracked.refs


USELESS: dict[str, tuple[Callable[[], Place], str, str]] = {
    "missing": (lambda: Place({}, target()), "no-record", "there is no record of release 1"),
    "forbidden": (lambda: place(refused="canaryreleases"), "no-record", "not for you"),
    "of an earlier Canary": (
        lambda: place({"metadata": {"labels": {"flagger.app/canary-uid": "other"}}}),
        "no-record",
        "there is no record of release 1",
    ),
    "failed": (lambda: place({"status": {"outcome": "RolledBack"}}), "not-promoted", "release 1 was not promoted"),
    "too large": (
        lambda: place({"status": {"template": None, "templateOmitted": "it is larger than 128 KiB"}}),
        "no-template",
        "the record of release 1 has no template: it is larger than 128 KiB",
    ),
    "without a template": (
        lambda: place({"status": {"template": None}}),
        "no-template",
        "the record of release 1 has no template: it is missing",
    ),
    "changed": (
        lambda: place({"status": {"template": {"spec": {"hostNetwork": True}}}}),
        "no-template",
        "the template of release 1 is not that of its revision",
    ),
    "without its config": (lambda: place(configs=False), "config-gone", "configmap web-env.mall"),
    "without a target": (lambda: place(cached=False), "no-target", "Deployment web does not exist"),
}


@pytest.mark.parametrize("case", USELESS)
async def test_a_record_of_no_use(case: str) -> None:
    """Says why, and never raises."""
    make, code, text = USELESS[case]
    here = make()
    found = await find_record(here.client, here.store, compiled(), SETTINGS, 1)
    assert (found.code, found.revision) == (code, "") and text in found.text


async def test_targets_without_a_template() -> None:
    """A Service has none."""
    here = place()
    service = compiled(targetRef={"apiVersion": "v1", "kind": "Service", "name": "web"}, provider="kubernetes")
    found = await find_record(here.client, here.store, service, SETTINGS, 1)
    assert found.code == "kind" and "Service" in found.text
