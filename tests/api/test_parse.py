"""From JSON to models: what is accepted, what it means, and that whatever is not accepted is told by its path."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import GOOD, analysed, good

from pyflagger.api import parse
from pyflagger.api.facts import Fault
from pyflagger.api.parse import (
    PARTS_MAX,
    Invalid,
    parse_alert_provider,
    parse_canary,
    parse_metric_template,
    unchanged_spec,
)
from pyflagger.objects import merge_apply


def refused(manifest: Any) -> dict[str, str]:
    """The paths and texts for a manifest that is no Canary."""
    with pytest.raises(Invalid) as caught:
        parse_canary(manifest)
    assert str(caught.value) == "; ".join(problem.text for problem in caught.value.problems)
    assert all(p.fault is Fault.MANIFEST and p.todo for p in caught.value.problems)
    found = {problem.path: problem.text for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems)
    return found


# Refused ------------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no target": (good(targetRef=None), "spec.targetRef", "is required"),
    "target without a kind": (good(targetRef={"kind": None}), "spec.targetRef.kind", "is required"),
    "a fraction of a weight": (
        analysed(stepWeight=2.5),
        "spec.analysis.stepWeight",
        "must be a whole number (given: 2.5)",
    ),
    "a fraction of a step": (
        analysed(stepWeights=[1, 2.5]),
        "spec.analysis.stepWeights[1]",
        "must be a whole number (given: 2.5)",
    ),
    "a fraction of an iteration": (analysed(iterations=0.5), "spec.analysis.iterations", "must be a whole number"),
    "a fraction of a port": (good(service={"port": 80.5}), "spec.service.port", "must be a whole number"),
    "no port": (good(service={"port": None}), "spec.service.port", "is required"),
    "port 0": (good(service={"port": 0}), "spec.service.port", "greater than or equal to 1 (given: 0)"),
    "port 65536": (good(service={"port": 65536}), "spec.service.port", "less than or equal to 65535"),
    "a fraction of a target port": (
        good(service={"targetPort": 80.5}),
        "spec.service.targetPort",
        "must be the number or the name of a port (given: 80.5)",
    ),
    "target port true": (good(service={"targetPort": True}), "spec.service.targetPort", "number or the name"),
    "target port 65536": (good(service={"targetPort": 65536}), "spec.service.targetPort", "number or the name"),
    "words for a number": (analysed(threshold="many"), "spec.analysis.threshold", "(given: 'many')"),
    "more than a number": (analysed(maxWeight=float("inf")), "spec.analysis.maxWeight", "finite number"),
    "a hook type": (
        analysed(webhooks=[{"name": "a", "url": "b", "type": "skip"}]),
        "spec.analysis.webhooks[0].type",
        "confirm-rollout",
    ),
    "a severity": (
        analysed(alerts=[{"name": "a", "providerRef": {"name": "p"}, "severity": "loud"}]),
        "spec.analysis.alerts[0].severity",
        "'info', 'warn' or 'error' (given: 'loud')",
    ),
    "a hook without a url": (analysed(webhooks=[{"name": "a"}]), "spec.analysis.webhooks[0].url", "is required"),
    "a list that is none": (analysed(metrics={"name": "m"}), "spec.analysis.metrics", "(given: {'name': 'm'})"),
    "a header that is no match": (
        analysed(match=[{"headers": {"x-user": "insider"}}]),
        "spec.analysis.match[0].headers.x-user",
        "(given: 'insider')",
    ),
    "no replicas for the primary": (
        good(autoscalerRef={"apiVersion": "a", "kind": "b", "name": "c", "primaryScalerReplicas": {"minReplicas": 0}}),
        "spec.autoscalerRef.primaryScalerReplicas.minReplicas",
        "greater than or equal to 1",
    ),
}


@pytest.mark.parametrize(("manifest", "path", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_named_by_its_path(manifest: dict[str, Any], path: str, text: str) -> None:
    """One wrong value gives one problem, at the path as the user wrote it."""
    found = refused(manifest)
    assert list(found) == [path]
    assert found[path].startswith(path) and text in found[path]


def test_all_wrong_values_are_named_at_once() -> None:
    """Several mistakes are told together."""
    found = refused(merge_apply(analysed(stepWeight=1.5, webhooks=[{}]), {"spec": {"targetRef": None}}))
    assert set(found) == {
        "spec.targetRef",
        "spec.analysis.stepWeight",
        "spec.analysis.webhooks[0].name",
        "spec.analysis.webhooks[0].url",
    }


@pytest.mark.parametrize("junk", [None, [], "canary", 7, {}, {"spec": None}, {"metadata": [], "spec": "x"}])
def test_what_is_no_object_of_the_kind_is_refused(junk: Any) -> None:
    """Anything but a manifest is Invalid, with a path."""
    assert all(refused(junk))


def test_a_value_that_is_huge_or_deep_is_told_in_few_words() -> None:
    """What was given is quoted short, however much it was."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for value in ("x" * 10_000_000, deep, list(range(100_000))):
        manifest = put(GOOD, ("spec", "analysis", "threshold"), value)
        assert len(refused(manifest)["spec.analysis.threshold"]) < 250


# Accepted -----------------------------------------------------------------------------------------------------------


def test_annotations_of_ten_megabytes_are_read() -> None:
    """The size of an object is the API server's business."""
    note = "x" * 10_000_000
    assert parse_canary(merge_apply(GOOD, {"metadata": {"annotations": {"note": note}}})).metadata.annotations["note"]


@pytest.mark.parametrize("part", ["annotations", "labels", "finalizers"])
def test_nulls_in_metadata_mean_nothing(part: str) -> None:
    """Go clients write null for what is empty."""
    manifest = copy.deepcopy(GOOD)
    manifest["metadata"][part] = None
    assert not getattr(parse_canary(manifest).metadata, part)


@pytest.mark.parametrize("name", ["match", "metrics", "alerts", "webhooks", "stepWeights"])
def test_nulls_for_lists_mean_nothing(name: str) -> None:
    """A list that is null is an empty one."""
    manifest = copy.deepcopy(GOOD)
    manifest["spec"]["analysis"][name] = None
    assert parse_canary(manifest) == parse_canary(GOOD)


def test_whole_numbers_may_be_written_as_floats() -> None:
    """The CRD says number, so 10.0 is admitted, and is 10."""
    canary = parse_canary(merge_apply(analysed(stepWeight=10.0), {"spec": {"service": {"port": 80.0}}}))
    assert canary.spec.analysis is not None and canary.spec.service is not None
    assert (canary.spec.analysis.step_weight, canary.spec.service.port) == (10, 80)


def test_unknown_fields_are_passed_over() -> None:
    """The deprecated alias and fields of later versions do no harm."""
    manifest = good(canaryAnalysis={"stepWeight": "x"}, somethingNew=1, analysis={"new": {}})
    assert parse_canary(manifest) == parse_canary(GOOD)


def test_the_manifest_is_not_changed() -> None:
    """Reading leaves what is read alone."""
    manifest = analysed(webhooks=[{"name": "a", "url": "b", "metadata": {"cmd": "c"}}])
    before = copy.deepcopy(manifest)
    parse_canary(manifest)
    assert manifest == before


# Anything -----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | TEXT | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
META = {"generation": 1, "labels": {"a": "b"}, "finalizers": ["f"], "deletionTimestamp": "x"}
FULL: dict[str, Any] = {
    "metadata": META,
    "status": {"phase": "Failed", "conditions": [{"type": "a", "status": "b", "reason": "c"}], "trackedConfigs": {}},
    "spec": {
        "autoscalerRef": {"apiVersion": "a", "kind": "b", "name": "c", "primaryScalerReplicas": {"minReplicas": 1}},
        "service": {
            "targetPort": 1,
            "gatewayRefs": [{"name": "g", "port": 1}],
            "apex": {"labels": {"a": "b"}},
            "unmanagedMetadata": {"labels": ["a"]},
            "match": [{"uri": {}}],
        },
        "analysis": {
            "match": [{"headers": {"a": {"exact": "b"}}, "sourceLabels": {"a": "b"}}],
            "metrics": [{"name": "m", "thresholdRange": {"min": 1}, "templateVariables": {"a": "b"}}],
            "alerts": [{"name": "a", "providerRef": {"name": "b"}}],
            "webhooks": [{"name": "a", "url": "b", "metadata": {"a": "b"}}],
            "sessionAffinity": {"cookieName": "a"},
            "stepWeights": [1],
        },
    },
}
TEMPLATE = {
    "metadata": {"name": "t", **META},
    "spec": {"provider": {"type": "x", "headers": {"a": ["b"]}, "secretRef": {"name": "a"}}, "query": "up"},
}
ALERTS = {"metadata": {"name": "a"}, "spec": {"type": "slack", "address": "https://hooks", "secretRef": {"name": "s"}}}
PARSERS = {
    "canary": (parse_canary, merge_apply(GOOD, FULL)),
    "template": (parse_metric_template, TEMPLATE),
    "alerts": (parse_alert_provider, ALERTS),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in steps for found in places(inner, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return new
    result = copy.copy(value)
    result[path[0]] = put(value[path[0]], path[1:], new)
    return result


@pytest.mark.parametrize(("parser", "base"), PARSERS.values(), ids=PARSERS)
@given(data=st.data(), junk=JSON)
@settings(deadline=None, max_examples=200)
def test_whatever_comes_the_outcome_is_a_model_or_invalid(
    parser: Any, base: Any, data: st.DataObject, junk: Any
) -> None:
    """Arbitrary JSON at an arbitrary place of a manifest raises nothing but Invalid, whose problems can be shown."""
    where = data.draw(st.sampled_from(places(base)))
    try:
        parser(put(base, where, junk))
    except Invalid as invalid:
        assert invalid.problems
        for problem in invalid.problems:
            assert problem.path and problem.text.startswith(problem.path)
            json.dumps(problem.text).encode()
            assert len(problem.text) < 1000


@pytest.mark.parametrize(("parser", "base"), PARSERS.values(), ids=PARSERS)
def test_the_manifests_that_fuzzing_starts_from_are_good(parser: Any, base: Any) -> None:
    """What is fuzzed is accepted as it is."""
    parser(base)


# A spec that was read before ----------------------------------------------------------------------------------------


def aged(generation: int = 3, **parts: Any) -> dict[str, Any]:
    """A good Canary of a generation."""
    obj: dict[str, Any] = merge_apply(good(), {"metadata": {"uid": "u", "generation": generation}})
    return merge_apply(obj, parts)


def test_of_an_unchanged_spec_the_rest_is_read_anew() -> None:
    """Status, labels and finalizers are the new ones; the spec is the very same."""
    before = parse_canary(aged())
    now = aged(
        status={"phase": "Progressing", "canaryWeight": 20}, metadata={"finalizers": ["x"], "labels": {"a": "b"}}
    )
    found = unchanged_spec(now, before)
    assert found == parse_canary(now)
    assert found is not None and found.spec is before.spec
    assert before.status.canary_weight == 0


@pytest.mark.parametrize(
    "now",
    [
        aged(4),
        aged(metadata={"uid": "another"}),
        aged(metadata={"annotations": {"a": "b"}}),
    ],
    ids=["another generation", "another object", "other annotations"],
)
def test_a_spec_that_may_have_changed_is_read(now: dict[str, Any]) -> None:
    """Nothing is taken over then."""
    assert unchanged_spec(now, parse_canary(aged())) is None


def test_without_generations_everything_is_read() -> None:
    """A server that counts none says nothing by them."""
    assert unchanged_spec(good(), parse_canary(good())) is None


# Equal parts --------------------------------------------------------------------------------------------------------


def test_canaries_of_one_template_share_its_analysis() -> None:
    """The very same where they are equal, each its own where they are not, and what was asked for in both cases."""
    one, two = parse_canary(good()), parse_canary(merge_apply(good(), {"metadata": {"name": "two"}}))
    assert one.spec.analysis is two.spec.analysis
    assert one.spec.service is two.spec.service
    other = parse_canary(analysed(threshold=77))
    assert other.spec.analysis is not None and other.spec.analysis.threshold == 77
    assert other.spec.analysis is not one.spec.analysis


def test_parts_are_forgotten() -> None:
    """However many different ones there are, so many are known."""
    for number in range(3 * PARTS_MAX):
        found = parse_canary(analysed(threshold=number + 1)).spec.analysis
        assert found is not None and found.threshold == number + 1
        assert len(parse._parts) <= PARTS_MAX + 1
