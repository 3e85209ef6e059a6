"""Flux and Argo CD apply their manifests every two seconds while people steer: what people asked for stays.

Flux's kustomize-controller applies on the server, by force, under its own name, after it dropped the fields and the
annotation of `kubectl apply`. Argo CD applies as `kubectl apply` does under the name argocd-controller, on the client
or by force on the server. Both apply only what differs from Git. Here they apply every time.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.apps import IMAGE, whole
from e2e.environment import Environment, until
from e2e.test_rights import policy
from e2e.test_steering import FAST, Says, at_weight, says
from pyflagger.objects import Obj

__all__ = ["policy", "says"]
SERVER = ("--server-side", "--force-conflicts")
TOOLS = {
    "flux": (*SERVER, "--field-manager=kustomize-controller"),
    "argocd-client": ("--field-manager=argocd-controller",),
    "argocd-server": (*SERVER, "--field-manager=argocd-controller"),
}
PAUSE_SECONDS = 2.0
TIMES = 4
"""Applications after each action, before its effect is checked."""


class Git:
    """Manifests in Git, and the tool that applies them."""

    def __init__(self, env: Environment, tool: str) -> None:
        self._env, self._words = env, TOOLS[tool]
        objects = copy.deepcopy(whole("shop", analysis={"interval": "1m"}))
        self.objects = [each | {"metadata": each["metadata"] | {"namespace": env.namespace}} for each in objects]
        del self._deployment["spec"]["replicas"]
        self.applied = 0
        self._over = threading.Event()
        self.errors: list[str] = []

    @property
    def _deployment(self) -> Obj:
        return next(each for each in self.objects if each["kind"] == "Deployment")

    def commit(self, tag: str) -> None:
        """Change the image."""
        self._deployment["spec"]["template"]["spec"]["containers"][0]["image"] = f"{IMAGE}:{tag}"

    def apply(self, *more: str) -> str:
        """Apply everything."""
        said = json.dumps({"apiVersion": "v1", "kind": "List", "items": self.objects})
        return self._env.kubectl("apply", *self._words, *more, "-f", "-", said=said)

    def differs(self) -> list[str]:
        """The objects that the tool would change."""
        wanted = json.loads(self.apply("--dry-run=server", "-o", "json"))["items"]
        live = [self._env.get(each["kind"], each["metadata"]["name"]) for each in wanted]
        return [str(one["metadata"]["name"]) for one, two in zip(wanted, live, strict=True) if _told(one) != _told(two)]

    @contextmanager
    def insisting(self) -> Iterator[None]:
        """Apply again and again."""
        thread = threading.Thread(target=self._insist)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _insist(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            try:
                self.apply()
            except RuntimeError as error:
                self.errors.append(str(error))
            self.applied += 1

    def goes_on(self) -> None:
        """Until it has been applied a few times more."""
        enough = self.applied + TIMES
        until(lambda: self.applied >= enough, lambda: "nothing is applied", 60)


def _told(obj: Obj) -> Obj:
    """What a tool compares: neither the status nor what the server writes."""
    meta = {key: obj["metadata"].get(key) or {} for key in ("labels", "annotations")}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": meta}


def image(env: Environment, name: str) -> str:
    """The tag that a Deployment runs."""
    (container,) = env.get("deployment", name)["spec"]["template"]["spec"]["containers"]
    return str(container["image"]).rpartition(":")[2]


@pytest.mark.parametrize(
    "tool", [pytest.param(tool, marks=[pytest.mark.long] if tool == "argocd-server" else []) for tool in TOOLS]
)
def test_a_tool_that_applies_all_the_time(env: Environment, says: Says, tool: str) -> None:
    """A weight, a pause and an undo stay. The tool finds nothing to change, and flagger no one to fight with."""
    env.operator(*FAST)
    git = Git(env, tool)
    git.apply()
    env.wait("shop", "Initialized")
    with git.insisting():
        before = env.get("canary", "shop")
        git.commit("6.0.1")
        env.wait("shop", "Progressing")
        says("weight", "shop", "30", "-m", "more")
        says("pause", "shop", "-m", "looking")
        git.goes_on()
        at_weight(env, 30)
        assert env.status("shop")["hold"]["reason"] == "looking" and git.differs() == []
        says("resume", "shop")
        says("promote", "shop", "--full", "-m", "urgent", "-y")
        env.wait("shop", "Succeeded", 120)
        says("undo", "shop", "-m", "slow", "-y")
        env.wait("shop", "Failed", 120)
        git.goes_on()
        assert (image(env, "shop"), image(env, "shop-primary")) == ("6.0.1", "6.0.0") and git.differs() == []
        after = env.get("canary", "shop")
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])
    assert env.status("shop")["phase"] == "Failed" and not git.errors
    assert {each["type"] for each in env.status("shop")["conditions"] if each["status"] == "True"} <= {"Judged"}
    assert "each time flagger writes it" not in env.said("shop") and env.refused() == []
