"""`kubectl port-forward` on the sandbox, with the kubectl of the wheel: Services, Deployments, pods, and their ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from walkthrough.sandboxed import BIN, Sandbox, fetch, shop
from walkthrough.test_kubectl import APP

pytestmark = pytest.mark.real

LARGE = bytes(range(256)) * (9 << 12)


@pytest.fixture(scope="module")
def place() -> Iterator[Sandbox]:
    """A sandbox with two pods of a shop behind a Service."""
    with shop(APP) as running:
        yield running


@contextmanager
def forwarded(place: Sandbox, what: str, port: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address on this machine, and kubectl."""
    words = [str(BIN / "kubectl"), "-n", "shop", "port-forward", "--address=127.0.0.1", what, f":{port}"]
    environ = {**os.environ, **place.environ}
    kubectl = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert kubectl.stdout is not None
    try:
        found = re.fullmatch(r"Forwarding from (127\.0\.0\.1:\d+) -> \d+\n", kubectl.stdout.readline())
        assert found
        yield f"http://{found[1]}", kubectl
    finally:
        kubectl.kill()
        kubectl.wait()
        kubectl.stdout.close()


def pod_of(place: Sandbox) -> str:
    """A pod of the shop that is not on its way out."""
    pods = place.object("-n", "shop", "pods", "-l", "app=web")["items"]
    return next(str(pod["metadata"]["name"]) for pod in pods if "deletionTimestamp" not in pod["metadata"])


@pytest.mark.parametrize(("what", "port"), [("svc/web", "80"), ("deployment/web", "http"), ("pod/", "9898")])
def test_many_connections_and_a_large_body(place: Sandbox, what: str, port: str) -> None:
    """All of them reach one pod, and a body of nine megabytes comes back whole."""
    what = f"pod/{pod_of(place)}" if what == "pod/" else what
    with forwarded(place, what, port) as (url, kubectl), ThreadPoolExecutor(8) as visitors:
        pods = {json.loads(answer)["hostname"] for answer in visitors.map(fetch, [f"{url}/"] * 24)}
        assert len(pods) == 1 and (not what.startswith("pod/") or pods == {what.removeprefix("pod/")})
        with urllib.request.urlopen(f"{url}/echo", data=LARGE, timeout=20) as answer:
            assert answer.read() == LARGE
        assert kubectl.poll() is None


def test_a_port_where_nobody_listens(place: Sandbox) -> None:
    """kubectl says so and ends, as on a cluster."""
    with forwarded(place, "deployment/web", "9999") as (url, kubectl):
        with pytest.raises(OSError):
            fetch(url)
        said = kubectl.communicate(timeout=10)[0]
        assert kubectl.returncode == 1 and "connection refused" in said and "lost connection to pod" in said


def test_a_pod_that_is_deleted(place: Sandbox) -> None:
    """It serves for as long as it is there; then kubectl says that it is gone."""
    pod = pod_of(place)
    with forwarded(place, f"pod/{pod}", "9898") as (url, kubectl):
        assert json.loads(fetch(f"{url}/"))["hostname"] == pod
        place.kubectl("-n", "shop", "delete", "pod", pod)
        with pytest.raises(OSError):
            fetch(f"{url}/")
        said = kubectl.communicate(timeout=10)[0]
        assert kubectl.returncode == 1 and "the pod is gone" in said and "lost connection to pod" in said
    assert 'pods "nobody" not found' in place.kubectl("-n", "shop", "port-forward", "pod/nobody", ":80", check=False)


def test_the_sandbox_ends_while_a_port_is_forwarded(place: Sandbox) -> None:
    """Both end: the sandbox in good order, kubectl with its usual words. The last test of this file."""
    with forwarded(place, "svc/web", "80") as (url, kubectl):
        assert fetch(f"{url}/version")
        place.process.terminate()
        assert place.process.wait(timeout=30) == 0
        assert "lost connection to pod" in kubectl.communicate(timeout=10)[0]
