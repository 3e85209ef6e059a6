"""`flagger lint`: files, directories and standard input; what an API server and the operator would refuse; forms."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyflagger.cli import lint
from pyflagger.cli.demo.views import check

CANARY: dict[str, Any] = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50},
    },
}
TEMPLATE = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "errors", "namespace": "shop"},
    "spec": {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": "sum({{ target }})"},
}
PATH = {"path": "/", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"rules": [{"http": {"paths": [PATH]}}]},
}


def changed(of: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set, or removed when that is None."""
    copy: dict[str, Any] = json.loads(json.dumps(of))
    *steps, last = path.split(".")
    at = copy
    for step in steps:
        at = at.setdefault(step, {})
    if value is None:
        at.pop(last)
    else:
        at[last] = value
    return copy


def told(tmp_path: Path, *objects: dict[str, Any], words: tuple[str, ...] = ()) -> tuple[int, Path]:
    """The exit status of a file with these objects."""
    file = tmp_path / "some.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return lint.main([*words, str(file)]), file


ANALYSIS = "spec.analysis"
RECEIVER = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "AlertProvider",
    "metadata": {"name": "p", "namespace": "test"},
}

ACTION = {
    "apiVersion": "flagger.app/v1alpha1",
    "kind": "CanaryAction",
    "metadata": {"generateName": "web-pause-", "namespace": "shop"},
    "spec": {"canary": "web", "action": "pause", "by": "ann"},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an action that does not exist": (changed(ACTION, "spec.action", "stop"), "spec.action"),
    "the version of another kind": (
        changed(ACTION, "apiVersion", "flagger.app/v1beta1"),
        "apiVersion is 'flagger.app/v1beta1'. Write flagger.app/v1alpha1.",
    ),
    "a field that does not exist": (
        changed(CANARY, f"{ANALYSIS}.stepWeigth", 5),
        "spec.analysis.stepWeigth is not a field of Canary. Did you mean stepWeight?",
    ),
    "a field far from any": (changed(CANARY, "spec.zzz", 1), "spec.zzz is not a field of Canary. Remove it."),
    "two ways": (
        changed(CANARY, f"{ANALYSIS}.iterations", 5),
        "spec.analysis has iterations and stepWeight: only one of them can be set. Keep one.",
    ),
    "no threshold": (
        changed(CANARY, f"{ANALYSIS}.threshold", None),
        "spec.analysis has no threshold. Set ",
    ),
    "no analysis": (changed(CANARY, ANALYSIS, None), "spec.analysis is required. Set spec.analysis."),
    "a kind misspelt": (
        changed(CANARY, "kind", "Canray"),
        "kind is 'Canray', which is not a kind of flagger.app. Did",
    ),
    "a kind that is none": (
        changed(CANARY, "kind", "Deployment"),
        "Use one of: Canary, MetricTemplate, AlertProv",
    ),
    "an old version": (changed(CANARY, "apiVersion", "flagger.app/v1alpha3"), "Write flagger.app/v1beta1."),
    "another group": (changed(CANARY, "apiVersion", "flager.app/v1beta1"), "apiVersion is 'flager.app/v1beta1'"),
    "no version": (changed(CANARY, "apiVersion", None), "apiVersion is required. Write flagger.app/v1beta1."),
    "a path without its type": (INGRESS, "spec.rules[0].http.paths[0].pathType is required"),
    "a version that is gone": (
        changed(INGRESS, "apiVersion", "extensions/v1beta1"),
        "apiVersion is extensions/v1beta1, which Kubernetes has removed for Ingress. Write networking.k8s.io/v1.",
    ),
    "a field of a pod": (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replica": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web", "port": []}]},
                },
            },
        },
        "spec.replica is not a field of Deployment. Did you mean replicas?",
    ),
    "a name in capitals": (changed(CANARY, "metadata.name", "Web"), "metadata.name"),
    "no name": (changed(CANARY, "metadata.name", None), "metadata.name is required"),
    "a provider that is not built": (
        changed(TEMPLATE, "spec.provider.type", "nagios"),
        "spec.provider.type: unknown metric provider nagios. Use one of: cloudwatch, datadog, ",
    ),
    "no region": (changed(TEMPLATE, "spec.provider.type", "cloudwatch"), "spec.provider.region: there is no region"),
    "an address": (changed(TEMPLATE, "spec.provider.address", "prometheus:9090"), "spec.provider.address: address"),
    "a query that cannot be read": (
        changed(TEMPLATE, "spec.query", "sum({{ target )"),
        "spec.query cannot be read: ",
    ),
    "an in-line query": (
        changed(CANARY, f"{ANALYSIS}.metrics", [{"name": "m", "query": "{{ targt }}", "thresholdRange": {"max": 1}}]),
        "metric m: query cannot be rendered: 1:",
    ),
    "a receiver of alerts that is not built": (
        {**RECEIVER, "spec": {"type": "pigeon", "address": "http://p"}},
        "spec.type: unknown alert provider pigeon. Use one of: discord, email, gchat, grafana, ",
    ),
    "the address of one": (
        {**RECEIVER, "spec": {"type": "slack", "address": "hooks"}},
        "spec.address: the address is not a URL. Set it to the URL of the receiver.",
    ),
    "an alert of no type": ({**RECEIVER, "spec": {"address": "http://slack"}}, "spec.type is required. "),
    "no place of an alert": (
        {**RECEIVER, "spec": {"type": "slack", "channel": "releases"}},
        "spec has neither address nor secretRef. Set one of them.",
    ),
    "a host that Istio does not accept": (
        changed(changed(CANARY, "spec.provider", "istio"), "spec.service.hosts", ["a_b.example"]),
        "spec.service.hosts[0] is 'a_b.example', which a VirtualService does not accept: ",
    ),
    "a condition that is no object": (
        changed(
            changed(CANARY, "spec.provider", "gatewayapi:v1"),
            "spec.service",
            {"port": 80, "gatewayRefs": [{"name": "gw"}], "match": [{"headers": {"x": "y"}}]},
        ),
        "spec.service.match[0].headers.x is 'y', but must be an object with exact, prefix, regex.",
    ),
    "a file as hook": (
        changed(CANARY, f"{ANALYSIS}.webhooks", [{"name": "x", "url": "file:///etc/passwd"}]),
        "spec.analysis.webhooks[0].url is not a URL that starts with http:// or https://.",
    ),
}


def test_a_name_that_the_server_completes(tmp_path: Path) -> None:
    """`generateName` instead of a name, in the version of its kind."""
    assert told(tmp_path, ACTION)[0] == 0


def test_an_alert_provider_may_have_its_address_in_two_places(tmp_path: Path) -> None:
    """As an API server accepts it."""
    both = {"type": "slack", "address": "http://slack", "secretRef": {"name": "slack"}}
    assert told(tmp_path, {**RECEIVER, "spec": both})[0] == 0


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, and the path with what to do."""
    obj, text = REFUSED[name]
    status, file = told(tmp_path, obj)
    said = capsys.readouterr().out
    assert status == 1 and text in said
    assert said.startswith(f"{file}: {obj.get('kind')} ")


def test_an_unsayable_condition_without_the_ingress_in_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The route is rehearsed on a stand-in; a manifest that works says nothing."""
    ways = {"interval": "1m", "threshold": 5, "iterations": 2}
    cookie = changed(CANARY, ANALYSIS, {**ways, "match": [{"headers": {"cookie": {"regex": "a"}}}]})
    assert told(tmp_path, cookie)[0] == 1
    assert "spec.analysis.match[0].headers.cookie cannot be expressed by ingress annotations" in capsys.readouterr().out
    assert told(tmp_path, CANARY)[0] == 0
    assert capsys.readouterr().out == ""


def test_a_provider_for_those_that_name_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Istio, as the operator's default; another one by the flag."""
    ways = {"interval": "1m", "threshold": 5, "iterations": 2, "match": [{"headers": {"x": {"prefix": "a"}}}]}
    bare = changed(changed(CANARY, "spec.provider", None), ANALYSIS, ways)
    assert told(tmp_path, bare)[0] == 0
    assert told(tmp_path, bare, words=("-mesh-provider", "nginx"))[0] == 1
    assert told(tmp_path, bare, words=("-mesh-provider=nope",))[0] == 2
    assert "nope" in capsys.readouterr().err


def test_a_target_of_the_core_group(tmp_path: Path) -> None:
    """The kind counts, as in Flagger, whose FAQ has such a manifest."""
    ref = {"apiVersion": "v1", "kind": "Deployment", "name": "web"}
    assert told(tmp_path, changed(CANARY, "spec.targetRef", ref))[0] == 0


def test_a_knative_service_in_a_file(tmp_path: Path) -> None:
    """It has no Revision yet, as Knative makes the first one in the cluster."""
    ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    spec = {"provider": "knative", "targetRef": ref, "analysis": CANARY["spec"]["analysis"]}
    service = {"template": {"spec": {"containers": [{"image": "web:1"}]}}}
    target = {"apiVersion": ref["apiVersion"], "kind": "Service", "metadata": CANARY["metadata"], "spec": service}
    assert told(tmp_path, {**CANARY, "spec": spec}, target)[0] == 0


def test_a_folder_and_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file below; a file that cannot be read is named, and hides nothing of the others."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.yml").write_text(yaml.safe_dump(changed(CANARY, "spec.zzz", 1)))
    (tmp_path / "two.json").write_text(json.dumps(changed(CANARY, "kind", "Canray")))
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.txt").write_text("kind: Canray\napiVersion: flagger.app/v1beta1\n")
    assert lint.main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "deep/one.yml: Canary shop/web: spec.zzz" in out and "two.json: Canray shop/web: kind" in out
    assert "bad.yaml: is not YAML" in err and "binary.yaml" in err and "notes.txt" not in out + err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert lint.main([str(empty)]) == 1
    assert "no file of this directory ends in" in capsys.readouterr().err


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """By a dash."""
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(changed(CANARY, "spec.zzz", 1))))
    assert lint.main(["-"]) == 1
    assert capsys.readouterr().out.startswith("-: Canary shop/web: spec.zzz")


def test_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON with the line of the path; annotations of a pull request; lists are taken apart."""
    listed = {"apiVersion": "v1", "kind": "List", "items": [CANARY, changed(CANARY, f"{ANALYSIS}.maxWeight", 900)]}
    _, file = told(tmp_path, listed, words=("-o", "json"))
    found = {each["path"]: each for each in json.loads(capsys.readouterr().out)}
    line = next(at for at, text in enumerate(file.read_text().splitlines(), 1) if "maxWeight: 900" in text)
    assert found["spec.analysis.maxWeight"]["line"] == line
    assert found["spec.analysis.maxWeight"]["level"] == "error"
    told(tmp_path, listed, words=("-o", "github"))
    assert (
        f"::error file={file},line={line}::Canary shop/web: spec.analysis.maxWeight is 900" in capsys.readouterr().out
    )


def test_a_closed_gate_in_the_demo() -> None:
    """It waits; it has not failed. A rollback hook that refuses has not either."""
    record = {"kind": "check", "name": "gate", "passed": False, "text": "Status 403 Forbidden", "closed": True}
    assert check({**record, "hook": "confirm-rollout"}) == "gate (confirm-rollout) closed, waiting for approval"
    assert check({**record, "hook": "rollback"}) == "gate (rollback) does not request a rollback"
