"""Texts in the words of an AlertProvider: what a template may say, and that a bad one never costs an alert."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.receiver import alert, body_of, delivered
from alerts.test_notifiers import GOOD, SETTINGS, notifier
from pyflagger.alerts.base import About
from pyflagger.alerts.compose import about
from pyflagger.alerts.manifest import provider_problems
from pyflagger.alerts.wording import NAMES, TEXT_MAX, check, worded
from pyflagger.api.parse import parse_alert_provider
from pyflagger.gotemplate.errors import TemplateError
from pyflagger.objects import Obj

ABOUT = About(
    "Deployment/shop",
    "shop:1",
    "shop:2",
    "Halt: error rate 5 > 1. Fix it.",
    {"example.com/commit": "4f1c9a"},
    "https://flagger.example.com/c/test/shop",
)
ALERT = alert(about=ABOUT)
TEMPLATE = """\
{{ if eq severity "error" }}:fire: {{ end }}{{ text }}
{{ oldImage }} → {{ newImage }}{{ with index annotations "example.com/commit" }}, commit {{ . }}{{ end }}
{{ reason }}
https://grafana.example/d/canary?var-name={{ urlquery name }}
"""
TEXT = """\
:fire: Failed checks threshold reached 2
shop:1 → shop:2, commit 4f1c9a
Halt: error rate 5 > 1. Fix it.
https://grafana.example/d/canary?var-name=shop"""


def test_the_words_of_a_template() -> None:
    """Everything else of the alert stays."""
    assert worded(ALERT, TEMPLATE) == (replace(ALERT, text=TEXT), "")
    assert worded(ALERT, "") == (ALERT, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "shop"),
        ("namespace", "test"),
        ("cluster", "prod"),
        ("severity", "error"),
        ("text", "Failed checks threshold reached 2"),
        ("target", "Deployment/shop"),
        ("oldImage", "shop:1"),
        ("newImage", "shop:2"),
        ("reason", "Halt: error rate 5 > 1. Fix it."),
        ("annotations", "map[example.com/commit:4f1c9a]"),
        ("link", "https://flagger.example.com/c/test/shop"),
    ],
)
def test_names(name: str, value: str) -> None:
    """Each has its value; there are no others."""
    assert worded(ALERT, f"{{{{ {name} }}}}")[0].text == value and len(NAMES) == 11


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ text", "spec.template cannot be rendered: 1:"),
        ("{{ secret }}", "spec.template cannot be rendered: 1:4: "),
        ("{{ slice text 5000 }}", "spec.template cannot be rendered: 1:"),
        ("{{ range annotations }}", "spec.template cannot be rendered: "),
        ("x" * 65_537, "spec.template cannot be rendered: 1:1: the template is longer than 65536 characters"),
        (" {{ index annotations `none` }} ", "spec.template renders to an empty text"),
    ],
)
def test_a_bad_template_costs_no_alert(template: str, problem: str) -> None:
    """The standard text is sent, and the problem names the field."""
    same, said = worded(ALERT, template)
    assert same is ALERT and said.startswith(problem)


@given(st.text(alphabet='{} .|textrangeifendname"`$:=0', max_size=60))
def test_any_template(template: str) -> None:
    """Words or the standard text; never an error."""
    words, problem = worded(ALERT, template)
    assert words.text and (not problem or words is ALERT)


def test_a_long_text_is_cut() -> None:
    """A receiver would reject it."""
    words, _ = worded(ALERT, "{{ printf `%900s` text }}{{ printf `%900s` text }}{{ printf `%900s` text }}")
    assert len(words.text) <= TEXT_MAX


@pytest.mark.parametrize(("template", "bad"), [(TEMPLATE, False), ("", False), ("{{ texd }}", True)])
def test_lint(template: str, bad: bool) -> None:
    """A bad template is found before an alert is due."""
    spec = {"type": "slack", "address": "https://h/x", "template": template}
    found = list(provider_problems(parse_alert_provider({"metadata": {"name": "p"}, "spec": spec})))
    assert [problem.path for problem in found] == (["spec.template"] if bad else [])
    if bad:
        with pytest.raises(TemplateError):
            check(template)
        assert "texd" in found[0].text and "line:column" in found[0].todo


def of(image: str, *more: str, **annotations: str) -> Obj:
    """A workload."""
    containers = [{"image": each} for each in (image, *more)]
    template = {"metadata": {"annotations": {"b": "pods", "c": "pods"}}, "spec": {"containers": containers}}
    return {"metadata": {"annotations": annotations}, "spec": {"template": template}}


HALTED = {"type": "Halted", "status": "True", "message": "Halt. Fix it."}
PROMOTED = {"type": "Promoted", "status": "Unknown", "message": "Waiting for approval."}


def test_what_is_known_of_a_release() -> None:
    """Images, annotations of three objects, and the reason."""
    meta = {"annotations": {"a": "canary", "b": "canary", "kubectl.kubernetes.io/last-applied-configuration": "{}"}}
    made: Obj = {"metadata": meta, "spec": {"targetRef": {"kind": "Deployment", "name": "shop"}}}
    found = about(
        made | {"status": {"conditions": [PROMOTED, HALTED]}}, of("shop:2", "proxy:1", b="target"), of("shop:1")
    )
    notes = {"a": "canary", "b": "pods", "c": "pods"}
    assert found == About("Deployment/shop", "shop:1", "shop:2, proxy:1", "Halt. Fix it.", notes)
    calm: Obj = {"conditions": [PROMOTED, HALTED | {"status": "False"}]}
    assert about(made | {"status": calm}, None, None).reason == "Waiting for approval."


@pytest.mark.parametrize("odd", [{}, {"status": {"conditions": ["x"]}}, {"spec": 5, "metadata": {"annotations": None}}])
def test_objects_that_lack_everything(odd: Any) -> None:
    """Empty values."""
    assert about(odd, {"spec": {"template": {"spec": {"containers": [None, {}]}}}}, None) == About("/")


@pytest.mark.parametrize("which", SETTINGS)
def test_several_lines_everywhere(which: str) -> None:
    """Each receiver gets all lines. A title is one line."""
    body = body_of(delivered(notifier(which), [GOOD[which]], worded(ALERT, TEMPLATE)[0])[0])
    if which == "pagerduty":
        assert body["payload"]["summary"] == f"shop.test: {' '.join(TEXT.split())}"
    elif which == "opsgenie":
        assert "\n" not in body["message"] and body["description"] == TEXT
    else:
        said = str(body)
        assert all(part in said for part in (":fire:", "commit 4f1c9a", "var-name=shop"))
        assert ("<br>" in said) == (which == "gchat")
