"""The images as pods: containers on the network of the run, each with the token of its service account.

No kubelet and no daemon: buildah starts a container of the image as the image's user. What the API server needs to be
found by is what a kubelet gives to a pod: the variables KUBERNETES_SERVICE_* and the folder of the account.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGTERM, Signals

from e2e.environment import Environment, until
from e2e.stage import Operator, Stage
from shipping import building

ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
"""As /var/run/…: buildah mounts in this machine's own /run where a link is on the way."""

PROBE = ("wget", "--quiet", "--tries=1", "--timeout=4", "--spider")
"""What the reference's manifests and charts run as a probe, before the URL."""

START_SECONDS_MAX = 60.0


class Pod(Operator):
    """A container that runs until it is stopped."""

    def stop(self, number: Signals = SIGTERM) -> int:
        """End it and what it has started; its exit status."""
        if self.process is None:
            return 0
        if self.runs:
            os.killpg(self.pid, number)
        return self.process.wait(START_SECONDS_MAX)


def pod(env: Environment, account: str, box: str, words: Sequence[str], port: int, volumes: Mapping[str, Path]) -> Pod:
    """A container that runs words under a service account of the namespace, until it answers its probe on a port.

    `volumes`: folders of this machine, by where they are in the container. Other users can read them afterwards.
    """
    name = f"{account}-{env.namespace}"
    folders = {ACCOUNT: mounted(env.stage, env.namespace, account), **volumes}
    options = [*variables(env.stage, env.namespace), *binds(folders)]
    argv = building.running(box, *words, options=options)
    made = Pod(name, argv, env.stage.folder / f"pod-{name}.log", url=f"http://127.0.0.1:{port}")
    env.started(made)
    until(lambda: made.page("/healthz"), made.tail, START_SECONDS_MAX)
    return made


def mounted(stage: Stage, namespace: str, account: str) -> Path:
    """The folder that a kubelet mounts for a service account."""
    folder = stage.folder / f"account-{namespace}-{account}"
    folder.mkdir()
    (folder / "token").write_text(stage.token(namespace, account))
    (folder / "ca.crt").write_bytes(stage.plane.authority.read_bytes())
    (folder / "namespace").write_text(namespace)
    return folder


def variables(stage: Stage, namespace: str) -> list[str]:
    """The options that set the variables of a pod."""
    found = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(stage.plane.port),
        "POD_NAMESPACE": namespace,
    }
    return [word for name, value in found.items() for word in ("--env", f"{name}={value}")]


def binds(folders: Mapping[str, Path]) -> list[str]:
    """The options that mount folders, read-only but for /tmp."""
    for folder in folders.values():
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    if "/tmp" in folders:
        folders["/tmp"].chmod(0o777)
    words = (f"{folder}:{at}:{'rw' if at == '/tmp' else 'ro'}" for at, folder in folders.items())
    return [word for each in words for word in ("--volume", each)]


def probed(box: str, url: str) -> bool:
    """Whether a probe by wget in a container passes."""
    return (
        subprocess.run(building.running(box, *PROBE, url), capture_output=True, timeout=START_SECONDS_MAX).returncode
        == 0
    )
