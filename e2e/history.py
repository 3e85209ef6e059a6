"""What became of objects while a test looked elsewhere: `kubectl get -w`, kept by the API server's own watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from typing import Any

from e2e.controlplane import Child
from e2e.environment import Environment
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import find


class History:
    """Every state of the objects of a kind in a namespace, from now on."""

    def __init__(self, env: Environment, kind: str) -> None:
        stage = env.stage
        words = ["--kubeconfig", str(stage.kubeconfig), "-n", env.namespace, "get", kind, "-w", "-o", "json"]
        self._child = Child(f"watch-{kind}", [find("kubectl"), *words], stage.folder / f"{env.namespace}-{kind}.json")
        env.started(self._child)

    def of(self, name: str, look: Callable[[Obj], Any]) -> list[Any]:
        """What `look` finds in an object as time goes by, each once while it stays the same."""
        text, decoder, at = self._child.log.read_text(), json.JSONDecoder(), 0
        found = []
        while at < len(text):
            try:
                obj, at = decoder.raw_decode(text, at)
            except ValueError:
                break
            at += 1
            if obj["metadata"]["name"] == name:
                found.append(look(obj))
        return [value for value, _ in groupby(found)]
