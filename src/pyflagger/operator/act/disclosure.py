"""Publish the operator's settings in a ConfigMap of its namespace, so that people see a canary with the same settings.

One write when the operator begins to lead, and one more for a feature that it has to switch off. A ConfigMap of this
name that is not flagger's stays as it is. Nothing waits for this. Used by `run`, read by `seeing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pyflagger.api.durations import show, stamp
from pyflagger.api.settings import LABELS, NAME, is_ours, lines, list_of
from pyflagger.clock import Clock
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.errors import NotFound
from pyflagger.kube.resources import CONFIG_MAPS
from pyflagger.objects import Obj, Patch
from pyflagger.operator.options import Options

FOREIGN = f"ConfigMap {NAME} exists and is not flagger's: flagger leaves it alone and publishes no settings"
FOREIGN_TODO = "Rename or delete it, or set -publish-settings=false."
REFUSED_TODO = f"Grant flagger's service account get, create and patch on the ConfigMap {NAME} in this namespace."


class Disclosure:
    """The published settings of one operator. An empty `namespace` publishes none."""

    def __init__(self, client: Client, clock: Clock, namespace: str, told: Mapping[str, str], log: Any) -> None:
        self.namespace = namespace
        self._client, self._clock, self._told, self._log = client, clock, told, log
        self._features: dict[str, str] = {}
        self._begun = False
        self._task: asyncio.Task[None] | None = None

    def feature(self, name: str, state: str) -> None:
        """Set the state of a feature: `on`, `off`, or why it is off. After the start, a change is published."""
        if self._features.get(name) == state:
            return
        self._features[name] = state
        if self._begun:
            self._publish()

    def start(self) -> None:
        """Publish in the background."""
        self._begun = bool(self.namespace)
        if self._begun:
            self._publish()

    async def stop(self) -> None:
        """Stop publishing."""
        self._begun = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _publish(self) -> None:
        before = self._task
        self._task = asyncio.get_running_loop().create_task(self._after(before), name="settings")

    async def _after(self, before: asyncio.Task[None] | None) -> None:
        """Write once the earlier write has ended."""
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        try:
            await self._write()
        except ApiError as error:
            self._begun = False
            self._log.warning(f"The settings are not published: {error.problem.text}", todo=REFUSED_TODO)

    async def _write(self) -> None:
        data = {**self._told, "features": lines(self._features)}
        try:
            live = await self._client.get(CONFIG_MAPS, self.namespace, NAME)
        except NotFound:
            await self._client.create(_object(self.namespace, {**data, "since": stamp(self._clock.now())}))
            return
        if not is_ours(live):
            self._begun = False
            self._log.warning(FOREIGN, todo=FOREIGN_TODO)
            return
        old = live.get("data") or {}
        same = old.get("identity") == data["identity"]
        data["since"] = old.get("since", "") if same else stamp(self._clock.now())
        gone = dict.fromkeys(set(old) - set(data))
        version = live["metadata"].get("resourceVersion", "")
        await self._client.patch(Patch(CONFIG_MAPS.ref(self.namespace, NAME), {"data": {**gone, **data}}, version))


def _object(namespace: str, data: Mapping[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": namespace, "labels": dict(LABELS)},
        "data": dict(data),
    }


def told(options: Options, version: str, identity: str) -> dict[str, str]:
    """The settings that people may know: no secret, and of a URL only the host."""
    return {
        "version": version,
        "identity": identity,
        "namespace": options.namespace,
        "mesh-provider": options.mesh_provider,
        "metrics-server": _host(options.metrics_server),
        "selector-labels": list_of(options.selector_labels),
        "ingress-annotations-prefix": options.ingress_annotations_prefix,
        "ingress-class": options.ingress_class,
        "enable-config-tracking": str(options.enable_config_tracking).lower(),
        "min-interval": show(options.min_interval),
        "idle-at-zero": str(options.idle_at_zero).lower(),
        "no-cross-namespace-refs": str(options.no_cross_namespace_refs).lower(),
    }


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
