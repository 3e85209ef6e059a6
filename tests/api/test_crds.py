"""The CustomResourceDefinitions: what kubectl shows, what they accept, and that an API server can serve them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from manifests import GOOD, analysed, good

from pyflagger.admission import crd as admission
from pyflagger.admission import structural
from pyflagger.api.crds import crds
from pyflagger.api.parse import Invalid, parse_canary
from pyflagger.api.status import Phase
from pyflagger.cli.main import main

CRDS = {definition["spec"]["names"]["kind"]: definition for definition in crds()}


def schema(kind: str = "Canary") -> dict[str, Any]:
    """The schema of a kind."""
    (version,) = CRDS[kind]["spec"]["versions"]
    root: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return root


def refusals(obj: Any, kind: str = "Canary") -> list[str]:
    """What an API server says of an object at admission."""
    return [f"{cause.field}: {cause.message}" for cause in structural.validate(schema(kind), obj, None)]


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema with its path."""
    yield path, node
    for name, inner in (node.get("properties") or {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], f"{path}[]")


# What they are ------------------------------------------------------------------------------------------------------


def test_the_three_kinds() -> None:
    """By the reference's names, so that an upgrade is `kubectl apply`. Our own are beside them."""
    assert [definition["metadata"]["name"] for definition in crds()] == [
        "canaries.flagger.app",
        "metrictemplates.flagger.app",
        "alertproviders.flagger.app",
        "canaryreleases.flagger.app",
        "canaryactions.flagger.app",
    ]
    for definition in crds()[:3]:
        (version,) = definition["spec"]["versions"]
        assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)
        assert version["subresources"] == {"status": {}}
        assert definition["spec"]["scope"] == "Namespaced"


def test_the_kind_of_records() -> None:
    """Alpha, with a short name, not in `kubectl get all`, and written as a whole: a status that closes a record goes
    with its labels."""
    names, (version,) = CRDS["CanaryRelease"]["spec"]["names"], CRDS["CanaryRelease"]["spec"]["versions"]
    assert (names["shortNames"], names["categories"], version["name"]) == (["crel"], ["flagger"], "v1alpha1")
    assert "subresources" not in version
    columns = [each["name"] for each in version["additionalPrinterColumns"] if not each.get("priority")]
    assert columns == ["Canary", "Number", "Outcome", "Image", "Weight", "Took", "Age"]


def test_the_kind_of_actions() -> None:
    """Alpha, with a short name, not in `kubectl get all`, and with a status that its creator cannot bring along."""
    names, (version,) = CRDS["CanaryAction"]["spec"]["names"], CRDS["CanaryAction"]["spec"]["versions"]
    assert (names["shortNames"], names["categories"], version["name"]) == (["cact"], ["flagger"], "v1alpha1")
    assert version["subresources"] == {"status": {}}
    columns = [each["name"] for each in version["additionalPrinterColumns"] if not each.get("priority")]
    assert columns == ["Canary", "Action", "By", "State", "Age"]
    spec = schema("CanaryAction")["properties"]["spec"]
    assert spec["x-kubernetes-validations"][0]["rule"] == "self == oldSelf"


def test_columns_of_a_canary() -> None:
    """`kubectl get` shows the first four, `-o wide` all of them."""
    (version,) = CRDS["Canary"]["spec"]["versions"]
    columns = {column["name"]: column for column in version["additionalPrinterColumns"]}
    narrow = [name for name, column in columns.items() if not column.get("priority")]
    assert narrow == ["Status", "Weight", "LastTransitionTime"]
    assert columns["Status"]["jsonPath"] == ".status.phase"
    assert {"Suspended", "FailedChecks", "Interval", "Mirror", "StepWeight", "StepWeights", "MaxWeight"} < set(columns)


@pytest.mark.parametrize("kind", CRDS)
def test_schemas_are_structural(kind: str) -> None:
    """As the API server demands: every node has a type or says that anything goes; no references, no nulls."""
    for path, node in nodes(schema(kind)):
        assert "$ref" not in node and "allOf" not in node, path
        assert all(set(choice) == {"required"} for choice in node.get("anyOf", ())), path
        free = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-int-or-string")
        assert node.get("type") in ("object", "array", "string", "number", "integer", "boolean") or free, (path, node)
        assert not ("properties" in node and "additionalProperties" in node), path
        assert node.get("type") != "array" or "items" in node, path


@pytest.mark.parametrize("kind", CRDS)
def test_fields_have_a_meaning(kind: str) -> None:
    """`kubectl explain` has something to say of each field under spec."""
    spec = schema(kind)["properties"]["spec"]
    named = [(path, node) for path, node in nodes(spec) if path and not path.endswith("[]")]
    silent = [path for path, node in named if "description" not in node]
    assert not silent


def test_the_status_holds_every_phase() -> None:
    """None is refused when it is written, but for the one that stands for what cannot be read."""
    for phase in set(Phase) - {Phase.UNKNOWN}:
        assert not refusals({**GOOD, "status": {"phase": phase.value, "canaryWeight": 0}})
    assert refusals({**GOOD, "status": {"phase": Phase.UNKNOWN.value}})


def test_the_sandbox_serves_them() -> None:
    """They become resources with their columns and a status subresource."""
    for definition in crds():
        accepted = admission.accepted(definition, "2026-01-01T00:00:00Z")
        assert accepted["status"]["acceptedNames"]["kind"] == definition["spec"]["names"]["kind"]
        (resource,) = admission.resources(accepted)
        assert resource.plural == definition["spec"]["names"]["plural"]


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    """As YAML documents that are what the function gives."""
    assert main(["crds"]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == crds()


# What they accept ---------------------------------------------------------------------------------------------------

ACCEPTED: dict[str, Any] = {
    "the good one": GOOD,
    "weights over a hundred": analysed(maxWeight=500),
    "a fraction of a weight": analysed(stepWeight=2.5),
    "a short interval": analysed(interval="1s"),
    "a longer interval": analysed(interval="1m30s"),
    "steps in a list": analysed(stepWeight=None, maxWeight=None, stepWeights=[1, 2, 3]),
    "iterations": analysed(stepWeight=None, maxWeight=None, iterations=5),
    "an empty hook type": analysed(webhooks=[{"name": "a", "url": "http://a", "type": ""}]),
    "a named target port": good(service={"targetPort": "http"}),
    "a numbered target port": good(service={"targetPort": 8080}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    """Whatever the reference's definitions let in; what makes no sense is told at run time, object by object."""
    assert refusals(ACCEPTED[case]) == []


REFUSED: dict[str, tuple[Any, str]] = {
    "no spec": ({**GOOD, "spec": None}, "spec"),
    "no target": (good(targetRef=None), "spec.targetRef"),
    "no analysis": (good(analysis=None), "spec.analysis"),
    "no way to go": (analysed(stepWeight=None), "spec.analysis"),
    "two ways to go": (analysed(iterations=3), "spec.analysis"),
    "an interval in hours": (analysed(interval="1h"), "spec.analysis.interval"),
    "an interval that is a number": (analysed(interval=10), "spec.analysis.interval"),
    "a hook of no known type": (
        analysed(webhooks=[{"name": "a", "url": "http://a", "type": "x"}]),
        "spec.analysis.webhooks[0].type",
    ),
    "words for a number": (analysed(threshold="five"), "spec.analysis.threshold"),
    "a severity": (
        analysed(alerts=[{"name": "a", "severity": "loud", "providerRef": {"name": "p"}}]),
        "spec.analysis.alerts[0].severity",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """At admission already, at that path."""
    obj, path = REFUSED[case]
    found = refusals({key: value for key, value in obj.items() if value is not None})
    assert any(text.startswith(path) for text in found), found


@pytest.mark.parametrize(
    ("spec", "accepted"),
    [
        ({"type": "slack", "address": "https://h"}, True),
        ({"type": "slack", "secretRef": {"name": "s"}}, True),
        ({"type": "slack", "address": "https://h", "secretRef": {"name": "s"}}, True),
        ({"type": "slack"}, False),
        ({"address": "https://h"}, False),
    ],
)
def test_where_an_alert_provider_has_its_address(spec: dict[str, Any], accepted: bool) -> None:
    """In the manifest, in a Secret, or in both, as the reference's documentation has it."""
    assert (not refusals({"metadata": {"name": "p"}, "spec": spec}, "AlertProvider")) is accepted


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_is_accepted_is_parsed_or_told(case: str) -> None:
    """Nothing that gets in makes the parser break."""
    try:
        parse_canary(ACCEPTED[case])
    except Invalid as invalid:
        assert all(problem.path.startswith("spec.") for problem in invalid.problems)
