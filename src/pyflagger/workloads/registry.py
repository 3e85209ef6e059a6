"""The kinds of targets and the modules that release them.

Other packages add kinds as entry points. The name of an entry point is `apiVersion/Kind`, such as
`apps/v1/StatefulSet`. It refers to a class that implements `Workload` and takes no arguments.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from pyflagger import plugins
from pyflagger.api.canary import ObjectReference
from pyflagger.api.facts import Fault, Problem
from pyflagger.workloads.base import Workload
from pyflagger.workloads.daemonset import DaemonSet
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.knative import Knative
from pyflagger.workloads.service import Service

GROUP = "pyflagger.workloads"
KINDS: dict[str, Workload] = {
    "apps/v1/DaemonSet": DaemonSet(),
    "apps/v1/Deployment": Deployment(),
    "serving.knative.dev/v1/Service": Knative(),
    "v1/Service": Service(),
}


def workload_for(ref: ObjectReference) -> Workload | Problem:
    """The module for a target. A Problem if the kind is unknown or its plugin fails."""
    name, points = f"{ref.api_version}/{ref.kind}", plugins.installed(GROUP)
    if name in KINDS:
        return KINDS[name]
    if name in points:
        workload = plugins.load(points[name], "target kind", _made)
        return workload if isinstance(workload, Problem) else _contained(workload, name)
    known = (found.rpartition("/") for found in sorted({*KINDS, *points}))
    text = f"spec.targetRef names {ref.kind} of {ref.api_version}, which flagger cannot release"
    todo = f"Known kinds: {', '.join(f'{kind} ({version})' for version, _, kind in known)}."
    return Problem(Fault.MANIFEST, text, todo, "spec.targetRef")


def load_plugins() -> None:
    """Load all plugins of this group, so that no import blocks the event loop later."""
    for point in plugins.installed(GROUP).values():
        plugins.load(point, "target kind", _made)


@cache
def _contained(workload: Workload, name: str) -> Workload:
    return cast(Workload, plugins.Contained(workload, f"target kind {name}"))


def _made(kind: Any) -> Any:
    workload = kind()
    if not isinstance(workload, Workload):
        raise TypeError("it does not implement Workload: see pyflagger.workloads.base")
    return workload
