"""People's commands on a cluster that Flagger's own binary runs, with rights to read and no others.

Run by `make e2e-swap`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from e2e import apps
from e2e.environment import Environment, refused, until
from e2e.planes.gates import Gates
from e2e.swap.scenarios import NEW, OLD, app, hook, release, visited
from e2e.swap.turns import Turns

pytestmark = pytest.mark.long

READ = ["get", "list", "watch"]
RULES = [
    {"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": READ},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": READ},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods", "pods/log", "events", "services"], "verbs": READ},
]
ROLES = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader"}}


class Reader:
    """A person who may read one namespace."""

    def __init__(self, env: Environment) -> None:
        where = {"kind": "ServiceAccount", "name": "reader", "namespace": env.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
        env.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}},
            {**ROLES, "kind": "Role", "rules": RULES},
            {**ROLES, "kind": "RoleBinding", "roleRef": role, "subjects": [where]},
        )
        self.env, self._config = env, env.stage.account(env.namespace, "reader")

    def begun(self, *words: str) -> subprocess.Popen[str]:
        """A command that has begun."""
        argv = [sys.executable, "-m", "pyflagger.cli.main", *words, "-n", self.env.namespace]
        environ = os.environ | {"KUBECONFIG": str(self._config)}
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ)

    def __call__(self, *words: str, status: int = 0) -> str:
        """What a command prints."""
        done = self.begun(*words)
        said, _ = done.communicate(timeout=300)
        assert done.returncode == status, said
        return said


@pytest.fixture
def turns(env: Environment) -> Turns:
    """Nobody acts yet."""
    return Turns(env)


def test_reading_where_flagger_runs(turns: Turns, env: Environment) -> None:
    """A promotion and a rollback: list, get, explain, events, wait, version. No request is refused."""
    turns.theirs()
    env.apply(*app("shop"), *app("idle"))
    for name in ("shop", "idle"):
        env.wait(name, "Initialized")
    flagger = Reader(env)
    assert "● idle" in flagger("list")
    with visited(env.stage.urls["ingress"], "shop.local"):
        waiting = flagger.begun("wait", "shop", "--for-image", f"{apps.IMAGE}:{NEW}", "--timeout", "4m")
        release(env, "shop")
        until(lambda: env.status("shop")["canaryWeight"] == 20, lambda: env.said("shop"), 120)
        rows = {row["name"]: row for row in json.loads(flagger("list", "-o", "json"))["items"]}
        assert (rows["shop"]["verdict"], rows["shop"]["weight"]["canary"]) == ("moving", 20)
        shown = flagger("get", "shop")
        assert "Run by Flagger" in shown and f"podinfo:{OLD}" in shown and f"podinfo:{NEW}" in shown
        assert "Flagger runs this canary" in flagger("explain", "shop")
        assert "Advance shop" in flagger("events", "shop")
        assert "Operator     Flagger\n" in flagger("version")
        said, _ = waiting.communicate(timeout=300)
        assert waiting.returncode == 0 and said.splitlines()[-1].endswith("the release was promoted"), said
    assert flagger("wait", "shop", "--for", "idle", "--timeout", "1m")
    assert refused(env.stage, f"system:serviceaccount:{env.namespace}:reader") == []


def test_a_rollback_where_flagger_runs(turns: Turns, env: Environment) -> None:
    """A hook that says no. `wait` says so by its status; a signal ends it and nothing else; logs need a kubelet."""
    gates = Gates()
    turns.theirs()
    env.apply(*app("fails", hook("rollout", gates.url)))
    env.wait("fails", "Initialized")
    flagger = Reader(env)
    release(env, "fails")
    env.wait("fails", "Progressing", 120)
    stopped = flagger.begun("wait", "fails")
    assert stopped.stdout is not None and "fails" in stopped.stdout.readline()
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(20) == 130
    said = flagger("wait", "fails", "--timeout", "4m", "--explain", status=3)
    assert "the release was rolled back" in said and "fails" in said.splitlines()[-1]
    assert "✖ failed" in flagger("list")
    assert flagger("explain").startswith("NAME")
    unread = flagger("logs", "fails", status=1).splitlines()
    assert unread and all(line.split()[1].startswith("fails-") and ": " in line for line in unread)
    gates.close()
