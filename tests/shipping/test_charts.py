"""The charts: linted, taken strictly by an API server, each value a flag that exists, the rules of kustomize."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.write import COPIES
from pyflagger.api.actions import FULL, Action
from pyflagger.goflags import Flag
from pyflagger.loadtester.options import FLAGS as LOADTESTER
from pyflagger.loadtester.options import read_options
from pyflagger.objects import Obj
from pyflagger.operator.options import FLAGS, parse
from shipping.rendering import CHARTS, ROOT, Cluster, container, helm, kustomized, one, templated, tool

pytestmark = pytest.mark.real

NAMES = ("flagger", "loadtester")
"""Charts of a program of ours, which takes flags."""

ALL = (*NAMES, "podinfo", "grafana")
EVERYTHING: Mapping[str, Mapping[str, Any]] = {
    "flagger": {
        "namespace": "test",
        "leaderElection": {"enabled": True, "replicaCount": 2},
        "podDisruptionBudget": {"enabled": True},
        "networkPolicy": {"enabled": True},
        "dashboard": {
            "enabled": True,
            "publicUrl": "https://flagger.example.com",
            "readOnly": True,
            "trustUserHeaders": ["X-User", "X-Groups"],
            "trustedProxies": ["10.0.0.0/8"],
        },
        "podMonitor": {"enabled": True, "namespace": "monitoring", "additionalLabels": {"release": "x"}},
        "serviceMonitor": {"enabled": True, "namespace": "monitoring", "labels": {"release": "x"}},
        "linkerdAuthPolicy": {"create": True},
        "prometheus": {"install": True, "pullSecret": "pull"},
        "crd": {"create": True},
        "hookToken": {"urls": ["http://flagger-loadtester.test/"]},
        "eventWebhook": "https://events.example/x",
        "existingSecret": "mine",
        "image": {"digest": f"sha256:{'0' * 64}", "pullSecret": "pull"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
        "additionalVolumes": [{"name": "more", "emptyDir": {}}],
        "additionalVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "podPriorityClassName": "system-cluster-critical",
        "annotations": {"a": "b"},
        "deploymentLabels": {"team": "a"},
        "podLabels": {"team": "a"},
        "serviceAccount": {"annotations": {"a": "b"}},
    },
    "loadtester": {
        "auth": {"kubernetes": True, "ownNamespace": True, "tokenSecret": "token"},
        "networkPolicy": {"enabled": True},
        "rbac": {
            "create": True,
            "scope": "cluster",
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            "serviceAccountAnnotations": {"a": "b"},
        },
        "podDisruptionBudget": {"enabled": True},
        "istio": {"enabled": True, "gateway": {"enabled": True}, "tls": {"enabled": True}},
        "appmesh": {"enabled": True},
        "podSecurityContext": {"enabled": True},
        "env": [{"name": "A", "value": "b"}],
        "volumes": [{"name": "more", "emptyDir": {}}],
        "volumeMounts": [{"name": "more", "mountPath": "/more"}],
        "image": {"pullSecret": "pull"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"team": "a"},
        "podPriorityClassName": "system-cluster-critical",
    },
    "podinfo": {
        "canary": {
            "enabled": True,
            "provider": "istio",
            "istioIngress": {"enabled": True, "host": "podinfo.example"},
            "loadtest": {"enabled": True},
            "helmtest": {"enabled": True},
        },
        "message": 1,
        "backend": "http://backend/echo",
        "backends": ["http://one/", "http://two/"],
        "podAnnotations": {"prometheus.io/port": 9797},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    },
    "grafana": {
        "password": 1234,
        "podAnnotations": {"a": 1},
        "dashboardLabels": {"grafana_dashboard": 1},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
    },
}
FLAG_OF: Mapping[str, tuple[tuple[str, Any, str], ...]] = {
    "flagger": (
        ("logLevel", "warning", "-log-level=warning"),
        ("logEncoding", "console", "-zap-encoding=console"),
        ("meshProvider", "gatewayapi:v1", "-mesh-provider=gatewayapi:v1"),
        ("metricsServer", "http://prometheus:9090", "-metrics-server=http://prometheus:9090"),
        ("prometheus.install", True, "-metrics-server=http://flagger-prometheus:9090"),
        ("namespace", "test", "-namespace=test"),
        ("selectorLabels", "app,name", "-selector-labels=app,name"),
        ("includeLabelPrefix", "*", "-include-label-prefix=*"),
        ("configTracking.enabled", False, "-enable-config-tracking=false"),
        ("ingressAnnotationsPrefix", "custom.io", "-ingress-annotations-prefix=custom.io"),
        ("ingressClass", "contour", "-ingress-class=contour"),
        ("noCrossNamespaceRefs", True, "-no-cross-namespace-refs=true"),
        ("threadiness", 4, "-threadiness=4"),
        ("kubeconfigQPS", 100, "-kubeconfig-qps=100"),
        ("kubeconfigBurst", "250", "-kubeconfig-burst=250"),
        ("minInterval", "1s", "-min-interval=1s"),
        ("idleAtZero", True, "-idle-at-zero=true"),
        ("releaseHistory", 0, "-release-history=0"),
        ("releaseHistory", 50, "-release-history=50"),
        ("publishSettings", False, "-publish-settings=false"),
        ("actions.enabled", False, "-actions=false"),
        ("leaderElection.enabled", True, "-leader-election-namespace=flagger-system"),
        ("leaderElection.enabled", True, "-enable-leader-election=true"),
        ("clusterName", "east", "-cluster-name=east"),
        ("dashboard", {"enabled": True, "publicUrl": "https://f.example"}, "-dashboard-url=https://f.example"),
        ("slack.user", "bot", "-slack-user=bot"),
        ("slack.channel", "on-call", "-slack-channel=on-call"),
        ("hookToken.urls", ["http://a/", "https://b/"], "-hook-token-urls=http://a/,https://b/"),
        ("hookToken.urls", ["http://a/"], "-hook-token-file=/var/run/flagger/token"),
        ("extraArgs", ["-kubeconfig-burst=1"], "-kubeconfig-burst=1"),
    ),
    "loadtester": (
        ("logLevel", "debug", "-log-level=debug"),
        ("cmd.timeout", "30m", "-timeout=30m"),
        ("cmd.namespaceRegexp", "^team-(a|b)$", "-namespace-regexp=^team-(a|b)$"),
        ("cmd.namespaceRegexpFullMatch", True, "-namespace-regexp-full-match=true"),
        ("cmd.allowedTypes", ["cmd", "bash"], "-allowed-types=cmd,bash"),
        ("cmd.allowedCommands", 'hey -z "1m" .*', '-allowed-commands=hey -z "1m" .*'),
        ("cmd.maxTasks", 7, "-max-tasks=7"),
        ("gates.autoClose", True, "-gate-auto-close=true"),
        ("gates.perChecksum", True, "-gate-per-checksum=true"),
        ("auth", {"kubernetes": True, "ownNamespace": True}, "-kubernetes-auth=true"),
        ("auth", {"kubernetes": True, "ownNamespace": True}, "-own-namespace=true"),
        ("auth", {"kubernetes": True, "ownNamespace": True, "audience": "mine"}, "-audience=mine"),
        ("auth", {"kubernetes": True, "allowedAccounts": ["a/b", "c/d"]}, "-allowed-accounts=a/b,c/d"),
    ),
}
FLAGS_OF: Mapping[str, tuple[Flag, ...]] = {"flagger": FLAGS, "loadtester": LOADTESTER}
NO_VALUE = {
    "flagger": {
        *("kubeconfig", "master", "kubeconfig-service-mesh", "port", "control-loop-interval", "version"),
        "zap-replace-globals",
    },
    "loadtester": {"port", "host", "zap-encoding", "zap-replace-globals", "max-output"},
}
"""Flags that a chart has no use for; `extraArgs` takes them all the same."""


def within(path: str, value: Any) -> dict[str, Any]:
    """`a.b` and a value as nested values."""
    first, _, rest = path.partition(".")
    return {first: within(rest, value) if rest else value}


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all values that are no tables of named values themselves."""
    if isinstance(value, dict) and value and not path.endswith(("odAnnotations", "affinity", "resources", "context")):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path


def values(chart: str) -> dict[str, Any]:
    """The values that a chart has out of the box."""
    found: dict[str, Any] = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    return found


@pytest.mark.parametrize("chart", ALL)
def test_helm_finds_nothing(chart: str) -> None:
    """Neither plain nor with everything on."""
    done = tool("helm", "lint", "--strict", f"charts/{chart}", "-f", "-", said=json.dumps(EVERYTHING[chart]))
    assert done.returncode == 0, done.stdout
    done = tool("helm", "lint", "--strict", f"charts/{chart}")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("chart", ALL)
async def test_an_api_server_takes_it(chart: str, everything: bool) -> None:
    """No field is unknown or of the wrong type, and nothing is made twice."""
    objects = templated(chart, EVERYTHING[chart] if everything else {})
    await Cluster().install(objects, "flagger-system", "test")


@pytest.mark.parametrize(
    ("chart", "path", "value", "flag"), [(chart, *case) for chart, cases in FLAG_OF.items() for case in cases]
)
def test_a_value_becomes_a_flag(chart: str, path: str, value: Any, flag: str) -> None:
    """As it is, whatever characters it holds, and the program takes the whole command line."""
    args = container(templated(chart, within(path, value)), "flagger" if chart == "flagger" else "")["args"]
    assert flag in args
    if chart == "flagger":
        parse(args, {})
    else:
        assert args[0] == "loadtester"
        read_options(args[1:], {})


@pytest.mark.parametrize("chart", NAMES)
def test_every_flag_has_its_value(chart: str) -> None:
    """What can be told on the command line can be told by the chart: by a row above, or by a variable of its Secret."""
    told = {flag.lstrip("-").partition("=")[0] for _, _, flag in FLAG_OF[chart]}
    wanted = {flag.name for flag in FLAGS_OF[chart] if not flag.env}
    assert wanted - told == NO_VALUE[chart]


SECRET = {
    "eventWebhook": "EVENT_WEBHOOK_URL",
    "slack.url": "SLACK_URL",
    "slack.token": "SLACK_TOKEN",
    "slack.proxyUrl": "SLACK_PROXY_URL",
    "slack.proxy": "SLACK_PROXY_URL",
    "msteams.url": "MSTEAMS_URL",
    "msteams.proxyUrl": "MSTEAMS_PROXY_URL",
    "msteams.proxy-url": "MSTEAMS_PROXY_URL",
}


@pytest.mark.parametrize("path", SECRET)
def test_what_may_be_secret_is_in_a_secret(path: str) -> None:
    """The operator reads it from a variable; the Deployment holds a digest of it at most."""
    assert SECRET[path] in {flag.env for flag in FLAGS}
    objects = templated("flagger", within(path, "http://planted-4f1c"))
    secret = one(objects, "Secret")
    assert {key: base64.b64decode(text).decode() for key, text in secret["data"].items()} == {
        SECRET[path]: "http://planted-4f1c"
    }
    assert container(objects)["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert "planted" not in json.dumps([obj for obj in objects if obj["kind"] != "Secret"])


def test_a_secret_of_mine() -> None:
    """Nothing secret goes through Helm at all."""
    objects = templated("flagger", {"existingSecret": "mine"})
    assert container(objects)["envFrom"] == [{"secretRef": {"name": "mine"}}]
    assert not [obj for obj in objects if obj["kind"] == "Secret"]


def test_the_copies_are_the_same() -> None:
    """What the charts take from kustomize/; `make docs` writes it."""
    for source, copy in COPIES.items():
        assert (CHARTS / copy).read_text() == (ROOT / "kustomize" / source).read_text(), source


READERS = {"flagger-settings": "system:authenticated"}
"""Roles that are not the operator's."""

APART = "RoleBinding Role flagger-publish"
"""The right to write in the operator's namespace, which only the chart keeps apart from the watched one."""


def rights(objects: list[Obj]) -> dict[str, list[Any]]:
    """The rules of each role, by the kind that it is bound by and its name."""
    found = {}
    for binding in objects:
        if binding["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            who = READERS.get(binding["roleRef"]["name"], "flagger")
            assert [subject["name"] for subject in binding["subjects"]] == [who]
            role = one(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"])
            found[f"{binding['kind']} {role['kind']} {role['metadata']['name']}"] = role["rules"]
    return found


@pytest.mark.parametrize("overlay, namespace", [("cluster", ""), ("namespaced", "test")])
def test_the_rights_are_those_of_kustomize(overlay: str, namespace: str) -> None:
    """Rule by rule, bound in the same way: in the whole cluster, or in the one namespace."""
    chart = templated("flagger", {"namespace": namespace, "leaderElection": {"enabled": True}})
    found = rights(chart)
    assert bool(found.pop(APART, None)) == bool(namespace)
    assert found == rights(kustomized(overlay)) != {}
    assert bool(namespace) == (not [obj for obj in chart if obj["kind"].startswith("Cluster")])


AGGREGATED = {
    "flagger-view": ({"view"}, {"get", "list", "watch"}),
    "flagger-act": ({"edit", "admin"}, {"create", FULL, *Action}),
}
"""The roles of Kubernetes that each of ours is added to, and what it allows."""


@pytest.mark.parametrize("name", AGGREGATED)
def test_the_roles_of_people(name: str) -> None:
    """Kubernetes adds them to its own, unless the operator has one namespace, or it is declined."""
    added, allowed = AGGREGATED[name]
    ours, theirs = (one(objects, "ClusterRole", name) for objects in (kustomized("cluster"), templated("flagger", {})))
    assert theirs["rules"] == ours["rules"] and {verb for rule in ours["rules"] for verb in rule["verbs"]} == allowed
    for role in (ours, theirs):
        labels = {key for key, value in role["metadata"]["labels"].items() if value == "true"}
        assert labels == {f"rbac.authorization.k8s.io/aggregate-to-{each}" for each in added}
    for given in ({"namespace": "test"}, {"rbac": {"aggregate": False}}):
        assert name not in [obj["metadata"]["name"] for obj in templated("flagger", given)]
    assert name not in [obj["metadata"]["name"] for obj in kustomized("namespaced")]


POLICY = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"


def policies(values: Mapping[str, Any], served: str = POLICY) -> list[Obj]:
    """The admission policies and bindings of the chart."""
    return [obj for obj in templated("flagger", values, served=served) if obj["kind"].startswith("ValidatingAdm")]


def test_the_policy_of_actions() -> None:
    """That of kustomize, where the cluster serves its kind, unless it is declined or the operator has one namespace."""
    ours = [obj for obj in kustomized("ha") if obj["kind"].startswith("ValidatingAdm")]
    theirs = policies({})
    assert [(obj["kind"], obj["metadata"]["name"], obj["spec"]) for obj in theirs] == [
        (obj["kind"], obj["metadata"]["name"], obj["spec"]) for obj in ours
    ]
    assert len(theirs) == 2 and theirs[1]["spec"]["policyName"] == theirs[0]["metadata"]["name"]
    assert policies({}, served="") == policies({"actions": {"policy": False}}) == policies({"namespace": "test"}) == []
    assert len(policies({"actions": None})) == 2


def test_the_verbs_of_actions() -> None:
    """The role has one for each action: the policy refuses an action whose verb nobody can be given."""
    (rule,) = one(kustomized("cluster"), "ClusterRole", "flagger-act")["rules"]
    assert rule["verbs"] == ["create", Action.PROMOTE, FULL, *[action for action in Action if action != Action.PROMOTE]]


@pytest.mark.parametrize("namespace", ["", "test", "flagger-system"])
def test_everybody_may_read_the_settings(namespace: str) -> None:
    """That one ConfigMap and nothing else. An operator of another namespace may write it, too."""
    objects = templated("flagger", {"namespace": namespace})
    role, binding = (one(objects, kind, "flagger-settings") for kind in ("Role", "RoleBinding"))
    assert role["rules"] == one(kustomized("cluster"), "Role", "flagger-settings")["rules"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["flagger-operator"], "verbs": ["get"]}
    ]
    assert [each["name"] for each in binding["subjects"]] == ["system:authenticated"]
    names = [obj["metadata"]["name"] for obj in objects]
    assert ("flagger-publish" in names) == (namespace == "test")
    for given in ({"publishSettings": False}, {"rbac": {"create": False}}):
        none = [obj["metadata"]["name"] for obj in templated("flagger", {"namespace": namespace, **given})]
        assert not {"flagger-settings", "flagger-publish"} & {*none}


def test_the_operator_is_that_of_kustomize() -> None:
    """The same container but for its flags, and the same policy of its network."""
    ours, theirs = container(kustomized("cluster")), container(templated("flagger"))
    assert {**ours, "args": []} == {**theirs, "args": []}
    policy = one(templated("flagger", {"networkPolicy": {"enabled": True}}), "NetworkPolicy")
    wanted = one(kustomized("ha"), "NetworkPolicy")["spec"]
    assert {**policy["spec"], "podSelector": {}} == {**wanted, "podSelector": {}}


def test_the_load_tester_is_that_of_kustomize() -> None:
    """The same container but for its flags, which stand in `command` where patches of Flagger's overlay find them."""
    ours, theirs = container(kustomized("tester")), container(templated("loadtester"))
    slower = {"initialDelaySeconds", "periodSeconds"}
    for found in (ours, theirs):
        for probe in ("livenessProbe", "readinessProbe"):
            found[probe] = {key: value for key, value in found[probe].items() if key not in slower}
    own = {"command": [], "args": [], "resources": {}}
    assert {**ours, **own} == {**theirs, **own}


DASHBOARD: Mapping[str, Any] = {"enabled": True, "publicUrl": "https://flagger.example.com"}

REFUSED: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("flagger", {"meshprovider": "nginx"}, "Additional property meshprovider is not allowed"),
    ("flagger", {"slack": {"chanel": "x"}}, "Additional property chanel is not allowed"),
    ("flagger", {"logLevel": "loud"}, "logLevel"),
    ("flagger", {"image": {"digest": "latest"}}, "image.digest"),
    ("flagger", {"hookToken": {"urls": ["http://user:pass@h/"]}}, "hookToken.urls"),
    ("flagger", {"leaderElection": {"replicaCount": 2}}, "several operators would act at once"),
    ("flagger", {"controlplane": {"kubeconfig": {"secretName": "x"}}}, "to no second one"),
    ("flagger", {"istio": {"kubeconfig": {"secretName": "x"}}}, "istio.kubeconfig.secretName: flagger writes"),
    ("flagger", {"rbac": {"pspEnabled": True}}, "removed PodSecurityPolicies"),
    ("flagger", {"dashboard": {"enabled": True}}, "dashboard.enabled needs dashboard.publicUrl"),
    ("flagger", {"dashboard": {"publicUrl": "http://flagger.example.com"}}, "dashboard.publicUrl"),
    ("flagger", {"dashboard": {**DASHBOARD, "trustUserHeaders": ["X-User"]}}, "need each other"),
    ("flagger", {"dashboard": {**DASHBOARD, "trustedProxies": ["10.0.0.0/8"]}}, "need each other"),
    ("loadtester", {"cmd": {"timeout": "soon"}}, "cmd.timeout"),
    ("loadtester", {"auth": {"kubernetes": True}}, "auth.kubernetes lets nobody in"),
    ("loadtester", {"auth": {"allowedAccounts": ["flagger"]}}, "auth.allowedAccounts"),
)


@pytest.mark.parametrize(("chart", "given", "text"), REFUSED)
def test_what_is_refused(chart: str, given: Mapping[str, Any], text: str) -> None:
    """A value that does not exist, one of the wrong form, and what would be done halfway; the text says which."""
    done = helm(chart, given)
    assert done.returncode != 0 and text in done.stderr, done.stderr


def test_names_and_selectors_are_those_of_the_reference() -> None:
    """So that its releases can be upgraded: a selector never changes."""
    deployment = one(templated("flagger"), "Deployment")
    assert deployment["metadata"]["name"] == "flagger"
    selector = {"app.kubernetes.io/name": "flagger", "app.kubernetes.io/instance": "flagger"}
    assert deployment["spec"]["selector"]["matchLabels"] == selector
    tester = one(templated("loadtester", name="flagger-loadtester"), "Deployment")
    assert tester["metadata"]["name"] == "flagger-loadtester"
    assert tester["spec"]["selector"]["matchLabels"] == {"app": "loadtester"}


ROW = re.compile(r"^\| `([^`]+)` \| (.*?) \| (.*) \|$", re.MULTILINE)


def shown(value: Any) -> set[str]:
    """How the page of a chart may give a default."""
    if value in ("", None):
        return {""}
    text = value if isinstance(value, str) else json.dumps(value)
    return {f"`{text}`", "see values.yaml"} if isinstance(value, dict) else {f"`{text}`"}


@pytest.mark.parametrize("chart", ALL)
def test_every_value_is_explained_and_known(chart: str) -> None:
    """The page of the chart gives default and meaning of each value, and names no other; so does its schema."""
    rows = {path: (default, meaning) for path, default, meaning in ROW.findall(read(chart, "README.md"))}
    schema, given = json.loads(read(chart, "values.schema.json")), values(chart)
    assert rows.keys() == set(leaves(given))
    for path, (default, meaning) in rows.items():
        found, value = schema, given
        for part in path.split("."):
            found, value = found["properties"][part], value[part]
        assert default in shown(value), path
        assert meaning.strip(), path


@pytest.mark.parametrize("chart", ALL)
def test_versions_are_the_package_s(chart: str) -> None:
    """Chart, program and the image of kustomize/ are released together."""
    from pyflagger import __version__

    said = yaml.safe_load(read(chart, "Chart.yaml"))
    assert (said["version"], said["appVersion"]) == (__version__, __version__)
    if chart in NAMES:
        image = {"flagger": "pyflagger", "loadtester": "pyflagger-loadtester"}[chart]
        assert container(templated(chart))["image"] == f"{image}:{__version__}"
    assert container(kustomized("cluster"))["image"] == f"pyflagger:{__version__}"


def read(chart: str, name: str) -> str:
    """A file of a chart."""
    return Path(CHARTS / chart / name).read_text()


@pytest.mark.parametrize("namespace", ["", "shop"])
def test_the_lease_is_where_the_operator_looks_for_it(namespace: str) -> None:
    """In the watched namespace, as Flagger's, else in that of the release. The rights to it are there, too."""
    objects = templated("flagger", {"namespace": namespace, "leaderElection": {"enabled": True}})
    where = namespace or "flagger-system"
    assert f"-leader-election-namespace={where}" in container(objects)["args"]
    names = [obj["metadata"] for obj in objects if obj["metadata"]["name"].endswith("-election")]
    assert [meta["namespace"] for meta in names] == [where, where]
