"""Selectors of several labels: which the primary keeps, which its Services select by, and what an older primary has."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from targets import canary, target

from pyflagger.api.facts import Problem
from pyflagger.api.selectors import Selector, matches, renamed
from pyflagger.objects import Obj, merge_apply
from pyflagger.workloads.configs import NOTHING
from pyflagger.workloads.daemonset import DaemonSet
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.options import WorkloadOptions
from pyflagger.workloads.selectors import of, selected

KIND, OPTIONS = Deployment(), WorkloadOptions()
NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
EAST = {NAME: "app", INSTANCE: "east"}
ROLLED = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}


def helm(labels: dict[str, str] | None = None, **selector: Any) -> Obj:
    """A target that selects by these labels, and perhaps by expressions."""
    found = EAST if labels is None else labels
    made = target()
    made["spec"]["selector"] = {"matchLabels": dict(found), **selector}
    made["spec"]["template"]["metadata"]["labels"] = {**found, "team": "a"}
    return made


def primary(of_target: Obj, kind: Deployment | DaemonSet = KIND) -> Obj:
    """The primary of a target, rolled out."""
    built = kind.build_primary(canary(), of_target, NOTHING, OPTIONS, "mark")
    assert not isinstance(built, Problem), built.text
    return {**built, "metadata": {**built["metadata"], "generation": 1}, "status": dict(ROLLED)}


def narrow(of_target: Obj, label: str = NAME) -> Obj:
    """The same as the reference makes it: it selects by one label."""
    made = primary(of_target)
    made["spec"]["selector"] = {"matchLabels": {label: made["spec"]["selector"]["matchLabels"][label]}}
    return made


def selector(of_target: Obj, of_primary: Obj | None = None) -> Selector:
    """How both are found."""
    found = KIND.selector(canary(), of_target, of_primary, OPTIONS)
    assert isinstance(found, Selector)
    return found


SELECTED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "one label": ({"matchLabels": {"app": "web"}}, {"app": "web"}),
    "several": ({"matchLabels": EAST}, EAST),
    "an expression with one value": (
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
        {"app": "web"},
    ),
    "labels and expressions": (
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front"]},
                {"key": "track", "operator": "In", "values": ["a", "b"]},
                {"key": "zone", "operator": "Exists"},
                {"key": "batch", "operator": "DoesNotExist"},
                {"key": "old", "operator": "NotIn", "values": ["yes"]},
            ],
        },
        {"app": "web", "tier": "front"},
    ),
    "no number is a label": ({"matchLabels": {"app": "web", "zone": 3}}, {"app": "web"}),
    "nothing": ({}, {}),
}


@pytest.mark.parametrize("case", SELECTED)
def test_labels_that_a_workload_selects_by(case: str) -> None:
    """A Service knows no expressions: one with a single value is a label, any other is left out."""
    spec, wanted = SELECTED[case]
    assert selected({"spec": {"selector": spec}}) == wanted


def test_the_primary_keeps_every_label_and_renames_one() -> None:
    """The first of -selector-labels is renamed, whatever the order in the manifest."""
    made = primary(helm({INSTANCE: "east", NAME: "app", "app": "x"}))
    wanted = {INSTANCE: "east", NAME: "app", "app": "x-primary"}
    assert made["spec"]["selector"] == {"matchLabels": wanted}
    assert made["spec"]["template"]["metadata"]["labels"] == {**wanted, "team": "a"}
    assert made["metadata"]["labels"] == {"app": "x-primary"}


def test_neither_means_pods_of_the_other_nor_of_another_release() -> None:
    """Two releases of one chart: four sets of pods, each selected once."""
    east, west = helm(), helm({NAME: "app", INSTANCE: "west"})
    both = [selector(each, primary(each)) for each in (east, west)]
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in (east, primary(east), west, primary(west))]
    selects = [chosen for found in both for chosen in (found.of_canary(), found.of_primary({}))]
    for at, chosen in enumerate(selects):
        assert [matches(chosen, labels) for labels in pods] == [at == other for other in range(4)]


def test_an_expression_of_the_target_is_no_part_of_its_primarys_selector() -> None:
    """The label that is renamed tells the pods apart; an expression on it would match none of the primary's."""
    made = primary(helm({}, matchExpressions=[{"key": "app", "operator": "In", "values": ["web"]}]))
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web-primary"}}


# A primary that exists ----------------------------------------------------------------------------------------------


def test_a_primary_with_one_label_is_selected_by_all() -> None:
    """Its pods carry all labels of the target; the Services of both releases would mean the other one's otherwise."""
    east = helm()
    found = selector(east, narrow(east))
    assert found.primary == {NAME: "app-primary"} and found.further == {INSTANCE: "east"} and found.rolled
    assert found.of_primary({}) == {NAME: "app-primary", INSTANCE: "east"}
    assert selector(east, primary(east)).further == {}, "a new one has all of them"


def test_a_label_that_not_every_pod_has_joins_later() -> None:
    """While pods without it roll out the Service selects both; one that selects by it already goes on doing so."""
    east = helm()
    old = narrow(east)
    old["status"] = {**ROLLED, "replicas": 4}
    found = selector(east, old)
    assert not found.rolled
    assert found.of_primary({NAME: "app-primary"}) == {NAME: "app-primary"}
    assert found.of_primary({NAME: "app-primary", INSTANCE: "east"}) == {NAME: "app-primary", INSTANCE: "east"}
    assert found.of_primary({NAME: "app-primary", INSTANCE: "other"}) == {NAME: "app-primary"}
    old["spec"]["template"]["metadata"]["labels"].pop(INSTANCE)
    assert selector(east, old).further == {}, "its pods do not have it at all"


def test_a_daemonset_rolls_out_too() -> None:
    """By its own status."""
    kind, east = DaemonSet(), helm()
    east["kind"] = "DaemonSet"
    old = primary(east, kind)
    old["spec"]["selector"] = {"matchLabels": {NAME: "app-primary"}}
    for updated, rolled in ((1, False), (2, True)):
        old["status"] = {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": updated}
        found = kind.selector(canary(), east, old, OPTIONS)
        assert isinstance(found, Selector) and found.rolled is rolled


@pytest.mark.parametrize("labels", [EAST, {NAME: "app", INSTANCE: "renamed"}, {"app": "web"}, {NAME: "other"}])
def test_promotion_leaves_labels_that_the_primary_selects_by(labels: dict[str, str]) -> None:
    """A target that was made anew may have others: the API server would refuse a template that the primary does not
    select. All labels of the new one are there as well."""
    for old in (primary(helm()), narrow(helm())):
        of_target = helm(labels)
        writes = KIND.promote(canary(), of_target, old, NOTHING, OPTIONS, "mark-2")
        assert not isinstance(writes, Problem)
        (patch,) = writes
        after = merge_apply(old, patch.body)  # type: ignore[union-attr]
        assert after["spec"]["selector"] == old["spec"]["selector"]
        carried = after["spec"]["template"]["metadata"]["labels"]
        assert matches(selected(after), carried)
        assert KIND.matches(canary(), of_target, after, NOTHING, OPTIONS)
        assert matches(selector(of_target, after).of_primary({}), carried)
        assert not matches(selector(of_target, after).of_primary({}), labels), "the target's own pods are not meant"


def test_another_selector_label_for_a_primary_that_serves() -> None:
    """An operator that is started with other -selector-labels finds the pods that are there, before and after."""
    other, of_target = WorkloadOptions(selector_labels=("team",)), helm({NAME: "app", INSTANCE: "east", "team": "a"})
    for old in (primary(of_target), narrow(of_target)):
        before = KIND.selector(canary(), of_target, old, other)
        assert isinstance(before, Selector)
        assert matches(before.of_primary({}), old["spec"]["template"]["metadata"]["labels"])
        writes = KIND.promote(canary(), of_target, old, NOTHING, other, "mark-2")
        assert not isinstance(writes, Problem)
        after = merge_apply(old, writes[0].body)  # type: ignore[union-attr]
        carried = after["spec"]["template"]["metadata"]["labels"]
        found = KIND.selector(canary(), of_target, after, other)
        assert isinstance(found, Selector) and matches(selected(after), carried)
        assert matches(found.of_primary({}), carried)
        assert not matches(found.of_primary({}), of_target["spec"]["template"]["metadata"]["labels"])


def test_the_older_primary_is_what_promotion_would_write() -> None:
    """An operator that takes over finds no difference, so that it releases nothing."""
    east = helm()
    assert KIND.matches(canary(), east, narrow(east), NOTHING, OPTIONS)


def test_without_a_label_that_is_known_nothing_is_selected() -> None:
    """Whatever other labels there are."""
    found = of("deployment", helm({INSTANCE: "east"}), None, OPTIONS)
    assert isinstance(found, Problem) and "must contain one of" in found.text


def test_one_value_is_renamed() -> None:
    """And nothing else."""
    assert renamed(EAST, NAME) == {NAME: "app-primary", INSTANCE: "east"}


# Selectors inside the pod spec --------------------------------------------------------------------------------------

TERMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "all labels": (EAST, {NAME: "app-primary", INSTANCE: "east"}),
    "the renamed one": ({NAME: "app"}, {NAME: "app-primary"}),
    "another one that means the target": ({"app": "web"}, {"app": "web", NAME: "app-primary"}),
    "another workload": ({"app": "db"}, {"app": "db"}),
    "the instance, which more than the target may have": ({INSTANCE: "east"}, {INSTANCE: "east"}),
}


@pytest.mark.parametrize("case", TERMS)
def test_terms_that_mean_the_target_mean_the_primary(case: str) -> None:
    """A term on a label that is not renamed would mean the pods of both, so it gets the one that tells them apart."""
    labels, wanted = TERMS[case]
    east = helm()
    term = {"labelSelector": {"matchLabels": copy.deepcopy(labels)}, "topologyKey": "kubernetes.io/hostname"}
    east["spec"]["template"]["spec"]["topologySpreadConstraints"] = [term]
    spec = primary(east)["spec"]["template"]["spec"]
    assert spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == wanted
