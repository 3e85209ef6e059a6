"""Twins of controllers that other projects bring, KEDA's and Knative's, as far as releases meet them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.resources import learn
from pyflagger.objects import Create, Obj, Patch, ref_of
from pyflagger.objects import Resource as Kind
from pyflagger.workloads.knative import REVISIONS as REVISION
from pyflagger_sandbox.controllers.cache import View
from pyflagger_sandbox.controllers.client import RESOURCES, Resource
from pyflagger_sandbox.controllers.manager import Controller
from pyflagger_sandbox.controllers.outcome import NOTHING, Outcome
from pyflagger_sandbox.controllers.owned import itself
from pyflagger_sandbox.network.routes import definition
from stage.stage import Stage

RESOURCES["ScaledObject"] = Resource("keda.sh/v1alpha1", "scaledobjects")


def scale(view: View, namespace: str, name: str, now: float) -> Outcome:
    """A paused one sets its number; an active one keeps its workload within bounds."""
    scaler = view.get("ScaledObject", namespace, name)
    workload = scaler and view.get("Deployment", namespace, scaler["spec"]["scaleTargetRef"]["name"])
    if scaler is None or workload is None:
        return NOTHING
    fixed = (scaler["metadata"].get("annotations") or {}).get("autoscaling.keda.sh/paused-replicas")
    there, least = workload["spec"].get("replicas", 1), scaler["spec"].get("minReplicaCount") or 0
    wanted = int(fixed) if fixed else min(max(there, least, 1), scaler["spec"].get("maxReplicaCount") or 100)
    if wanted == there:
        return NOTHING
    return Outcome((Patch(ref_of(workload), {"spec": {"replicas": wanted}}, subresource="scale"),))


def _scalers(view: View, workload: Obj) -> Iterable[tuple[str, str]]:
    meta = workload["metadata"]
    for scaler in view.by("ScaledObject", "namespace", meta["namespace"]):
        if scaler["spec"]["scaleTargetRef"]["name"] == meta["name"]:
            yield meta["namespace"], scaler["metadata"]["name"]


KEDA = Controller("keda", {"ScaledObject": itself, "Deployment": _scalers}, scale)


KNATIVE_SERVICES = definition("serving.knative.dev", "Service", "services", ("v1",))
REVISIONS = definition("serving.knative.dev", "Revision", "revisions", ("v1",))
SERVICE = Kind("serving.knative.dev", "v1", "services", "Service")


async def knative(stage: Stage) -> None:
    """A Revision for each new template, ready after two seconds; the status tells of it."""
    learn((SERVICE, REVISION))
    templates: dict[str, Obj] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def follow(service: Obj) -> None:
        meta, template = service["metadata"], service["spec"]["template"]
        newest = list(templates)[-1] if templates else ""
        if not newest or templates[newest] != template:
            newest = f"{meta['name']}-{len(templates) + 1:05d}"
            templates[newest] = template
            await stage.client.apply(
                Create(
                    {
                        "apiVersion": REVISION.api_version,
                        "kind": "Revision",
                        "metadata": {"name": newest, "namespace": meta["namespace"]},
                        "spec": template["spec"],
                    }
                )
            )
        told = {"latestCreatedRevisionName": newest, "observedGeneration": meta["generation"]}
        await stage.client.apply(Patch(ref_of(service), {"status": told}, subresource="status"))
        await stage.clock.sleep(2)
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        await stage.client.apply(
            Patch(REVISION.ref(meta["namespace"], newest), {"status": ready}, subresource="status")
        )

    def changed(change: ObjectChange) -> None:
        new, old = change.new, change.old
        if new is not None and (old is None or old["metadata"]["generation"] != new["metadata"]["generation"]):
            tasks.add(asyncio.ensure_future(follow(new)))

    cache = Cache(stage.client, stage.clock)
    cache.subscribe(changed)
    await cache.wait(SERVICE)
