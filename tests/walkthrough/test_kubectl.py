"""The kubectl of the wheel and a client library on the sandbox: every verb that its users type."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.clock import SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.events import Events
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import find
from pyflagger.kube.resources import CONFIG_MAPS
from pyflagger.logs import logger
from walkthrough.sandboxed import BIN, COMMAND, Sandbox, first_line, shop

pytestmark = pytest.mark.real

APP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {COLOR: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: ghcr.io/stefanprodan/podinfo:6.0.0
          ports: [{name: http, containerPort: 9898}]
          envFrom: [{configMapRef: {name: settings}}]
          readinessProbe: {httpGet: {path: /readyz, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""


TESTER = """
apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: tester, namespace: shop}
    spec:
      selector: {matchLabels: {app: tester}}
      template:
        metadata: {labels: {app: tester}}
        spec:
          containers:
            - name: tester
              image: ghcr.io/fluxcd/flagger-loadtester:0.36.0
              args: [-port=8080]
              env: [{name: COLOUR, value: red}]
              ports: [{name: http, containerPort: 8080}]
              readinessProbe: {httpGet: {path: /healthz, port: http}}
  - apiVersion: v1
    kind: Service
    metadata: {name: tester, namespace: shop}
    spec: {selector: {app: tester}, ports: [{port: 80, targetPort: http}]}
"""


async def tell(kubeconfig: str, texts: Sequence[str]) -> None:
    """Write Events about the ConfigMap of the shop, as the operator does about a Canary."""
    clock = SystemClock()
    transport = AiohttpTransport(await find(kubeconfig, "", clock))
    client = Client(transport, clock)
    try:
        about = await client.get(CONFIG_MAPS, "shop", "settings")
        events = Events(client, clock, logger())
        events.start()
        for text in texts:
            events.record({"apiVersion": "v1", "kind": "ConfigMap", **about}, "Normal", text)
        await events.stop()
    finally:
        await transport.close()


@pytest.fixture(scope="module")
def place() -> Iterator[Sandbox]:
    """A sandbox with a small shop in it."""
    with shop(APP) as running:
        yield running


def test_get_all(place: Sandbox) -> None:
    """Everything of a namespace, with the columns that people read."""
    text = place.kubectl("-n", "shop", "get", "all")
    assert "deployment.apps/web   2/2     2            2" in text
    assert "service/web" in text and "replicaset.apps/web-" in text and text.count("pod/web-") == 2
    assert "canary.flagger.app" not in text
    assert "NAME" in place.kubectl("get", "nodes,namespaces")


def test_api_resources(place: Sandbox) -> None:
    """Discovery, custom kinds included."""
    lines = place.kubectl("api-resources").splitlines()
    assert any(line.split()[:2] == ["deployments", "deploy"] for line in lines)
    assert any(line.startswith("canaries") and "flagger.app/v1beta1" in line for line in lines)
    assert "flagger.app/v1beta1" in place.kubectl("api-versions").splitlines()


EXPLAINED = {
    "canary.spec.analysis.stepWeight": ("KIND:       Canary", "FIELD: stepWeight <number>", "DESCRIPTION"),
    "canary.spec.analysis.webhooks": ("FIELD: webhooks <[]Object>", "timeout\t<string>"),
    "deployment.spec.replicas": ("KIND:       Deployment", "FIELD: replicas <integer>"),
    "ingress.spec": ("FIELD: spec <", "ingressClassName"),
}


@pytest.mark.parametrize("path", EXPLAINED)
def test_explain(place: Sandbox, path: str) -> None:
    """Types and meanings of ours and of the built-in kinds."""
    text = place.kubectl("explain", path)
    for words in EXPLAINED[path]:
        assert words in text, text


def test_describe(place: Sandbox) -> None:
    """With events at the end."""
    text = place.kubectl("-n", "shop", "describe", "deployment", "web")
    assert "Replicas:               2 desired | 2 updated | 2 total | 2 available" in text
    assert "ScalingReplicaSet" in text and "COLOR" not in text
    assert "Endpoints" in place.kubectl("-n", "shop", "describe", "service", "web")
    pod = place.object("-n", "shop", "pods")["items"][0]["metadata"]["name"]
    assert "Container ID" in place.kubectl("-n", "shop", "describe", "pod", pod)


def test_logs(place: Sandbox) -> None:
    """What a pod wrote, by its own name and by its Deployment's."""
    pod = place.object("-n", "shop", "pods")["items"][0]["metadata"]["name"]
    assert place.kubectl("-n", "shop", "logs", pod).strip()
    assert place.kubectl("-n", "shop", "logs", "deployment/web", "--tail=1").strip()


def test_edit(place: Sandbox, tmp_path: Path) -> None:
    """An editor that changes a line; a change that makes no sense is told of in the editor's file."""
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/COLOR: red/COLOR: blue/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IEXEC)
    environ = {**os.environ, **place.environ, "KUBE_EDITOR": str(editor)}
    done = subprocess.run(
        [str(BIN / "kubectl"), "-n", "shop", "edit", "configmap", "settings"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "configmap/settings edited" in done.stdout, done
    assert place.object("-n", "shop", "configmap", "settings")["data"] == {"COLOR": "blue"}


def test_watching(place: Sandbox) -> None:
    """`get -w` prints a line for each change."""
    command = [str(BIN / "kubectl"), "-n", "shop", "get", "configmap", "watched", "-w", "-o", "name"]
    place.kubectl("-n", "shop", "create", "configmap", "watched", "--from-literal=a=1")
    process = subprocess.Popen(command, env={**os.environ, **place.environ}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "configmap/watched\n"
        place.kubectl("-n", "shop", "label", "configmap", "watched", "x=y")
        assert process.stdout.readline() == "configmap/watched\n"
        place.kubectl("-n", "shop", "delete", "configmap", "watched")
        assert process.stdout.readline() == "configmap/watched\n"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_apply_diff_and_prune(place: Sandbox) -> None:
    """Three-way: what was left out goes, what others set stays; a diff says so before."""
    first = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}}
    place.kubectl("apply", "-f", "-", said=yaml.safe_dump({**first, "data": {"a": "1", "b": "2"}}))
    place.kubectl("-n", "shop", "patch", "configmap", "c", "--type=merge", "-p", '{"data":{"c":"3"}}')
    second = yaml.safe_dump({**first, "data": {"a": "9"}})
    text = place.kubectl("diff", "-f", "-", said=second, check=False)
    assert '-  b: "2"' in text and '+  a: "9"' in text
    assert "configmap/c configured" in place.kubectl("apply", "-f", "-", said=second)
    assert place.object("-n", "shop", "configmap", "c")["data"] == {"a": "9", "c": "3"}
    assert "configmap/c unchanged" in place.kubectl("apply", "-f", "-", said=second)
    text = place.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", said=second)
    assert "configmap/c serverside-applied" in text


def test_apply_that_makes_no_sense(place: Sandbox) -> None:
    """A slip of the pen is told by its path, before anything is stored."""
    deployment = yaml.safe_load_all(APP)
    app = next(obj for obj in deployment if obj["kind"] == "Deployment")
    app["spec"]["replica"] = 3
    text = place.kubectl("apply", "-f", "-", said=yaml.safe_dump(app), check=False)
    assert 'unknown field "spec.replica"' in text


def test_imperative_verbs(place: Sandbox) -> None:
    """create, expose, scale, set, annotate, patch, rollout, delete."""
    run = place.kubectl
    run("-n", "shop", "create", "deployment", "api", "--image=ghcr.io/stefanprodan/podinfo:6.0.0", "--port=9898")
    run("-n", "shop", "rollout", "status", "deployment/api", "--timeout=60s")
    run("-n", "shop", "expose", "deployment", "api", "--port=80", "--target-port=9898")
    run("-n", "shop", "scale", "deployment", "api", "--replicas=2")
    run("-n", "shop", "set", "image", "deployment/api", "podinfo=ghcr.io/stefanprodan/podinfo:6.0.1")
    run("-n", "shop", "set", "env", "deployment/api", "A=b")
    run("-n", "shop", "annotate", "deployment", "api", "note=x")
    run("-n", "shop", "rollout", "restart", "deployment/api")
    run("-n", "shop", "rollout", "status", "deployment/api", "--timeout=60s")
    assert "REVISION" in run("-n", "shop", "rollout", "history", "deployment/api")
    run("-n", "shop", "rollout", "undo", "deployment/api")
    run("-n", "shop", "rollout", "status", "deployment/api", "--timeout=60s")
    run("-n", "shop", "autoscale", "deployment", "api", "--min=2", "--max=4", "--cpu-percent=80")
    run("-n", "shop", "wait", "deployment/api", "--for=condition=Available", "--timeout=60s")
    assert "api" in run("-n", "shop", "get", "hpa")
    run("-n", "shop", "delete", "deployment,service,hpa", "api")
    assert "not found" in run("-n", "shop", "get", "deployment", "api", check=False)


def test_outputs(place: Sandbox) -> None:
    """jsonpath, custom columns, sorting, selectors, names."""
    run = place.kubectl
    assert run("-n", "shop", "get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    text = run("-n", "shop", "get", "pods", "-l", "app=web", "-o", "custom-columns=N:.metadata.name", "--no-headers")
    assert len(text.split()) == 2
    assert (
        run("-n", "shop", "get", "cm", "--field-selector=metadata.name=settings", "-o", "name")
        == "configmap/settings\n"
    )
    assert "Running" in run("get", "pods", "-A", "--sort-by=.metadata.creationTimestamp", "-o", "wide")


def test_wait_for_deletion(place: Sandbox) -> None:
    """A namespace goes with all that is in it, and kubectl waits for that."""
    place.kubectl("create", "namespace", "short")
    place.kubectl("-n", "short", "create", "configmap", "a", "--from-literal=x=y")
    place.kubectl("delete", "namespace", "short", "--timeout=60s")
    assert "NotFound" in place.kubectl("get", "namespace", "short", check=False)


LIBRARY = """
import asyncio, json, sys
from kubernetes_asyncio import client, config, watch

async def main():
    await config.load_kube_config()
    async with client.ApiClient() as api:
        core, leases = client.CoreV1Api(api), client.CoordinationV1Api(api)
        custom = client.CustomObjectsApi(api)
        seen = []

        async def follow():
            async with watch.Watch().stream(core.list_namespaced_config_map, "shop", timeout_seconds=20) as stream:
                async for event in stream:
                    if event["object"].metadata.name == "library":
                        seen.append(event["type"])
                        if event["type"] == "DELETED":
                            return

        task = asyncio.create_task(follow())
        await asyncio.sleep(0.5)
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="library"), data={"a": "1"})
        await core.create_namespaced_config_map("shop", body)
        await core.patch_namespaced_config_map("library", "shop", {"data": {"a": "2"}})
        await core.delete_namespaced_config_map("library", "shop")
        await asyncio.wait_for(task, 30)
        spec = client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=10)
        lease = client.V1Lease(metadata=client.V1ObjectMeta(name="l"), spec=spec)
        lease = await leases.create_namespaced_lease("shop", lease)
        lease.spec.holder_identity = "you"
        await leases.replace_namespaced_lease("l", "shop", lease)
        try:
            await leases.replace_namespaced_lease("l", "shop", lease)
            conflict = 0
        except client.ApiException as error:
            conflict = error.status
        canaries = await custom.list_cluster_custom_object("flagger.app", "v1beta1", "canaries")
        print(json.dumps({"seen": seen, "conflict": conflict, "canaries": len(canaries["items"])}))

asyncio.run(main())
"""


def test_a_client_library(place: Sandbox) -> None:
    """kubernetes_asyncio: a watch, a Lease with its conflict, custom objects."""
    done = subprocess.run(
        [str(BIN / "python"), "-c", LIBRARY],
        env={**os.environ, **place.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said == {"seen": ["ADDED", "MODIFIED", "DELETED"], "conflict": 409, "canaries": 0}


async def test_events_of_one_second_as_they_happened(place: Sandbox) -> None:
    """By `describe`, `get events` and `events --for`; a text that comes again is the last one, not the first."""
    texts = [f"text {number} of a release" for number in (*range(30), 3)]
    await tell(place.places["kubeconfig"], texts)
    for words in (("describe", "configmap", "settings"), ("get", "events"), ("events", "--for=configmap/settings")):
        said = place.kubectl("-n", "shop", *words)
        assert re.findall(r"text \d+ of a release", said) == texts, words


# Commands in pods -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tester(place: Sandbox) -> str:
    """A load tester in the shop, applied as a `List`, by what `kubectl exec` calls it."""
    assert "deployment.apps/tester created" in place.kubectl("apply", "-f", "-", said=TESTER)
    place.kubectl("-n", "shop", "rollout", "status", "deployment/tester", "--timeout=60s")
    return "deploy/tester"


def test_exec(place: Sandbox, tester: str) -> None:
    """Variables of the container, both streams, input to its end, exit codes, and what cannot be run."""

    def run(*words: str, said: str = "", check: bool = True) -> str:
        flags = ["-i"] if said else []
        return place.kubectl("-n", "shop", "exec", *flags, tester, "--", *words, said=said, check=check)

    assert sorted(run("sh", "-c", "echo $COLOUR; echo wrong >&2").split()) == ["red", "wrong"]
    assert run("wc", "-c", said="x" * 200_000).strip() == "200000"
    assert run("sh", "-c", "exit 3", check=False).strip() == "command terminated with exit code 3"
    assert "cannot run no-such-program in this container" in run("no-such-program", check=False)
    said = place.kubectl("-n", "shop", "exec", tester, "-c", "other", "--", "true", check=False)
    assert "container" in said and "other" in said


def test_exec_of_podcli(place: Sandbox) -> None:
    """The health checks of podinfo's image, by themselves and in a script; a check that fails fails."""

    def run(*words: str, check: bool = True) -> str:
        return place.kubectl("-n", "shop", "exec", "deploy/web", "--", *words, check=check)

    assert "check succeed" in run("podcli", "check", "http", "localhost:9898/readyz")
    assert "check succeed" in run("sh", "-c", "podcli check http web.shop/version && podcli check tcp localhost:9898")
    assert "exit code 1" in run("podcli", "check", "http", "localhost:9898/status/500", check=False)
    assert run("podcli", "version") == "6.0.0\n"


def test_a_gate_is_opened_from_within_the_load_tester(place: Sandbox, tester: str) -> None:
    """As the reference's documentation says: `localhost` is the pod, and Services have their names."""
    body = '{"name": "podinfo", "namespace": "shop"}'

    def curl(url: str) -> str:
        return place.kubectl("-n", "shop", "exec", tester, "--", "curl", "-s", "-d", body, url)

    assert curl("http://tester.shop/gate/check") == "Forbidden"
    curl("http://localhost:8080/gate/open")
    assert curl("http://tester/gate/check") == "Approved"


def test_exec_on_a_terminal(place: Sandbox, tester: str) -> None:
    """`-it` gives the command one, with both streams in it; what is typed reaches it."""
    ours, theirs = pty.openpty()
    words = [
        str(BIN / "kubectl"),
        "-n",
        "shop",
        "exec",
        "-it",
        tester,
        "--",
        "sh",
        "-c",
        "tty; read a; echo got $a >&2",
    ]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **place.environ})
    os.write(ours, b"word\n")
    assert process.wait(timeout=60) == 0
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "/dev/" in said and "got word" in said


def test_files_are_copied(place: Sandbox, tester: str, tmp_path: Path) -> None:
    """Into a pod and out of it."""
    pod = place.kubectl("-n", "shop", "get", "pods", "-l", "app=tester", "-o", "jsonpath={.items[0].metadata.name}")
    (tmp_path / "a").write_text("a" * 100_000)
    place.kubectl("cp", f"{tmp_path}/a", f"shop/{pod}:{tmp_path}/b")
    place.kubectl("cp", f"shop/{pod}:{tmp_path}/b", f"{tmp_path}/c")
    assert (tmp_path / "c").read_text() == (tmp_path / "a").read_text()


def test_services_have_names_on_this_machine(place: Sandbox, tester: str) -> None:
    """Through the proxy whose address the sandbox prints."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": place.places["proxy"]}))
    with opener.open("http://tester.shop/healthz", timeout=10) as answer:
        assert answer.read() == b"OK"


@pytest.mark.parametrize("short", ["so", "sj", "ta", "cta"])
def test_kinds_of_keda_have_their_short_names(place: Sandbox, short: str) -> None:
    """So that people find what they look for."""
    assert "No resources found" in place.kubectl("get", short)


def test_nothing_outlives_a_killed_sandbox(tmp_path: Path) -> None:
    """Its children end with it; its files are removed by the next one, and those of living ones stay."""
    with place_in(tmp_path) as first, place_in(tmp_path) as second:
        first.kubectl("create", "namespace", "shop")
        first.kubectl("apply", "-f", "-", said=TESTER)
        first.kubectl("-n", "shop", "rollout", "status", "deployment/tester", "--timeout=60s")
        children = descendants(first.process.pid)
        assert len(children) == 2, "Traefik and the load tester"
        first.process.kill()
        first.process.wait()
        wait_until(lambda: not any(alive(pid) for pid in children))
        left = [path for path in tmp_path.iterdir() if path.name.startswith("flagger-")]
        assert len(left) == 6
        for path in left:
            os.utime(path, (0, 0))
        with place_in(tmp_path) as third:
            assert Path(third.places["kubeconfig"]).exists() and Path(second.places["kubeconfig"]).exists()
            assert len([path for path in tmp_path.iterdir() if path.name.startswith("flagger-")]) == 6
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("flagger-")]


@contextmanager
def place_in(folder: Path) -> Iterator[Sandbox]:
    """A sandbox whose temporary files are in a folder; it may have been killed when the block ends."""
    environ = {**os.environ, "TMPDIR": str(folder)}
    words = [*COMMAND, "--json", "--no-operator", "--mesh-provider=kubernetes"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        places = json.loads(first_line(process))
        yield Sandbox(places, process, {"KUBECONFIG": places["kubeconfig"]})
    finally:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def descendants(pid: int) -> list[int]:
    """The children of a process."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in found.split()]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(so: Callable[[], bool]) -> None:
    """Wait for other processes, 15 seconds at most."""
    clock = SystemClock()
    end = clock.monotonic() + 15
    while not so():
        assert clock.monotonic() < end
        threading.Event().wait(0.05)
