"""States 1 to 15: the pods of the new revision do not get ready."""

from __future__ import annotations

from explain.corpus import Act, State
from explain.shop import STANDS_SECONDS, Shop, config_map, corrected, promoted
from pyflagger.admission.errors import ApiError
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.messages import Request

PROBE = {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}}}
LIMIT = {"resources": {"limits": {"memory": "8Mi"}}}
KEY_OF = [{"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "web-config", "key": "Y"}}}]
QUOTA = 'pods "shop" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
POLICY = (
    "pods \"shop\" is forbidden: ValidatingAdmissionPolicy 'signed' with binding 'signed' denied request: "
    "the image has no signature"
)


def release(version: str) -> Act:
    """A release whose pods have the trouble that the tag names."""

    async def made(shop: Shop) -> None:
        await shop.stands(version)

    return made


def templated(version: str, **pod: object) -> Act:
    """The same with other fields of the pod template."""

    async def made(shop: Shop) -> None:
        await shop.stands(version, **pod)

    return made


async def late(shop: Shop) -> None:
    """Twenty seconds before the deadline."""
    await shop.stands("2-unready")
    await shop.passes(40 - STANDS_SECONDS)


async def overdue(shop: Shop) -> None:
    """Rolled back: its pods could not pull their image in time."""
    await shop.begin()
    await shop.release("2-pull")
    await shop.until("Failed")


def denied(words: str) -> Act:
    """The API server refuses pods. The controller of the ReplicaSet writes its words into the status."""

    async def made(shop: Shop) -> None:
        await shop.begin()
        shop.stage.server.faults.fail(lambda request: ApiError(403, "Forbidden", words, {}), _new_pod, times=10**9)
        await shop.release("2")
        await shop.passes(4)
        replica_set = next(each for each in await _sets(shop) if _image(each).endswith(":2"))
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": words}
        path = f"/apis/apps/v1/namespaces/test/replicasets/{replica_set['metadata']['name']}/status"
        body = {"status": {"conditions": [failure]}}
        await shop.stage.client.call("PATCH", path, body, "application/merge-patch+json")
        await shop.passes(STANDS_SECONDS)

    return made


def _new_pod(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/pods")


async def _sets(shop: Shop) -> list[Obj]:
    listed = await shop.stage.client.call("GET", "/apis/apps/v1/namespaces/test/replicasets")
    return list(listed["items"])


def _image(replica_set: Obj) -> str:
    return str(replica_set["spec"]["template"]["spec"]["containers"][0]["image"])


async def allowed(shop: Shop) -> None:
    """The quota is raised, or the policy changed."""
    shop.stage.server.faults.rules.clear()
    await promoted(shop)


async def arrived(shop: Shop) -> None:
    """What the pods wait for is there: the migration ends, a node is added."""
    shop.kubelet.mended.set()
    await promoted(shop)


async def without_key(shop: Shop) -> None:
    """A variable comes from a key that the ConfigMap does not have."""
    await shop.begin()
    await shop.stage.create(config_map("web-config", {"X": "1"}))
    await shop.template("2-config", container={"env": KEY_OF})
    await shop.passes(STANDS_SECONDS)


async def configured(shop: Shop) -> None:
    """The ConfigMap gets the key."""
    await shop.stage.patch("ConfigMap", "web-config", {"data": {"Y": "1"}})
    await arrived(shop)


PODS = "Waiting CanaryNotReady: canary deployment shop.test not ready"
STATES = (
    State(1, release("2.1.O-pull"), "image-pull", "cannot pull registry.example/shop:2.1.O-pull", "Correct the image",
          corrected, f"{PODS}", quick=True),
    State(2, release("2-crash"), "crash-loop", "exits with 1, 5 restarts", "--previous", corrected,
          "in CrashLoopBackOff (exit code 1)", quick=True),
    State(3, release("2-command"), "crash-loop", "no such file", "Correct its command", corrected, PODS),
    State(4, templated("2-memory", container=LIMIT), "crash-loop", "OOMKilled), its limit is 8Mi", "memory limit",
          corrected, PODS),
    State(5, release("2-unhealthy"), "crash-loop", "is killed by its liveness probe, 3 restarts", "liveness probe",
          corrected, PODS),
    State(6, templated("2-unready", container=PROBE), "unready", "statuscode: 503", "readiness probe", corrected,
          PODS, quick=True),
    State(7, late, "unready", "rolled back in 20s unless", "readiness probe", corrected, PODS),
    State(8, templated("2-init", initContainers=[{"name": "migrate", "image": "registry.example/migrate:1"}]),
          "init-waiting", "init container migrate", "log", arrived, PODS),
    State(9, without_key, "config-missing", "couldn't find key Y", "Create",
          configured, PODS),
    State(10, release("2-claim"), "config-missing", 'persistentvolumeclaim "cart"', "PersistentVolumeClaim", arrived,
          PODS),
    State(11, templated("2", nodeSelector={"disk": "fast"}), "unschedulable", "affinity/selector", "node selector",
          corrected, PODS, quick=True),
    State(12, release("2-cpu"), "unschedulable", "Insufficient cpu", "add nodes", arrived, PODS),
    State(13, denied(QUOTA), "pods-refused", "exceeded quota: small", "Raise the quota", allowed, PODS),
    State(14, denied(POLICY), "pods-refused", "the image has no signature", "policy", allowed, PODS),
    State(15, overdue, "deadline", "cannot pull image", "Release a corrected revision", corrected,
          "progress deadline exceeded", quick=True),
)  # fmt: skip
