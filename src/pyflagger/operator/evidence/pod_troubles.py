"""Lists the pods of a workload to find out why they are not ready.

flagger asks when a canary or primary has waited for a while. It does not watch pods, so a release without problems
never lists them. Without permission to list pods, flagger reports no reasons.
"""

from __future__ import annotations

from pyflagger.core.situation import Trouble
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.resources import PODS
from pyflagger.objects import Obj
from pyflagger.workloads.pods import label_selector, trouble_of

PODS_MAX = 50
"""The maximum number of pods to list. In a large rollout, the first ones are representative."""


async def find_trouble(client: Client, workload: Obj | None) -> Trouble:
    """The most frequent problem of the pods that a workload selects. Empty if pods cannot be listed."""
    selector = label_selector(workload) if workload is not None else ""
    if workload is None or not selector:
        return Trouble()
    query = {"labelSelector": selector, "limit": str(PODS_MAX)}
    try:
        found = await client.call("GET", PODS.path(workload["metadata"].get("namespace", "")), query=query)
    except ApiError:
        return Trouble()
    return Trouble(trouble_of(found.get("items") or ()))
