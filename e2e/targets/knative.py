"""Knative's controller, played by a thread, as far as releases meet it: a Revision for each new template of a Service.

Nothing of Knative's own runs here: its controller is not to be had. A Revision whose image is tagged `-unready` stays
unready, as one does whose container never listens.
"""

from __future__ import annotations

import threading
from typing import Any

from e2e.environment import LOOK_SECONDS, Environment
from pyflagger.objects import Obj

GROUP = "/apis/serving.knative.dev/v1"
MERGE = "application/merge-patch+json"


class Controller:
    """Looks after the Knative Services of a namespace while it runs."""

    def __init__(self, env: Environment) -> None:
        self._ask, self._root = env.stage.plane.ask, f"{GROUP}/namespaces/{env.namespace}"
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen: dict[str, list[Any]] = {}
        """Templates of each Service, oldest first."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._gone.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._gone.wait(LOOK_SECONDS):
            for service in self._ask("GET", f"{self._root}/services")["items"]:
                status = service.get("status") or {}
                if status.get("observedGeneration") != service["metadata"]["generation"]:
                    self._follow(service)

    def _follow(self, service: Obj) -> None:
        name, template = service["metadata"]["name"], service["spec"]["template"]
        templates = self._seen.setdefault(name, [])
        if not templates or templates[-1] != template:
            templates.append(template)
            self._revision(f"{name}-{len(templates):05d}", template)
        newest = f"{name}-{len(templates):05d}"
        told = {"latestCreatedRevisionName": newest, "observedGeneration": service["metadata"]["generation"]}
        self._ask("PATCH", f"{self._root}/services/{name}/status", {"status": told}, MERGE)

    def _revision(self, name: str, template: Obj) -> None:
        made = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "metadata": {"name": name}}
        self._ask("POST", f"{self._root}/revisions", made | {"spec": template["spec"]})
        lost = any(each["image"].endswith("-unready") for each in template["spec"]["containers"])
        ready = {
            "type": "Ready",
            "status": "False" if lost else "True",
            "message": "it does not listen" if lost else "",
        }
        self._ask("PATCH", f"{self._root}/revisions/{name}/status", {"status": {"conditions": [ready]}}, MERGE)
