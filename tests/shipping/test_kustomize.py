"""The manifests of kustomize/: rendered by kubectl, taken strictly by an API server, and what each overlay is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.loadtester.options import read_options
from pyflagger.objects import Obj
from pyflagger.operator.options import parse
from pyflagger.routing.registry import PROVIDERS
from shipping.rendering import ROOT, Cluster, container, kustomized, one, templated, tool

pytestmark = pytest.mark.real

OPERATORS = ("cluster", "namespaced", "ha")
TESTERS = ("tester", "tester-auth")
OWN = "flagger-prometheus"
MESHES = {
    "apisix": ("flagger-system", "apisix", OWN),
    "appmesh": ("appmesh-system", "appmesh", "appmesh-prometheus"),
    "contour": ("projectcontour", "contour", OWN),
    "gatewayapi": ("flagger-system", "gatewayapi:v1", OWN),
    "istio": ("istio-system", "istio", "prometheus"),
    "knative": ("flagger-system", "knative", OWN),
    "kubernetes": ("flagger-system", "kubernetes", OWN),
    "kuma": ("kong-mesh-system", "kuma", "prometheus-server.mesh-observability"),
    "linkerd": ("flagger-system", "gatewayapi:v1", "prometheus.linkerd-viz"),
    "traefik": ("traefik", "traefik", OWN),
}
"""Overlays of one provider: their namespace, the provider's name, and the host of the metrics server."""

OTHERS = ("crds", "operator", "prometheus", "podinfo", "dashboard")
ALL = (*OPERATORS, *TESTERS, *MESHES, *OTHERS)


def args(overlay: str) -> list[str]:
    """The arguments of the operator's container, or the command of the load tester's."""
    name = "flagger" if overlay in MESHES else ""
    found: list[str] = container(kustomized(overlay), name)["command" if overlay in TESTERS else "args"]
    return found


@pytest.mark.parametrize("overlay", ALL)
async def test_an_api_server_takes_it(overlay: str) -> None:
    """No field is unknown or of the wrong type, and nothing is made twice."""
    namespaces = {obj["metadata"].get("namespace", "test") for obj in kustomized(overlay)}
    await Cluster().install(kustomized(overlay), *namespaces)


def test_every_overlay_is_rendered_here() -> None:
    """An overlay that is added is tested."""
    folders = {path.parent.relative_to(ROOT / "kustomize").as_posix() for path in ROOT.glob("kustomize/**/kustom*")}
    parts = {folder for folder in folders if folder.startswith("components/")} | {"base"}
    assert folders - parts == {*ALL}
    used = (ROOT / "kustomize" / "ha" / "kustomization.yaml").read_text()
    assert [part for part in parts - {"base"} if f"../{part}\n" not in used] == []


@pytest.mark.parametrize("overlay", OPERATORS)
def test_the_operator_takes_its_flags(overlay: str) -> None:
    """As the reference's process would be started; it elects, so that a rollout never has two who act."""
    options = parse(args(overlay), {})
    assert options.enable_leader_election and options.mesh_provider == "nginx"
    assert bool(options.namespace) == (overlay == "namespaced")


def test_an_operator_of_its_own_namespace() -> None:
    """It watches the namespace that it runs in, whatever an overlay makes of that: Kubernetes fills in the variable."""
    found = container(kustomized("namespaced"))
    assert parse(found["args"], {}).namespace == "$(POD_NAMESPACE)"
    (variable,) = [each for each in found["env"] if each["name"] == "POD_NAMESPACE"]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


@pytest.mark.parametrize("overlay", MESHES)
def test_an_operator_of_one_provider(overlay: str) -> None:
    """Its namespace, provider and metrics server; where that is the bundled one, it comes along."""
    namespace, provider, host = MESHES[overlay]
    objects, options = kustomized(overlay), parse(args(overlay), {})
    assert (options.mesh_provider, options.metrics_server.split("/")[2].split(":")[0]) == (provider, host)
    assert provider in PROVIDERS and options.enable_leader_election
    assert one(objects, "Deployment", "flagger")["metadata"]["namespace"] == namespace
    assert bool([obj for obj in objects if obj["metadata"]["name"] == OWN]) == (host == OWN)


@pytest.mark.parametrize("overlay", MESHES)
def test_a_namespace_of_others_is_not_ours(overlay: str) -> None:
    """`kubectl delete -k` must not delete the namespace of a mesh or an ingress."""
    made = [obj["metadata"]["name"] for obj in kustomized(overlay) if obj["kind"] == "Namespace"]
    assert made == (["flagger-system"] if MESHES[overlay][0] == "flagger-system" else [])


def overlaid(folder: Path, overlay: str, namespace: str) -> list[Obj]:
    """An overlay of the user's that sets the namespace of ours."""
    path = Path("../" * len(folder.parts[1:])) / (ROOT / "kustomize" / overlay).relative_to("/")
    lines = {"namespace": namespace, "resources": [str(path)]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(lines))
    done = tool("kubectl", "kustomize", str(folder))
    assert done.returncode == 0, done.stderr
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


@pytest.mark.parametrize("overlay", [overlay for overlay in ALL if overlay not in ("crds", "podinfo", "tester")])
def test_a_namespace_on_top(tmp_path: Path, overlay: str) -> None:
    """Every binding names the account where it is then."""
    objects = overlaid(tmp_path, overlay, "mine")
    accounts = {(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in objects if is_account(obj)}
    subjects = [subject for obj in objects for subject in obj.get("subjects", ())]
    bound = {(each["namespace"], each["name"]) for each in subjects if each["kind"] != "Group"}
    assert bound == accounts and {namespace for namespace, _ in accounts} == {"mine"}


def is_account(obj: Obj) -> bool:
    """Whether the object is a service account."""
    return bool(obj["kind"] == "ServiceAccount")


@pytest.mark.parametrize("overlay", [*MESHES, *OPERATORS, *TESTERS])
def test_selectors_are_those_of_the_reference(overlay: str) -> None:
    """They never change, so ours can be applied over Flagger's overlays."""
    theirs = {name: {"app": name} for name in ("flagger", "flagger-prometheus", "flagger-loadtester")}
    found = [obj for obj in kustomized(overlay) if obj["kind"] == "Deployment"]
    ours = {obj["metadata"]["name"]: obj["spec"]["selector"]["matchLabels"] for obj in found}
    assert ours == {name: theirs[name] for name in ours}


def test_the_bundled_prometheus_is_that_of_the_chart() -> None:
    """The same container and rights; its configuration and rules are copies."""
    chart = templated("flagger", {"prometheus": {"install": True}})
    ours = kustomized("prometheus")
    assert container(chart, OWN) == container(ours)
    assert one(chart, "ClusterRole", OWN)["rules"] == one(ours, "ClusterRole")["rules"]


@pytest.mark.parametrize("overlay", TESTERS)
def test_the_load_tester_takes_its_flags(overlay: str) -> None:
    """They are in the command, where the reference has them: patches of people replace it, or one of its words."""
    command, *flags = args(overlay)
    options = read_options(flags, {})
    assert command == "./loadtester" and options.port == 8080 and flags[2].startswith("-timeout=")
    assert "args" not in container(kustomized(overlay))
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
