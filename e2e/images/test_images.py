"""Both images on a real control plane, installed by our charts: a release, and every tool of the load tester.

Run by `make image-test`, which builds the images before.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.apps import IMAGE, whole
from e2e.environment import Environment, refused, until
from e2e.images.pods import PROBE, Pod, pod, probed
from e2e.images.targets import files, grpc_server, http2_server, twin
from e2e.stage import ROOT, Stage
from e2e.visitors import Visitors
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import find, free_port
from shipping import building

pytestmark = pytest.mark.image

OPERATOR, TESTER = "localhost/pyflagger:test", "localhost/pyflagger-loadtester:test"
OPERATOR_PORT = 8080
OLD, NEW = "6.0.0", "6.0.1"
TASK_SECONDS_MAX = 60.0
RULES = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "create", "update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
]
"""What `helm test` and the kubectl of the tasks need."""

SMOKE: Obj = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "{{ .Release.Name }}", "annotations": {"helm.sh/hook": "test"}},
    "spec": {"schedulerName": "none", "restartPolicy": "Never", "containers": [{"name": "smoke", "image": "smoke"}]},
}
"""The Pod of a chart's test; nothing runs it, so the test decides how it ends."""

FILES = {
    "good.bats": '@test "the app answers" {\n  curl -sf -H "Host: $HOST.local" $INGRESS/version\n}\n',
    "bad.bats": '@test "the app is a teapot" {\n  curl -s -o /dev/null -w "%{http_code}" $INGRESS | grep 418\n}\n',
    "load.lua": 'wrk.headers["Host"] = "api.local"\n',
    "key": "c0ncord-key-0123456789",
    "chart/Chart.yaml": "apiVersion: v2\nname: smoke\nversion: 1.0.0\n",
    "chart/templates/test.yaml": yaml.safe_dump(SMOKE),
}


@dataclass(frozen=True)
class Image:
    """An image that runs as a pod in a container."""

    env: Environment
    account: str
    box: str
    pod: Pod

    @property
    def user(self) -> str:
        """The user name of its service account."""
        return f"system:serviceaccount:{self.env.namespace}:{self.account}"

    def ask(self, kind: str, command: str = "", **more: str) -> tuple[int, str]:
        """Ask the load tester for a task as a webhook does; status and output."""
        metadata = {"type": kind, "returnCmdOutput": "true", **({"cmd": command} if command else {}), **more}
        body = json.dumps({"name": "shop", "namespace": self.env.namespace, "metadata": metadata}).encode()
        request = urllib.request.Request(self.pod.url, body, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TASK_SECONDS_MAX) as answer:
                return int(answer.status), str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def helm(env: Environment, *words: str, values: Mapping[str, Any] | None = None) -> None:
    """Run helm as the administrator. Raises CalledProcessError."""
    command = [find("helm"), "-n", env.namespace, "--kubeconfig", str(env.stage.kubeconfig), *words]
    more = ["-f", "-"] if values else []
    subprocess.run([*command, *more], cwd=ROOT, input=yaml.safe_dump(values or {}), text=True, check=True)


@pytest.fixture(scope="module")
def place(stage: Stage) -> Iterator[Environment]:
    """One namespace for all tests here."""
    env = Environment(stage, "images")
    try:
        yield env
    finally:
        env.close()


@contextmanager
def installed(env: Environment, name: str, values: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """A chart of ours, installed under the name of Flagger's objects; the words of its container. Uninstalled after."""
    helm(env, "install", name, f"charts/{name.removeprefix('flagger-')}", values=values)
    try:
        (container,) = env.get("deployment", name)["spec"]["template"]["spec"]["containers"]
        yield container["args"]
    finally:
        helm(env, "uninstall", name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is mounted in the load tester: files of tests, and an empty /tmp."""
    made = tmp_path_factory.mktemp("mounted")
    (made / "tmp").mkdir()
    return files(made / "test", FILES).parent


@pytest.fixture(scope="module")
def tester(place: Environment, folder: Path) -> Iterator[Image]:
    """The load tester with the account, the rules and the flags that its chart installs."""
    values = {"replicaCount": 0, "rbac": {"create": True, "rules": RULES}}
    port, volumes = free_port(), {"/etc/test": folder / "test", "/tmp": folder / "tmp"}
    with building.container(TESTER) as box, installed(place, "flagger-loadtester", values) as args:
        running = pod(place, "flagger-loadtester", box, ["./loadtester", *args, f"-port={port}"], port, volumes)
        made = Image(place, "flagger-loadtester", box, running)
        place.stage.evidence.lacking.add(made.user)  # a task asks for nodes, and `helm test` for its namespace
        try:
            yield made
        finally:
            running.stop()


@pytest.fixture(scope="module")
def operator(place: Environment) -> Iterator[Image]:
    """The operator with the account, the rules and the flags that its chart installs."""
    values = {"meshProvider": "nginx", "minInterval": "1s", "metricsServer": place.stage.urls["metrics"]}
    with building.container(OPERATOR) as box, installed(place, "flagger", values) as args:
        running = pod(place, "flagger", box, ["flagger", *args], OPERATOR_PORT, {})
        try:
            yield Image(place, "flagger", box, running)
            place.kubectl("delete", "canaries", "--all", "--timeout=20s")
        finally:
            running.stop()


def hooks(tester: Image) -> list[Obj]:
    """Smoke tests before the release, and load during it, by the tools of the load tester's image."""
    url, ingress = f"{tester.pod.url}/", tester.env.stage.urls["ingress"]
    load = {"type": "cmd", "cmd": f"hey -z 30s -q 20 -c 2 -host shop.local {ingress}"}
    smoke = {"type": "bash", "cmd": f"HOST=shop INGRESS={ingress} bats /etc/test/good.bats"}
    return [
        {"name": "smoke", "type": "pre-rollout", "url": url, "timeout": "30s", "metadata": smoke},
        {"name": "load", "type": "rollout", "url": url, "timeout": "5s", "metadata": load},
    ]


def test_a_release(operator: Image, tester: Image, figure: Callable[[str], None]) -> None:
    """Tested, loaded, checked by what the ingress counted, promoted: no visit fails, no request is refused."""
    env, ingress = operator.env, operator.env.stage.urls["ingress"]
    check = {"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}
    analysis = {"threshold": 30, "interval": "2s", "webhooks": hooks(tester), "metrics": [check]}
    env.apply(*whole("shop", analysis=analysis))
    env.wait("shop", "Initialized")
    with Visitors(ingress, "shop.local", per_second=20, threads=1) as early:
        until(lambda: early.count()[OLD])
    with Visitors(ingress, "shop.local", per_second=20, threads=1) as visitors:
        env.kubectl("set", "image", "deployment/shop", f"web={IMAGE}:{NEW}")
        env.wait("shop", "Succeeded", 120)
    (container,) = env.get("deployment", "shop-primary")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{IMAGE}:{NEW}"
    assert visitors.failed == [] and visitors.seen[NEW]
    told = env.said("shop")
    assert "Pre-rollout check smoke passed" in told and "canary weight 40" in told
    assert refused(env.stage, operator.user) == refused(env.stage, tester.user) == []
    assert operator.user in {entry["user"]["username"] for entry in env.stage.plane.audited()}
    assert re.search(r'flagger_canary_status\{[^}]*name="shop"[^}]*\} 1', operator.pod.page("/metrics"))
    figure(f"the images: a release with {visitors.count().total()} visits, 0 failed")


def test_probes(operator: Image, tester: Image) -> None:
    """By wget, as manifests of the reference have them: they pass where the service answers, and nowhere else."""
    for one in (operator, tester):
        assert probed(one.box, f"{one.pod.url}/healthz")
        assert not probed(one.box, f"{one.pod.url}/nowhere") and not probed(one.box, f"http://127.0.0.1:{free_port()}/")


TASKS: list[tuple[str, str, int, str]] = [
    ("bash", "hey -z 1s -q 10 -c 2 -host api.local {ingress}", 200, r"\[200\]\s+\d+ responses"),
    ("bash", "hey -n 20 -c 2 -h2 {http2}", 200, r"\[200\]\s+20 responses"),
    ("bash", "hey -n 20 -c 2 {http2}", 200, r"Error distribution"),
    ("bash", "hey -n 4 -c 2 -m POST -T text/plain -d test {url}/gate/approve", 200, r"\[200\]\s+4 responses"),
    ("bash", "wrk -d 1s -c 2 -t 1 -s /etc/test/load.lua {ingress}", 200, r"Requests/sec:(?s:(?!Non-2xx).)*$"),
    ("bash", "ghz -z 1s --rps 10 -c 2 --insecure --call=grpc.health.v1.Health/Check {grpc}", 200, r"\[OK\]\s+\d+ resp"),
    ("bash", "ghz -n 1 --insecure --call=grpc.health.v1.Health/Check {plain}", 500, r"reflection|Unimplemented"),
    (
        "bash",
        "ghz -z 1s --rps 10 -c 2 --insecure --proto=/tmp/ghz/health.proto --call=grpc.health.v1.Health/Check {plain}",
        200,
        r"\[OK\]\s+\d+ responses",
    ),
    ("bash", "grpc_health_probe -addr={plain}", 200, r"status: SERVING"),
    ("bash", "grpc_health_probe -addr={plain} -service=shop", 500, r"exit status 3"),
    ("bash", "HOST=api INGRESS={ingress} bats /etc/test/good.bats", 200, r"ok 1 the app answers"),
    ("bash", "INGRESS={ingress} bats /etc/test/bad.bats", 500, r"not ok 1 the app is a teapot"),
    ("bash", "curl -sf -H 'Host: api.local' {ingress}/version | jq -r .version", 200, rf"^{re.escape(OLD)}"),
    ("bash", " ".join(PROBE) + " {url}/healthz", 200, r"^\s*$"),
    ("bash", " ".join(PROBE) + " http://127.0.0.1:{closed}/", 500, r"exit status 4"),
    ("kubectl", "get deployment api -o jsonpath='{{.metadata.name}}'", 200, r"^api"),
    ("kubectl", "get nodes", 500, r"nodes is forbidden: User \"system:serviceaccount:{namespace}:flagger-loadtester\""),
    ("helmv3", "list --all", 200, r"flagger-loadtester\s+{namespace}"),
]
"""Type, command, status, and what the output contains."""


@pytest.fixture(scope="module")
def places(operator: Image, tester: Image) -> Iterator[Mapping[str, object]]:
    """What commands are pointed at: an app behind the ingress, servers, and a port that nobody listens on."""
    env = operator.env
    env.apply(*whole("api"))
    env.wait("api", "Initialized")
    with (
        grpc_server(reflecting=True) as grpc,
        grpc_server(reflecting=False) as plain,
        http2_server(env.stage.folder) as http2,
    ):
        own = {"ingress": env.stage.urls["ingress"], "url": tester.pod.url, "closed": free_port()}
        yield {**own, "grpc": grpc, "plain": plain, "http2": http2, "namespace": env.namespace}


@pytest.mark.parametrize(("kind", "command", "status", "wanted"), TASKS, ids=range(len(TASKS)))
def test_a_tool(tester: Image, places: Mapping[str, object], kind: str, command: str, status: int, wanted: str) -> None:
    """It does its work on what runs there, and fails where it has to; kubectl and helm use the account of the pod."""
    got, text = tester.ask(kind, command.format(**places))
    assert got == status and re.search(wanted.replace("{namespace}", tester.env.namespace), text), f"{got} {text}"


@pytest.mark.parametrize(("phase", "status"), [("Succeeded", 200), ("Failed", 500)])
def test_helm_test(tester: Image, folder: Path, phase: str, status: int) -> None:
    """`helm test` makes the Pod of the chart's test and answers by how the Pod ends."""
    env, release = tester.env, f"smoke-{phase.lower()}"
    helm(env, "install", release, str(folder / "test" / "chart"))
    with ended(env, release, phase):
        got, text = tester.ask("helmv3", f"test {release} --timeout 30s -n {env.namespace}")
    assert got == status and re.search(rf"Phase:\s+{phase}", text), text


@contextmanager
def ended(env: Environment, name: str, phase: str) -> Iterator[None]:
    """A Pod ends in a phase as soon as it is there: nothing runs it."""

    def end() -> None:
        until(lambda: name in env.kubectl("get", "pods", "-o", "name"))
        patch = json.dumps({"status": {"phase": phase}})
        env.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize(("end", "status"), [("FINISHED", 200), ("FAILED", 500)])
def test_concord(tester: Image, end: str, status: int) -> None:
    """A process that finishes passes, and one that fails does not."""
    started, polled = {"instanceId": "4b1c-22", "ok": True}, {"instanceId": "4b1c-22", "status": end}
    with twin(started, polled) as concord:
        fields = {"org": "shop", "project": "checks", "repo": "main", "entrypoint": "smoke", "pollInterval": "1"}
        more = {"server": concord.url, "endpoint": "http://shop-canary/", "apiKeyPath": "/etc/test/key"}
        got, text = tester.ask("concord", **fields, **more)
    assert got == status, text
    assert concord.asked == ["POST /api/v1/process", "GET /api/v1/process/4b1c-22"]


def test_ngrinder(tester: Image) -> None:
    """A test is cloned, started and followed to its end, which the list of tasks shows."""
    started, polled = {"success": True, "id": 42}, {"success": True, "status": [{"status_id": "FINISHED", "id": 42}]}
    with twin(started, polled) as grinder:
        login = {"username": "admin", "passwd": "YWRtaW4=", "clone": "100"}
        assert tester.ask("ngrinder", server=grinder.url, **login)[0] == 202
        until(lambda: len(grinder.asked) == 2, lambda: tester.pod.page("/tasks"))
        url = f"{grinder.url}/perftest/api/100/clone_and_start"
        until(lambda: result(tester, url) == "succeeded", lambda: tester.pod.page("/tasks"))
    assert grinder.asked == ["POST /perftest/api/100/clone_and_start", "GET /perftest/api/42/status"]


def result(tester: Image, command: str) -> str:
    """How a task ended, by what the list of tasks shows as its command; empty before."""
    tasks: list[Obj] = json.loads(tester.pod.page("/tasks"))["ended"]
    return next((str(task["result"]) for task in tasks if task["command"] == command), "")
