"""The phases and weights of the canaries of a namespace while operators are swapped."""

from __future__ import annotations

import threading
from collections import defaultdict
from types import TracebackType
from typing import Any, Self

from e2e.environment import Environment

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
LOOK_SECONDS = 0.4


class Watch:
    """Looks again and again while the block runs. `phases` and `weights` hold each change, by canary."""

    def __init__(self, env: Environment) -> None:
        self._env, self._gone = env, threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.phases: dict[str, list[str]] = defaultdict(list)
        self.weights: dict[str, list[int]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._gone.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._gone.wait(LOOK_SECONDS):
            for one in self._all("flagger.app/v1beta1", "canaries"):
                note(self.phases[one["metadata"]["name"]], one.get("status", {}).get("phase", ""))
            for one in self._all("networking.k8s.io/v1", "ingresses"):
                name, told = one["metadata"]["name"], one["metadata"].get("annotations", {})
                if name.endswith("-canary"):
                    note(self.weights[name.removesuffix("-canary")], int(told.get(WEIGHT, 0)))
            for one in self._all("gateway.networking.k8s.io/v1", "httproutes"):
                name = one["metadata"]["name"]
                backends = [ref for rule in one["spec"]["rules"] for ref in rule.get("backendRefs", ())]
                note(self.weights[name], {ref["name"]: ref["weight"] for ref in backends}.get(f"{name}-canary", 0))
            for one in self._all("traefik.io/v1alpha1", "traefikservices"):
                name = one["metadata"]["name"]
                weights = {each["name"]: each["weight"] for each in one["spec"]["weighted"]["services"]}
                note(self.weights[name], weights.get(f"{name}-canary", 0))

    def _all(self, version: str, plural: str) -> list[Any]:
        path = f"/apis/{version}/namespaces/{self._env.namespace}/{plural}"
        return list(self._env.stage.plane.ask("GET", path)["items"])


def note(seen: list[Any], value: Any) -> None:
    """Add what differs from the last."""
    if not seen or seen[-1] != value:
        seen.append(value)
