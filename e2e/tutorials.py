"""A tutorial followed on the real control plane: its files are saved, its commands run in order, and none may fail.

It differs from the page in few ways. The namespace is the test's own, so several pages are followed at once. The
namespace exists, so `kubectl create namespace` is a dry run. An interval of the analysis takes a second, unless the
test says otherwise, and a release two minutes at most.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.environment import Environment, until
from e2e.stage import ROOT, Stage

TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(
    r'^```(?P<language>sh|yaml)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE
)
COMMAND_SECONDS_MAX = 240.0
WEIGHTS = range(10, 51, 10)
CHANGES = {
    r"\bnamespace: test\b": "namespace: {}",
    r"-n test\b": "-n {}",
    r"create namespace test\b": "create namespace {} --dry-run=client",
    r"--timeout=15m$": "--timeout=2m",
}


@contextmanager
def operated(stage: Stage, provider: str, *flags: str) -> Iterator[Environment]:
    """A namespace `tutorial-PROVIDER`, and an operator with this default provider under the rules for a cluster."""
    env = Environment(stage, f"tutorial-{provider}")
    words = ("-namespace", env.namespace, "-mesh-provider", provider, "-min-interval", "1s", *flags)
    operator = stage.operator(stage.install("cluster"), *words, name=env.namespace)
    try:
        env.started(operator)
        until(operator.ready, operator.tail, 60)
        yield env
    finally:
        env.close()


def follow(page: str, env: Environment, folder: Path, interval: str = "1s") -> None:
    """Follow a tutorial to its end, which is a promotion. Raises AssertionError."""
    text = (TUTORIALS / f"{page}.md").read_text().replace("\n    interval: 30s\n", f"\n    interval: {interval}\n")
    for before, after in CHANGES.items():
        text = re.sub(before, after.format(env.namespace), text, flags=re.MULTILINE)
    (folder / "examples").symlink_to(ROOT / "examples")
    for block in BLOCK.finditer(text):
        if block["title"]:
            (folder / block["title"]).write_text(block["text"])
        if block["language"] == "sh":
            for command in block["text"].replace("\\\n", " ").splitlines():
                _run(command, env, folder)
    told = env.said("podinfo")
    assert [weight for weight in WEIGHTS if f"canary weight {weight}\n" not in told] == [], told
    assert f"Promotion completed! Scaling down podinfo.{env.namespace}" in told


def _run(command: str, env: Environment, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "KUBECONFIG": str(env.stage.kubeconfig)}
    done = subprocess.run(
        ["bash", "-c", command],
        env=environ,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
    )
    assert not done.returncode, f"{command}: {done.stdout}\n{env.said('podinfo')}"
