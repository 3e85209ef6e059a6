"""Values as users have them: those of Flagger's charts, reused from its releases, of umbrella charts, numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger import __version__
from pyflagger.api.crds import crds
from pyflagger.loadtester.options import read_options
from pyflagger.objects import Obj
from pyflagger.operator.options import parse
from shipping.rendering import CHARTS, container, helm, one, templated, tool

pytestmark = pytest.mark.real

THEIRS = Path(__file__).parent / "theirs"
IMAGES = {"flagger": "pyflagger", "loadtester": "pyflagger-loadtester"}
CHARTS_OF_THEIRS = tuple(sorted(path.stem for path in THEIRS.glob("*.yaml")))


def values(path: Path) -> dict[str, Any]:
    """A values file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def drawn(folder: Path, *words: str) -> list[Obj]:
    """What a chart in a folder of the test's own renders to."""
    done = tool("helm", "template", "flagger", str(folder), "-n", "flagger-system", *words)
    assert done.returncode == 0, done.stderr
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


def with_values(folder: Path, chart: str, given: Mapping[str, Any]) -> Path:
    """A copy of the chart with other defaults: with `--reuse-values` Helm takes those of the release before."""
    copy = folder / chart
    shutil.copytree(CHARTS / chart, copy)
    (copy / "values.yaml").write_text(yaml.safe_dump(given))
    return copy


def names(objects: list[Obj]) -> set[tuple[str, str]]:
    """Kind and name of each object."""
    return {(obj["kind"], obj["metadata"]["name"]) for obj in objects}


@pytest.mark.parametrize("chart", CHARTS_OF_THEIRS)
def test_a_values_file_of_theirs(chart: str) -> None:
    """Renders as it is, to the objects that the chart makes without it."""
    assert names(templated(chart, values(THEIRS / f"{chart}.yaml"))) == names(templated(chart))


@pytest.mark.parametrize("chart", CHARTS_OF_THEIRS)
def test_reused_values(tmp_path: Path, chart: str) -> None:
    """`--reuse-values` after a release of Flagger's: none of our defaults is there."""
    copy = with_values(tmp_path, chart, values(THEIRS / f"{chart}.yaml"))
    objects = drawn(copy, "--set", "image.repository=registry.example/ours", "--set", "image.tag=")
    assert names(objects) == names(templated(chart))
    if chart in ("flagger", "loadtester"):
        assert container(objects)["image"] == f"registry.example/ours:{__version__}"


def test_reused_values_before_1_21() -> None:
    """They have `istio`, which later releases call `controlplane`; empty, it asks for nothing."""
    older = {"istio": {"kubeconfig": {"secretName": "", "key": "kubeconfig"}}}
    assert templated("flagger", older) == templated("flagger")


@pytest.mark.parametrize("chart", [path.parent.name for path in CHARTS.glob("*/Chart.yaml")])
def test_no_values_at_all(tmp_path: Path, chart: str) -> None:
    """Renders, and the program takes its command line."""
    objects = drawn(with_values(tmp_path, chart, {}))
    if chart == "flagger":
        parse(container(objects)["args"], {})
    if chart == "loadtester":
        read_options(container(objects)["args"][1:], {})


def tables(given: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of all tables of named values."""
    for name, value in given.items():
        if isinstance(value, dict) and "/" not in name:
            yield f"{path}{name}"
            if name not in ("resources", "affinity", "context"):  # Templates pass these on as they are.
                yield from tables(value, f"{path}{name}.")


ON = {
    "flagger": {
        "podMonitor.enabled": True,
        "serviceMonitor.enabled": True,
        "prometheus.install": True,
        "linkerdAuthPolicy.create": True,
        "podDisruptionBudget.enabled": True,
        "networkPolicy.enabled": True,
    },
    "podinfo": {"canary.enabled": True, "canary.loadtest.enabled": True},
    "loadtester": {
        "istio.enabled": True,
        "appmesh.enabled": True,
        "podDisruptionBudget.enabled": True,
        "networkPolicy.enabled": True,
    },
}


@pytest.mark.parametrize(
    ("chart", "path"),
    [(each.parent.name, path) for each in CHARTS.glob("*/values.yaml") for path in tables(values(each))],
)
def test_each_table_may_be_missing(chart: str, path: str) -> None:
    """Null takes a table away, as values of an older release do; what other values ask for is still rendered."""
    words = [word for key, value in ON.get(chart, {}).items() for word in ("--set", f"{key}={str(value).lower()}")]
    done = tool("helm", "template", "flagger", f"charts/{chart}", *words, "--set", f"{path}=null")
    assert done.returncode == 0, done.stderr


NUMBERS: dict[str, Any] = {
    "image": {"tag": 20261130},
    "podLabels": {"generation": 7, "beta": True, "ratio": 1.5, "gone": None},
    "podAnnotations": {"prometheus.io/port": 8080, "prometheus.io/scrape": True},
    "nodeSelector": {"gpu": False},
    "tolerations": [{"key": "gpu", "value": True, "tolerationSeconds": 60}, {"key": "infra", "operator": "Exists"}],
    "env": [
        {"name": "RETRIES", "value": 3},
        {"name": "KEY", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
}


REPLICAS = {
    "flagger": {"leaderElection": {"replicaCount": 0}},
    "loadtester": {"replicaCount": 0},
    "grafana": {"replicaCount": 0},
}


@pytest.mark.parametrize("chart", REPLICAS)
def test_no_replicas(chart: str) -> None:
    """Zero is a number, not the absence of one."""
    assert one(templated(chart, REPLICAS[chart]), "Deployment")["spec"]["replicas"] == 0


@pytest.mark.parametrize("chart", ["flagger", "loadtester"])
def test_numbers_and_booleans(chart: str) -> None:
    """Where Kubernetes wants strings; large numbers stay as they were written."""
    objects = templated(chart, NUMBERS)
    template = one(objects, "Deployment")["spec"]["template"]
    assert container(objects)["image"] == f"{IMAGES[chart]}:20261130"
    labels = template["metadata"]["labels"]
    assert (labels["generation"], labels["beta"], labels["ratio"]) == ("7", "true", "1.5") and "gone" not in labels
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert template["spec"]["nodeSelector"] == {"gpu": "false"}
    assert template["spec"]["tolerations"] == [NUMBERS["tolerations"][0] | {"value": "true"}, NUMBERS["tolerations"][1]]
    assert container(objects)["env"][-2:] == [{"name": "RETRIES", "value": "3"}, NUMBERS["env"][1]]


def test_numbers_in_flags() -> None:
    """A million is not 1e+06, and a replica count may be text."""
    given = {"kubeconfigBurst": 1000000, "leaderElection": {"enabled": True, "replicaCount": "2"}}
    objects = templated("flagger", given)
    assert "-kubeconfig-burst=1000000" in container(objects)["args"]
    assert one(objects, "Deployment")["spec"]["replicas"] == 2


@pytest.mark.parametrize("enabled", [True, False])
def test_under_an_umbrella(tmp_path: Path, enabled: bool) -> None:
    """`condition: flagger.enabled`, globals, and anchors in the values of the umbrella chart."""
    dependency = {"name": "flagger", "version": __version__, "condition": "flagger.enabled"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    given = {"global": {"region": "east"}, "flagger": {"enabled": enabled, "x-shared": {"a": 1}, "clusterName": ""}}
    (tmp_path / "Chart.yaml").write_text(json.dumps(chart))
    (tmp_path / "values.yaml").write_text(json.dumps(given))
    shutil.copytree(CHARTS / "flagger", tmp_path / "charts" / "flagger")
    assert (("Deployment", "flagger") in names(drawn(tmp_path))) == enabled


def test_under_another_name(tmp_path: Path) -> None:
    """An alias of a dependency names the objects, as with Flagger's chart: its selectors never change."""
    dependency = {"name": "flagger", "version": __version__, "alias": "canaries"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(json.dumps(chart))
    shutil.copytree(CHARTS / "flagger", tmp_path / "charts" / "flagger")
    found = one(drawn(tmp_path), "Deployment", "flagger-canaries")
    assert found["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == "canaries"


@pytest.mark.parametrize(
    ("chart", "repository", "image"),
    [
        ("flagger", "ghcr.io/fluxcd/flagger", f"pyflagger:{__version__}"),
        ("flagger", "weaveworks/flagger", f"pyflagger:{__version__}"),
        ("flagger", "registry.example/fluxcd/flagger", "registry.example/fluxcd/flagger:1.44.0"),
        ("loadtester", "ghcr.io/fluxcd/flagger-loadtester", f"pyflagger-loadtester:{__version__}"),
        ("loadtester", "ghcr.io/me/flagger-loadtester", "ghcr.io/me/flagger-loadtester:1.44.0"),
    ],
)
def test_their_image_is_replaced(chart: str, repository: str, image: str) -> None:
    """Their operator does not take our flags and probes; a name that is not theirs is the user's choice."""
    given = {"image": {"repository": repository, "tag": "1.44.0"}}
    assert container(templated(chart, given))["image"] == image


@pytest.mark.parametrize(
    ("replicas", "spec"), [(1, {"maxUnavailable": 1}), (3, {"minAvailable": "50%"}), ("3", {"minAvailable": "50%"})]
)
@pytest.mark.parametrize("chart", ["flagger", "loadtester"])
def test_a_budget_does_not_block_drains(chart: str, replicas: int, spec: Mapping[str, Any]) -> None:
    """A minimum of a single replica would."""
    count = {"replicaCount": replicas} if chart == "loadtester" else {}
    election = {"leaderElection": {"enabled": replicas != 1, "replicaCount": replicas}} if chart == "flagger" else {}
    given = {"podDisruptionBudget": {"enabled": True, "minAvailable": "50%"}, **count, **election}
    found = one(templated(chart, given), "PodDisruptionBudget")["spec"]
    assert {key: value for key, value in found.items() if key != "selector"} == spec


def test_definitions_are_kept() -> None:
    """Helm deletes none of those that a release created: each Canary would be deleted with them."""
    found = [obj for obj in templated("flagger", {"crd": {"create": True}}) if obj["kind"].startswith("CustomRes")]
    assert len(found) == len(crds())
    assert {obj["metadata"]["annotations"]["helm.sh/resource-policy"] for obj in found} == {"keep"}
    source = list(yaml.safe_load_all((CHARTS / "flagger" / "crds" / "crds.yaml").read_text()))
    assert [obj["spec"] for obj in sorted(found, key=str)] == [obj["spec"] for obj in sorted(source, key=str)]


def test_the_account_of_prometheus() -> None:
    """Follows the name of the operator's account, as with Flagger's chart."""
    objects = templated("flagger", {"prometheus": {"install": True}, "serviceAccount": {"name": "mine"}})
    assert one(objects, "ServiceAccount", "mine-prometheus")
    pod = one(objects, "Deployment", "flagger-prometheus")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "mine-prometheus"
    assert one(objects, "ClusterRoleBinding", "flagger-prometheus")["subjects"][0]["name"] == "mine-prometheus"


def test_a_volume_at_tmp() -> None:
    """The user's takes the place of the chart's."""
    given = {
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    objects = templated("loadtester", given)
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"] == given["volumes"]
    assert container(objects)["volumeMounts"] == given["volumeMounts"]


def test_the_load_tester_in_istio() -> None:
    """A host that leads to the Service, by a Gateway with TLS; the redirect is of the server that speaks plain HTTP."""
    tls = {"enabled": True, "httpsRedirect": True}
    given = {"istio": {"enabled": True, "host": "load.example", "gateway": {"enabled": True}, "tls": tls}}
    objects = templated("loadtester", given, "tester")
    (route,) = one(objects, "VirtualService")["spec"]["http"][0]["route"]
    assert route["destination"] == {"host": "tester-loadtester", "port": {"number": 80}}
    plain, secure = one(objects, "Gateway")["spec"]["servers"]
    assert plain["tls"] == {"httpsRedirect": True} and plain["hosts"] == secure["hosts"] == ["load.example"]
    assert secure["tls"] == {"mode": "SIMPLE", "credentialName": "tester-loadtester"}


@pytest.mark.parametrize(
    ("given", "version", "backend"),
    [
        ({"appmesh": {"enabled": True}}, "v1beta2", {"virtualServiceRef": {"name": "podinfo"}}),
        ({"meshName": "global", "backends": ["podinfo"]}, "v1beta1", {"virtualServiceName": "podinfo"}),
    ],
)
def test_the_load_tester_in_app_mesh(given: Mapping[str, Any], version: str, backend: Mapping[str, Any]) -> None:
    """A VirtualNode of either version, with what it calls."""
    node = one(templated("loadtester", given), "VirtualNode")
    assert node["apiVersion"] == f"appmesh.k8s.aws/{version}"
    assert node["spec"]["backends"][0] == {"virtualService": backend}


def test_annotations_of_the_load_tester_s_account_may_be_templates() -> None:
    """As with Flagger's chart."""
    given = {"rbac": {"create": True, "serviceAccountAnnotations": {"role": "{{ .Release.Name }}-role"}}}
    assert one(templated("loadtester", given), "ServiceAccount")["metadata"]["annotations"] == {"role": "flagger-role"}


def test_a_misspelled_value_is_refused() -> None:
    """Anchors and an umbrella's own keys are not."""
    assert "additional" in helm("flagger", {"x-a": 1, "enabeld": True}).stderr.lower()


PODINFO = {
    "canary": {
        "enabled": True,
        "istioIngress": {"enabled": True, "host": "podinfo.example"},
        "loadtest": {"enabled": True},
        "helmtest": {"enabled": True},
    }
}


@pytest.mark.parametrize("given", [{"canary": {"enabled": True}}, PODINFO])
def test_the_canary_of_podinfo(given: Mapping[str, Any]) -> None:
    """Lint finds nothing in it, and Deployment and autoscaler are those that it refers to."""
    objects = templated("podinfo", given)
    done = tool("flagger", "lint", "-", said=yaml.safe_dump_all(objects))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    spec = one(objects, "Canary")["spec"]
    assert one(objects, "Deployment", spec["targetRef"]["name"])
    assert one(objects, "HorizontalPodAutoscaler", spec["autoscalerRef"]["name"])
    assert not [obj for obj in objects if obj["kind"] == "Service"]


def test_podinfo_without_an_autoscaler() -> None:
    """The Canary then refers to none; thresholds of zero are thresholds."""
    given = {"hpa": {"enabled": False}, "canary": {"enabled": True, "thresholds": {"successRate": 0}}}
    spec = one(templated("podinfo", given), "Canary")["spec"]
    assert "autoscalerRef" not in spec
    assert spec["analysis"]["metrics"][0]["thresholdRange"] == {"min": 0}


def test_a_gateway_of_podinfo_needs_a_host() -> None:
    """The reference would route no host at all."""
    given = {"canary": {"enabled": True, "istioIngress": {"enabled": True}}}
    assert "canary.istioIngress.host" in helm("podinfo", given).stderr


@pytest.mark.parametrize(
    ("given", "known"), [({}, False), ({"password": "planted-4f1c"}, True), ({"existingSecret": "mine"}, True)]
)
def test_who_may_log_in_to_grafana(given: Mapping[str, Any], known: bool) -> None:
    """With a password its user; otherwise nobody, because Grafana's first administrator has a known one."""
    objects = templated("grafana", given)
    found = {each["name"]: each for each in container(objects)["env"]}
    assert ("GF_SECURITY_ADMIN_PASSWORD" in found) == known
    if known:
        secret = found["GF_SECURITY_ADMIN_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"]
        assert secret == given.get("existingSecret", "flagger-grafana")
        assert "planted" not in json.dumps([obj for obj in objects if obj["kind"] != "Secret"])
        assert "GF_AUTH_ANONYMOUS_ENABLED" not in found
        return
    said = {name: found[name]["value"] for name in found if name.startswith("GF_AUTH")}
    assert said == {
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
        "GF_AUTH_BASIC_ENABLED": "false",
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
    }


def test_the_dashboards_of_grafana(tmp_path: Path) -> None:
    """Every JSON file of the folder, as it is: its braces are Grafana's, not Helm's."""
    copy = tmp_path / "grafana"
    shutil.copytree(CHARTS / "grafana", copy)
    (copy / "dashboards").mkdir(exist_ok=True)
    text = json.dumps({"uid": "mine", "legendFormat": "{{ pod }}"}, indent=2)
    (copy / "dashboards" / "mine.json").write_text(text)
    found = one(drawn(copy), "ConfigMap", "flagger-grafana-dashboards")["data"]
    assert found["mine.json"] == text
    assert set(found) == {path.name for path in (copy / "dashboards").glob("*.json")}
    assert len(json.dumps(found)) < 1_000_000


def test_the_data_source_of_grafana() -> None:
    """The Prometheus of `url`, under the name and the uid that the dashboards ask for."""
    data = one(templated("grafana", {"url": "http://p:9090"}), "ConfigMap", "flagger-grafana-datasources")["data"]
    (source,) = yaml.safe_load(data["datasources.yaml"])["datasources"]
    assert (source["uid"], source["name"], source["url"]) == ("prometheus", "prometheus", "http://p:9090")


def test_weave_cloud_is_gone() -> None:
    """Its token is refused, not ignored."""
    assert "token: Weave Cloud is gone" in helm("grafana", {"token": "planted-4f1c"}).stderr
    assert "planted" not in helm("grafana", {"token": "planted-4f1c"}).stderr
