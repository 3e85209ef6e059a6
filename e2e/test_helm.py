"""What users install by, on the real API server: Helm from the first install to the uninstall, and over Flagger's own.

Flagger's installations are played by objects of the same names and selectors. The operator is a child process under the
account that was installed, with the flags of the Deployment. These tests delete the CRDs, so `make e2e` gives them a
control plane of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.apps import IMAGE, whole
from e2e.environment import Environment, until
from e2e.stage import ROOT, Operator, Stage, manifests
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import find

THEIRS = ROOT / "tests" / "shipping" / "theirs" / "flagger.yaml"
OURS = ("--set", "image.repository=registry.example/pyflagger", "--set", "image.tag=", "--set", "minInterval=1s")
SEED = ("--set", "crd.create=true", "--set", "meshProvider=nginx", "--set", "minInterval=1s")
LABELS = {"app.kubernetes.io/name": "flagger", "app.kubernetes.io/instance": "flagger"}


def helm(env: Environment, *words: str) -> str:
    """Run helm for the release `flagger` in the namespace; both its outputs. Raises AssertionError when it fails."""
    command = [find("helm"), *words, "-n", env.namespace]
    environ = {**os.environ, "KUBECONFIG": str(env.stage.kubeconfig)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def definitions(stage: Stage) -> list[str]:
    """Names of the CRDs of our group, as the cluster has them."""
    names = [obj["metadata"]["name"] for obj in manifests("crds")]
    return [name for name in names if name in stage.kubectl("get", "crd", "-o", "name")]


@pytest.fixture
def bare(stage: Stage, env: Environment) -> Iterator[None]:
    """A cluster without our CRDs and cluster-wide rules; the CRDs are back afterwards."""
    stage.kubectl("delete", "crd", *definitions(stage))
    stage.kubectl("delete", "clusterrole,clusterrolebinding", "flagger", "--ignore-not-found")
    yield
    stage.kubectl("delete", "clusterrole,clusterrolebinding", "flagger", "--ignore-not-found")
    stage.define(*manifests("crds"))


def started(env: Environment, name: str) -> Operator:
    """The operator that the release installed, ready: its account, and the flags of its Deployment."""
    (container,) = env.get("deployment", "flagger")["spec"]["template"]["spec"]["containers"]
    flags = [flag for flag in container["args"] if not flag.startswith("-metrics-server=")]
    operator = env.stage.operator(env.stage.account(env.namespace), *flags, "-namespace", env.namespace, name=name)
    env.started(operator)
    until(operator.ready, operator.tail, 30)
    return operator


def released(env: Environment, tag: str) -> None:
    """A release to its end."""
    env.kubectl("set", "image", "deployment/shop", f"web={IMAGE}:{tag}")
    until(lambda: env.status("shop").get("phase") == "Progressing", lambda: env.said("shop"), 30)
    env.wait("shop", "Succeeded")
    (container,) = env.get("deployment", "shop-primary")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{IMAGE}:{tag}"


def kept(env: Environment, uid: str) -> None:
    """The Canary is still the same object, and its primary serves."""
    assert env.get("canary", "shop")["metadata"]["uid"] == uid
    assert env.get("deployment", "shop-primary")["spec"]["replicas"]


@pytest.mark.usefixtures("bare")
def test_a_first_install(env: Environment) -> None:
    """The two lines of a first install succeed on a cluster without CRDs; the uninstall keeps the Canary."""
    helm(env, "upgrade", "-i", "flagger", "charts/flagger", *SEED, "--set", "prometheus.install=true")
    helm(env, "upgrade", "-i", "flagger", "charts/flagger", *SEED, "--set", "metricsServer=http://prometheus:9090")
    operator = started(env, f"first-{env.namespace}")
    env.apply(*whole("shop"))
    env.wait("shop", "Initialized")
    uid = env.get("canary", "shop")["metadata"]["uid"]
    policies = "validatingadmissionpolicy,validatingadmissionpolicybinding"
    assert env.stage.kubectl("get", policies, "-o", "name").count("/flagger-actions\n") == 2
    released(env, "6.0.1")
    assert env.refused() == []
    operator.stop()
    helm(env, "uninstall", "flagger")
    assert "flagger-actions" not in env.stage.kubectl("get", policies, "-o", "name")
    assert len(definitions(env.stage)) == len(manifests("crds"))
    kept(env, uid)


@pytest.mark.usefixtures("bare")
def test_definitions_of_the_release(env: Environment) -> None:
    """Created, upgraded, let go and left behind: whatever happens to the release, no CRD is deleted."""
    helm(env, "install", "flagger", "charts/flagger", "--skip-crds", "--set", "crd.create=true")
    owned = env.stage.kubectl("get", "crd", "canaries.flagger.app", "-o", "jsonpath={.metadata.annotations}")
    assert env.namespace in owned and "keep" in owned
    for create in ("true", "false", "true"):
        helm(env, "upgrade", "flagger", "charts/flagger", "--set", f"crd.create={create}")
        assert len(definitions(env.stage)) == len(manifests("crds"))
    assert "kept due to the resource policy" in helm(env, "uninstall", "flagger")
    assert len(definitions(env.stage)) == len(manifests("crds"))


def theirs(folder: Path) -> Path:
    """A chart of the objects that Flagger's chart makes by default, as far as their names and selectors go."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "flagger", "labels": LABELS}}
    named = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "flagger", "labels": LABELS}}
    role = named | {"kind": "ClusterRole", "rules": [{"nonResourceURLs": ["/version"], "verbs": ["get"]}]}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flagger"}
    subject = {"kind": "ServiceAccount", "name": "flagger", "namespace": "{{ .Release.Namespace }}"}
    binding = named | {"kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]}
    objects = [account, role, binding, deployment("flagger", LABELS)]
    (folder / "templates").mkdir(parents=True)
    (folder / "crds").mkdir()
    (folder / "Chart.yaml").write_text(json.dumps({"apiVersion": "v1", "name": "flagger", "version": "1.44.0"}))
    (folder / "values.yaml").write_text(THEIRS.read_text())
    (folder / "templates" / "all.yaml").write_text(yaml.safe_dump_all(objects))
    (folder / "crds" / "crds.yaml").write_text(yaml.safe_dump_all(manifests("crds")))
    return folder


def deployment(name: str, labels: Obj) -> Obj:
    """A Deployment of Flagger's, probed by wget."""
    probe = {"exec": {"command": ["wget", "--spider", "http://localhost:8080/healthz"]}}
    image = "ghcr.io/fluxcd/flagger:1.44.0"
    container = {"name": name.removeprefix("flagger-"), "image": image, "livenessProbe": probe}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.mark.usefixtures("bare")
def test_an_upgrade_from_flagger(env: Environment, tmp_path: Path) -> None:
    """With its values file, back, with its values reused, and back one of ours: a release each, one Deployment."""
    helm(env, "install", "flagger", str(theirs(tmp_path / "theirs")))
    uid = env.get("deployment", "flagger")["metadata"]["uid"]
    helm(env, "upgrade", "flagger", "charts/flagger", "-f", str(THEIRS), *OURS)
    operator = started(env, f"file-{env.namespace}")
    env.apply(*whole("shop"))
    env.wait("shop", "Initialized")
    canary = env.get("canary", "shop")["metadata"]["uid"]
    released(env, "6.0.1")
    operator.stop()
    helm(env, "rollback", "flagger", "1")
    (container,) = env.get("deployment", "flagger")["spec"]["template"]["spec"]["containers"]
    assert (container["image"], "exec" in container["livenessProbe"]) == ("ghcr.io/fluxcd/flagger:1.44.0", True)
    helm(env, "upgrade", "flagger", "charts/flagger", "--reuse-values", *OURS)
    operator = started(env, f"reused-{env.namespace}")
    released(env, "6.0.2")
    operator.stop()
    helm(env, "rollback", "flagger", "2")
    operator = started(env, f"back-{env.namespace}")
    released(env, "6.0.3")
    assert env.refused() == [] and env.get("deployment", "flagger")["metadata"]["uid"] == uid
    operator.stop()
    helm(env, "uninstall", "flagger")
    kept(env, canary)


def test_an_overlay_over_flagger_s(env: Environment) -> None:
    """`kubectl apply -k` replaces the Deployments of Flagger's overlays: the selectors are the same."""
    names = ("flagger", "flagger-prometheus", "flagger-loadtester")
    for name in names:
        env.kubectl("apply", "-f", "-", said=json.dumps(deployment(name, {"app": name})))
    before = {name: env.get("deployment", name)["metadata"]["uid"] for name in names}
    found = [*manifests("kubernetes"), *manifests("tester")]
    moved = [obj | {"metadata": obj["metadata"] | {"namespace": env.namespace}} for obj in found]
    ours = [obj for obj in moved if obj["kind"] == "Deployment"]
    assert len(ours) == 3
    env.kubectl("apply", "-f", "-", said=yaml.safe_dump_all(ours))
    for obj in ours:
        after = env.get("deployment", obj["metadata"]["name"])
        assert after["metadata"]["uid"] == before[obj["metadata"]["name"]]
        probes = [one.get("livenessProbe", {}) for one in after["spec"]["template"]["spec"]["containers"]]
        assert any("httpGet" in probe for probe in probes) and not any("exec" in probe for probe in probes)
