"""docs/parity.md is what the program writes, and the program sees what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity import ours, reference, table
from parity.table import PAGE, Row, Unexplained, page, reasons, rows
from pyflagger.cli.migrate import settings

CRD = """
spec:
  names: {kind: Canary}
  versions:
    - schema:
        openAPIV3Schema:
          properties:
            spec:
              properties:
                hosts: {items: {properties: {name: {type: string}}}}
                labels: {additionalProperties: {properties: {key: {type: string}}}}
                open: {x-kubernetes-preserve-unknown-fields: true}
"""


def test_the_page_is_current() -> None:
    """Our side of it: `make docs` writes it anew."""
    assert PAGE.read_text() == page()


def test_no_name_of_flagger_is_missed_by_the_program() -> None:
    """What the pages of Flagger say it has."""
    version, theirs = reference.kept()
    assert version == "1.44.0"
    assert {group: len(names) for group, names in theirs.items() if len(names) < 5} == {}
    assert {"flagger_canary_status", "flagger_canary_weight"} < theirs["metrics"]
    assert {"Canary spec.analysis.stepWeights", "MetricTemplate spec.provider.type"} < theirs["fields"]
    assert {"slack.url", "podLabels", "prometheus.install"} < theirs["values"]


def test_a_flag_that_goes_is_seen() -> None:
    """So is a metric, a value or a field."""
    _, theirs = reference.kept()
    for group, name in (("flags", "namespace"), ("metrics", "flagger_info"), ("values", "slack.url")):
        mine = dict(ours.names())
        mine[group] -= {name}
        with pytest.raises(Unexplained, match=f"{group} {name}"):
            rows(theirs, mine, ours.without_effect(), reasons())


def test_a_reason_without_a_row_is_seen() -> None:
    """It is left over from another version."""
    with pytest.raises(Unexplained, match=r"reasons without a row.*flags gone"):
        rows({"flags": frozenset()}, {"flags": frozenset()}, {}, {"flags": {"gone": ("n", "because")}})


def test_the_states() -> None:
    """Equal, accepted without effect, refused, and not there."""
    theirs = {"flags": frozenset(("same", "unused", "a.b", "gone"))}
    mine = {"flags": frozenset(("same", "unused", "a.*"))}
    why = {"flags": {"unused": ("p", "no use"), "gone": ("n", "refused")}}
    assert rows(theirs, mine, {"flags": frozenset(("unused",))}, why) == [
        Row("flags", "a.b", "y", ""),
        Row("flags", "gone", "n", "refused"),
        Row("flags", "same", "y", ""),
        Row("flags", "unused", "p", "no use"),
    ]


def test_what_is_read_of_a_source_tree(tmp_path: Path) -> None:
    """Names in Go, in a chart and in definitions."""
    files = {
        "cmd/flagger/main.go": 'flag.StringVar(&x, "port", "8080", "Port")\n fromEnv("SLACK_URL", url)',
        "cmd/loadtester/main.go": 'flag.DurationVar(&t, "timeout", time.Hour, "Time")',
        "pkg/loadtester/bash.go": 'const TaskTypeBash = "bash"\n',
        "pkg/loadtester/server.go": 'mux.HandleFunc("/gate/open", open)\nmux.Handle("/metrics", handler)',
        "pkg/metrics/recorder.go": 'Subsystem: controller,\n\t\tName:      "info",',
        "pkg/metrics/providers/factory.go": 'case "datadog":',
        "pkg/notifier/factory.go": 'case "slack":',
        "pkg/version/version.go": 'var VERSION = "9.9.9"',
        "charts/flagger/values.yaml": "slack: {url: null}\naffinity: {podAntiAffinity: {}}\n",
        "charts/flagger/templates/a.yaml": "{{ .Values.slack.url }} {{ .Values.more.here }} {{ .Values.affinity }}",
        "charts/flagger/crds/crd.yaml": CRD,
        "charts/loadtester/values.yaml": "cmd: {timeout: 1h}\n",
        "charts/loadtester/templates/a.yaml": "",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    read = reference.read(tmp_path)
    assert read["version"] == "9.9.9"
    assert read["names"] == {
        "flags": ["port"],
        "variables": ["SLACK_URL"],
        "values": ["affinity", "more.here", "slack.url"],
        "metrics": ["flagger_info"],
        "fields": [f"Canary spec.{path}" for path in ("hosts", "hosts[].name", "labels", "labels.*.key", "open")],
        "metric providers": ["datadog"],
        "alert providers": ["slack"],
        "load tester: flags": ["timeout"],
        "load tester: values": ["cmd.timeout"],
        "load tester: task types": ["bash"],
        "load tester: paths": ["/gate/open", "/metrics"],
    }


def test_migrate_knows_the_values_of_the_chart() -> None:
    """`make docs` writes its list, because the chart is not installed with the command."""
    assert settings.known_values() == ours.values("flagger")
    assert table.PAGE.parent.name == "docs"
