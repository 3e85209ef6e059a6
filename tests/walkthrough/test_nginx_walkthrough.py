"""The NGINX walkthrough on a sandbox, by kubectl: a canary from the first apply to its deletion."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from walkthrough.sandboxed import ROOT, Sandbox, Visitor, children, fetch, listens, sandbox

pytestmark = pytest.mark.real

EXAMPLES = "examples/nginx"
NEW = "stefanprodan/podinfo:3.1.3"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Sandbox]:
    """One sandbox for the file, with the load tester in namespace `test`."""
    with sandbox() as found:
        found.kubectl("create", "ns", "test")
        found.kubectl("-n", "test", "apply", "-k", "kustomize/tester")
        yield found


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something outside of this process."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end, f"never {what}"
        pause.wait(0.2)


def weight(cluster: Sandbox) -> int:
    """The weight in the canary's status."""
    status = cluster.object("-n", "test", "canary", "podinfo").get("status", {})
    return int(status.get("canaryWeight", 0))


def test_a_release_by_hand(cluster: Sandbox) -> None:
    """Applied, released, watched, promoted: what each command shows.

    No visitor fails, also during the promotion: the strategy of the example's Deployment takes its only pod away before
    the next one is ready, so the canary serves everybody meanwhile.
    """
    cluster.kubectl("-n", "test", "apply", "-f", EXAMPLES)
    cluster.kubectl(
        "-n", "test", "wait", "canary/podinfo", "--for=jsonpath={.status.phase}=Initialized", "--timeout=90s"
    )
    until(lambda: "podinfo" in visit(cluster), 20, "answered by the ingress")
    visitor = Visitor(cluster.places["ingress"], "podinfo.local")
    visitor.start()
    assert "image updated" in cluster.kubectl("-n", "test", "set", "image", "deployment/podinfo", f"podinfod={NEW}")
    until(lambda: weight(cluster) >= 10, 90, "at weight 10")
    check_while_it_runs(cluster)
    until(lambda: weight(cluster) == 50, 150, "at weight 50")
    assert not visitor.failed
    check_load(cluster, visitor)
    cluster.kubectl("-n", "test", "wait", "--for=condition=promoted", "canary/podinfo", "--timeout=240s")
    check_promoted(cluster)
    visitor.leave()
    assert set(visitor.versions) == {"3.1.0", "3.1.3"} and not visitor.failed
    check_deleted(cluster)


def visit(cluster: Sandbox) -> str:
    """What the ingress answers, or nothing."""
    visitor = Visitor(cluster.places["ingress"], "podinfo.local")
    visitor._visit()
    return "podinfo" if visitor.versions else ""


def check_while_it_runs(cluster: Sandbox) -> None:
    """`get`, `describe ingress` and `describe canary` in the middle of a release."""
    table = cluster.kubectl("get", "canaries", "-A").splitlines()
    assert table[0].split() == ["NAMESPACE", "NAME", "STATUS", "WEIGHT", "LASTTRANSITIONTIME"]
    assert re.match(r"test +podinfo +Progressing +\d+ +20\d\d-", table[1])
    at = weight(cluster)
    annotations = cluster.kubectl("-n", "test", "describe", "ingress/podinfo-canary")
    assert "nginx.ingress.kubernetes.io/canary: true" in annotations
    shown = re.search(r"nginx.ingress.kubernetes.io/canary-weight: (\d+)", annotations)
    assert shown and int(shown[1]) in (at, at + 5)
    told = cluster.kubectl("-n", "test", "describe", "canary/podinfo")
    for text in (
        *("Canary Weight:", "Failed Checks:  *0", "Iterations:  *0", "Last Applied Spec:", "Last Promoted Spec:"),
        *("Last Transition Time:", "Phase:  *Progressing", "Tracked Configs:"),
        *("New revision detected! Scaling up podinfo.test", "Starting canary analysis for podinfo.test"),
        *("Pre-rollout check acceptance-test passed", "Advance podinfo.test canary weight 5"),
    ):
        assert re.search(text, told), text
    rows = cluster.kubectl("-n", "test", "get", "all")
    assert all(
        name in rows for name in ("deployment.apps/podinfo-primary", "service/podinfo-canary", "canary.flagger.app")
    )


def check_load(cluster: Sandbox, visitor: Visitor) -> None:
    """The canary's pods served far more than visitors got from them: the load test arrived, 20 a second."""
    query = 'sum(http_request_duration_seconds_count{path="root",pod=~"podinfo-[^-]+-[^-]+",namespace="test"})'
    answer = json.loads(fetch(f"{cluster.places['metrics']}/api/v1/query?{urlencode({'query': query})}"))
    (served,) = (float(series["value"][1]) for series in answer["data"]["result"])
    assert served - visitor.versions["3.1.3"] >= 600


def check_promoted(cluster: Sandbox) -> None:
    """The primary runs the new image, the target nothing, the canary gets no traffic."""
    assert "successfully rolled out" in cluster.kubectl("-n", "test", "rollout", "status", "deployment/podinfo-primary")
    primary = cluster.object("-n", "test", "deployment", "podinfo-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == NEW
    until(lambda: cluster.object("-n", "test", "deployment", "podinfo")["spec"]["replicas"] == 0, 10, "scaled to zero")
    status = cluster.object("-n", "test", "canary", "podinfo")["status"]
    assert status["phase"] == "Succeeded"
    assert (status["canaryWeight"], status["failedChecks"]) == (0, 0)
    events = cluster.kubectl("-n", "test", "events", "--for", "canary/podinfo")
    assert [w for w in range(5, 51, 5) if f"canary weight {w}\n" not in events] == []
    assert "Promotion completed! Scaling down podinfo.test" in events
    series = fetch(f"{cluster.places['metrics']}/api/v1/query?query=count(traefik_service_requests_total)")
    assert b'"status":"success"' in series


def check_deleted(cluster: Sandbox) -> None:
    """What belonged to the canary goes with it, and nothing else does."""
    assert "deleted" in cluster.kubectl("-n", "test", "delete", "canary/podinfo")
    until(lambda: "podinfo-canary" not in cluster.kubectl("-n", "test", "get", "deploy,svc,ing"), 20, "cleaned up")
    assert "deployment.apps/podinfo " in cluster.kubectl("-n", "test", "get", "deploy,ing")


def test_the_wrong_port_is_named(cluster: Sandbox) -> None:
    """An Ingress that sends to the container's port, not to the Service's, is told in an event with both ports."""
    cluster.kubectl("create", "ns", "slips")
    for name in ("deployment.yaml", "canary.yaml", "ingress.yaml"):
        text = (ROOT / EXAMPLES / name).read_text().replace("namespace: test", "namespace: slips")
        cluster.kubectl("-n", "slips", "apply", "-f", "-", said=text.replace("number: 80", "number: 9898"))
    until(lambda: "9898" in told(cluster), 30, "told of the port")
    assert re.search(r"Warning .*podinfo.*9898.*80", told(cluster))


def told(cluster: Sandbox) -> str:
    """The events of the canary with the slips."""
    return cluster.kubectl("-n", "slips", "events", "--for", "canary/podinfo")


def test_a_path_without_its_type_is_refused(cluster: Sandbox) -> None:
    """The API server says what is missing, as a real one does."""
    text = (ROOT / EXAMPLES / "ingress.yaml").read_text().replace("pathType: Prefix", "# pathType")
    assert "pathType: Required value" in cluster.kubectl("apply", "-f", "-", said=text, check=False)


def test_the_death_of_the_ingress_ends_the_sandbox(capfd: pytest.CaptureFixture[str]) -> None:
    """It says which process ended, takes everything else down, and fails."""
    with sandbox("--no-operator", status=1) as found:
        running = children(found.process.pid)
        (traefik,) = (pid for pid in running if Path(f"/proc/{pid}/comm").read_text().strip() == "traefik")
        os.kill(traefik, signal.SIGKILL)
        found.process.wait(timeout=30)
    assert "flagger sandbox: Traefik, the sandbox's ingress, ended with status -9" in capfd.readouterr().err
    assert not Path(found.places["kubeconfig"]).exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)
    assert not any(listens(found.places[name]) for name in ("api", "ingress", "metrics"))


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_behind(tmp_path: Path, by: signal.Signals) -> None:
    """After a signal there is no process, port or file of the sandbox."""
    with sandbox("--no-operator", f"--kubeconfig={tmp_path / 'config'}", by=by) as found:
        assert (tmp_path / "config").exists()
        assert "operator" not in found.places
        running = children(found.process.pid)
        assert running
        assert all(listens(found.places[name]) for name in ("api", "ingress", "metrics"))
    assert not (tmp_path / "config").exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)
    assert not any(listens(found.places[name]) for name in ("api", "ingress", "metrics"))
