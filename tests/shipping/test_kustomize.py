"""The manifests of kustomize/: rendered by kubectl, taken strictly by an API server, and what each overlay is for."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.loadtester.options import read_options
from pyflagger.operator.options import parse
from shipping.rendering import ROOT, Cluster, container, kustomized, one

OPERATORS = ("cluster", "namespaced", "ha")
TESTERS = ("tester", "tester-auth")


def args(overlay: str) -> list[str]:
    """The arguments of its container."""
    found: list[str] = container(kustomized(overlay))["args"]
    return found


@pytest.mark.parametrize("overlay", [*OPERATORS, *TESTERS, "crds"])
async def test_an_api_server_takes_it(overlay: str) -> None:
    """No field is unknown or of the wrong type, and nothing is made twice."""
    await Cluster().install(kustomized(overlay), "flagger-system", "test")


def test_every_overlay_is_rendered_here() -> None:
    """An overlay that is added is tested."""
    folders = {path.parent.relative_to(ROOT / "kustomize").as_posix() for path in ROOT.glob("kustomize/**/kustom*")}
    parts = {folder for folder in folders if folder.startswith("components/")} | {"base"}
    assert folders - parts == {*OPERATORS, *TESTERS, "crds"}
    used = (ROOT / "kustomize" / "ha" / "kustomization.yaml").read_text()
    assert [part for part in parts - {"base"} if f"../{part}\n" not in used] == []


@pytest.mark.parametrize("overlay", OPERATORS)
def test_the_operator_takes_its_flags(overlay: str) -> None:
    """As the reference's process would be started; it elects, so that a rollout never has two who act."""
    options = parse(args(overlay), {})
    assert options.enable_leader_election and options.mesh_provider == "nginx"
    assert bool(options.namespace) == (overlay == "namespaced")


@pytest.mark.parametrize("overlay", TESTERS)
def test_the_load_tester_takes_its_flags(overlay: str) -> None:
    """Served by the one image, told apart by its first argument."""
    command, *flags = args(overlay)
    options = read_options(flags, {})
    assert command == "loadtester" and options.port == 8080
    assert options.kubernetes_auth == options.own_namespace == (overlay == "tester-auth")


@pytest.mark.parametrize("overlay", OPERATORS)
def test_the_operator_is_looked_at(overlay: str) -> None:
    """Alive and ready are asked of what answers them; the memory is what was measured, and some more."""
    found = container(kustomized(overlay))
    assert [found[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")] == ["/healthz", "/readyz"]
    assert found["resources"]["requests"]["memory"] == "96Mi"


def test_two_replicas_and_one_stays() -> None:
    """A budget over the very pods, never of all of them, and a spread over nodes."""
    objects = kustomized("ha")
    deployment, budget = one(objects, "Deployment"), one(objects, "PodDisruptionBudget")
    assert deployment["spec"]["replicas"] > budget["spec"]["minAvailable"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["selector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"] == labels
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"


def test_the_network_leads_to_no_credentials() -> None:
    """Anywhere else it does; names are still resolved, by node-local servers too; only the port of metrics is open."""
    policy = one(kustomized("ha"), "NetworkPolicy")["spec"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": "http"}]}]
    names, rest = policy["egress"]
    assert {port["port"] for port in names["ports"]} == {53} and "to" not in names
    blocks = [peer["ipBlock"] for peer in rest["to"]]
    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "::/0"]
    assert {"169.254.0.0/16", "fd00:ec2::254/128"} <= {way for block in blocks for way in block["except"]}


def test_the_operator_and_the_load_tester_know_each_other() -> None:
    """The token is for the audience asked for, of the account that is let in, sent to the Service that is there."""
    operators, testers = kustomized("ha"), kustomized("tester-auth")
    options, (_, *flags) = parse(args("ha"), {}), args("tester-auth")
    asked = read_options(flags, {})
    account = one(operators, "ServiceAccount")["metadata"]
    assert asked.allowed_accounts == (f"{account['namespace']}/{account['name']}",)
    (source,) = one(operators, "Deployment")["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == asked.audience
    service = one(testers, "Service")["metadata"]
    assert options.hook_token_urls == (f"http://{service['name']}.{service['namespace']}/",)
    (mount,) = container(operators)["volumeMounts"]
    assert options.hook_token_file == f"{mount['mountPath']}/{source['serviceAccountToken']['path']}"


def test_whoever_asks_whose_token_it_is_may_do_nothing_else() -> None:
    """One right for the load tester, bound to its account, and a policy that keeps the rest of the cluster away."""
    objects = kustomized("tester-auth")
    role, binding = one(objects, "ClusterRole"), one(objects, "ClusterRoleBinding")
    rule = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    assert role["rules"] == [rule] and binding["roleRef"]["name"] == role["metadata"]["name"]
    account = one(objects, "ServiceAccount")["metadata"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": "test"}]
    peers: list[dict[str, Any]] = one(objects, "NetworkPolicy")["spec"]["ingress"][0]["from"]
    assert peers[0] == {"podSelector": {}} and "namespaceSelector" in peers[1]
