"""The dashboard of a cluster, in the chart and in kustomize/: the same container, its flags, and few rights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pyflagger.cli.dashboard import check_options, settings_of
from pyflagger.cli.dashboard import command as dashboard_command
from pyflagger.dashboard.incluster import Settings
from pyflagger.objects import Obj
from pyflagger.operator.options import parse
from shipping.rendering import container, kustomized, one, templated
from shipping.test_charts import DASHBOARD, EVERYTHING

pytestmark = pytest.mark.real


def dashboard(given: Mapping[str, Any]) -> list[Obj]:
    """The objects of the chart's dashboard."""
    return [obj for obj in templated("flagger", given) if "-dashboard" in obj["metadata"]["name"]]


def settings(objects: list[Obj]) -> Settings:
    """How the container of a dashboard starts it, read as the command reads it."""
    args = [str(each) for each in container(objects)["args"]]
    assert args[:2] == ["dashboard", "--in-cluster"]
    context = dashboard_command.make_context("dashboard", args[1:])
    given = context.params
    check_options(context, in_cluster=True)
    return settings_of(given["public_url"], given["trust_user_headers"], given["trusted_proxies"], given)


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        (DASHBOARD, ["-dashboard-url=https://flagger.example.com"]),
        ({**DASHBOARD, "enabled": False}, []),
        ({**DASHBOARD, "publicUrl": "http://localhost:8490"}, []),
    ],
)
def test_alerts_link_to_a_dashboard_that_others_can_open(given: Mapping[str, Any], linked: list[str]) -> None:
    """Not to one that is off, or that is reached from one machine only. The operator takes the flag."""
    rendered = templated("flagger", {"dashboard": given})
    operator = [obj for obj in rendered if obj["kind"] == "Deployment" and "-dashboard" not in obj["metadata"]["name"]]
    args = [str(each) for each in container(operator)["args"]]
    assert [each for each in args if each.startswith("-dashboard-url")] == linked
    assert parse(linked, {}).dashboard_url == "".join(linked).removeprefix("-dashboard-url=")


def test_the_dashboard_is_that_of_kustomize() -> None:
    """The same container, and an account that may read canaries and nothing else, in one namespace if asked."""
    ours, theirs = kustomized("dashboard"), dashboard({"dashboard": DASHBOARD, "networkPolicy": {"enabled": True}})
    assert container(ours) == container(theirs) and settings(ours) == settings(theirs)
    for objects in (ours, theirs, dashboard({"dashboard": DASHBOARD, "namespace": "test"})):
        (role,) = [obj for obj in objects if obj["kind"].endswith("Role")]
        assert role["rules"] == [
            {"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get", "list", "watch"]}
        ]
        (binding,) = [obj for obj in objects if obj["kind"].endswith("Binding")]
        account = {"kind": "ServiceAccount", "name": "flagger-dashboard", "namespace": "flagger-system"}
        assert binding["subjects"] == [account] and binding["roleRef"]["kind"] == role["kind"]
        assert one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
    for kind in ("NetworkPolicy", "Service", "Deployment"):
        found = [one(objects, kind)["spec"] for objects in (ours, theirs)]
        labels = one(theirs, "Deployment")["spec"]["template"]["metadata"]["labels"]
        chosen = found[1].get("selector", found[1].get("podSelector"))
        assert (chosen.get("matchLabels") or chosen).items() <= labels.items(), kind
    assert one(ours, "NetworkPolicy")["spec"]["egress"] == one(theirs, "NetworkPolicy")["spec"]["egress"]


def test_the_flags_of_the_dashboard() -> None:
    """As its values say. The right to ask about users comes with headers alone, and none to impersonate them."""
    objects = dashboard({**EVERYTHING["flagger"], "meshProvider": "nginx"})
    found = settings(objects)
    assert found.place.url == "https://flagger.example.com/" and found.read_only and found.namespace == "test"
    assert found.trusted and (found.trusted.user, found.trusted.groups) == ("X-User", "X-Groups")
    assert one(objects, "ClusterRole")["rules"] == [
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}
    ]
    assert dashboard({}) == [] and "impersonate" not in json.dumps(objects)
