"""The template language of queries: what Go renders, what it refuses, and what a hostile template cannot do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyflagger.gotemplate.errors import OUTPUT_MAX, SOURCE_MAX
from pyflagger.metrics.template import TemplateError, Variables, check, render

V = Variables(
    name="n",
    namespace="ns",
    target="t",
    service="s",
    ingress="i",
    route="r",
    interval="30s",
    variables={"a": "1", "x-y": "Z", "e": "", "items": "I"},
)


@pytest.mark.parametrize(
    ("template", "want"),
    [
        ("a {{ namespace }}\n", "a ns\n"),
        ("{{ variables.a }}", "1"),
        ("{{ variables.items }}", "I"),
        ('{{ index variables "x-y" }}', "Z"),
        ('{{ index variables "zz" }}', ""),
        ('{{ printf "%s-%s" namespace target }}', "ns-t"),
        ("{{ $x := target }}{{ $x }}", "t"),
        ("{{ with variables }}{{ .a }}{{ end }}", "1"),
        ("{{ if variables.e }}y{{ else }}n{{ end }}", "n"),
        ('{{ or variables.e "d" }}', "d"),
        ("{{/* c */}}x", "x"),
        ("a  {{- namespace -}}  b", "ansb"),
        ("{{ `{{` }}x", "{{x"),
        ("{% if %}{# x #}", "{% if %}{# x #}"),
        ("{{target}}{A,B}", "t{A,B}"),
    ],
)
def test_what_queries_use(template: str, want: str) -> None:
    """The forms that users' templates are made of."""
    assert render(template, V) == want


def test_every_name_has_its_value() -> None:
    """All eight names, each with its own value."""
    text = "{{name}} {{namespace}} {{target}} {{service}} {{ingress}} {{route}} {{interval}} {{len variables}}"
    assert render(text, V) == "n ns t s i r 30s 4"


@pytest.mark.parametrize(
    ("template", "want"),
    [
        ("{{ if eq target `t` `u` }}y{{ end }}", "y"),
        ('{{ if ne target "t" }}y{{ else if true }}z{{ end }}', "z"),
        ("{{ if and target namespace }}{{ not target }}{{ end }}", "false"),
        ("{{ if lt 1 2 }}a{{ end }}{{ if le 2 2 }}b{{ end }}{{ if gt 1 2 }}c{{ end }}{{ if ge 2 2 }}d{{ end }}", "abd"),
        ('{{ lt "a" "b" }}', "true"),
        ("{{ range $k, $v := variables }}{{ $k }}={{ $v }};{{ end }}", "a=1;e=;items=I;x-y=Z;"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range $i := 2 }}{{ $i }}{{ end }}", "01"),
        ("{{ range 0 }}x{{ else }}none{{ end }}", "none"),
        (
            "{{ range 5 }}{{ if eq . 3 }}{{ break }}{{ end }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}",
            "02",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ with $x := target }}{{ $x }}{{ . }}{{ end }}", "tt"),
        ("{{ with variables.e }}y{{ else }}n{{ end }}", "n"),
        ("{{ with variables.e }}y{{ else with target }}{{ . }}{{ end }}", "t"),
        ('{{ define "q" }}[{{ . }}]{{ end }}{{ template "q" target }}', "[t]"),
        ('{{ block "q" target }}[{{ . }}]{{ end }}', "[t]"),
        ("{{ (variables).a }}{{ (printf `%s` target) }}", "1t"),
        ('{{ target | printf "%s%s" "x" | len }}', "2"),
        ("{{ with variables }}{{ printf `%s %s` .a .items }}{{ end }}", "1 I"),
        ("{{ target\n}}", "t"),
        ('{{ "}}" }}{{ `a\nb` }}', "}}a\nb"),
        (r'{{ "\t\x41\u00e9\"" }}', '\tAé"'),
        ("{{ 'a' }} {{ 0x10 }} {{ 1e3 }} {{ 1.5e-7 }} {{ -3 }} {{ 1e21 }}", "97 16 1000 1.5e-07 -3 1e+21"),
        ("{{ true }} {{ variables }} {{ . }}", "true map[a:1 e: items:I x-y:Z] <no value>"),
        ("x {{- /* c */ -}} y", "xy"),
        ("a {{ 3 -}}   b", "a 3b"),
        ("{{-3}}", "-3"),
        ("", ""),
    ],
)
def test_control_and_values(template: str, want: str) -> None:
    """Branches, loops, variables, pipelines and literals, as Go has them."""
    assert render(template, V) == want


@pytest.mark.parametrize(
    ("call", "want"),
    [
        ('printf "%q %v|%5.2f|%-4d|%04d|%+d" target 1.5 2.0 3 7 5', '"t" 1.5| 2.00|3   |0007|+5'),
        ('printf "%x %X %t %c %g %%" 255 "hi" true 65 0.5', "ff 6869 true A 0.5 %"),
        ('printf "%5s|%-5s|%.1s" target target namespace', "    t|t    |n"),
        ("print 1 2 target 3", "1 2t3"),
        ("println target 1", "t 1\n"),
        ('html `<a b="c">\'&`', "&lt;a b=&#34;c&#34;&gt;&#39;&amp;"),
        ("js `it's <b>`", r"it\'s \u003Cb\u003E"),
        ("urlquery `a b&c/d~`", "a+b%26c%2Fd~"),
        ("slice namespace 1", "s"),
        ("slice namespace 0 1", "n"),
        ("len `é`", "2"),
        ("index namespace 0", "110"),
        ("and target ``", ""),
        ("or `` ``", ""),
    ],
)
def test_functions(call: str, want: str) -> None:
    """Go's predefined functions."""
    assert render(f"{{{{ {call} }}}}", V) == want


@pytest.mark.parametrize(
    ("template", "place", "told"),
    [
        ("{{ foo }}", "1:4", "'foo' not defined"),
        ("{{ .foo }}", "1:4", "no field 'foo'"),
        ("{{ .Namespace }}", "1:4", "names have no dot, as in {{ namespace }}"),
        ("{{ $labels.foo }}", "1:4", "undefined variable '$labels'"),
        ("{{{namespace}}}", "1:3", "'{'"),
        ("{{ variables.zz }}", "1:4", "no entry for key 'zz'"),
        ("{{ variables.x-y }}", "1:15", "'-'"),
        ("{{ variables.a.b }}", "1:4", "no field 'b' in a string"),
        ("a\nb {{ x }}", "2:6", "not defined"),
        ("{{ target", "1:10", "unclosed action"),
        ("{{", "1:3", "unclosed action"),
        ('{{ "abc }}', "1:4", "'\"'"),
        ("{{/* c", "1:3", "unclosed comment"),
        ("{{/* c */ x}}", "1:3", "comment ends before"),
        ("{{ end }}", "1:4", "unexpected end"),
        ("{{ if target }}", "1:16", "{{ end }} is missing"),
        ("{{ if target }}{{ else }}{{ else }}{{ end }}", "1:29", "second {{ else }}"),
        ("{{ if }}x{{ end }}", "1:7", "missing value"),
        ("{{ }}", "1:4", "missing value"),
        ("{{ nil }}", "1:4", "nil is not a command"),
        ('{{ "a" | "b" }}', "1:10", "constant"),
        ('{{ "a" target }}', "1:4", "not a function"),
        ("{{ target namespace }}", "1:4", "arguments for target"),
        ("{{ (target }}", "1:12", "parenthesis"),
        ("{{ break }}", "1:4", "outside of range"),
        ("{{ range target }}{{ end }}", "1:10", "cannot iterate"),
        ('{{ template "q" }}', "1:4", "'q' not defined"),
        ('{{ if true }}{{ define "q" }}{{ end }}{{ end }}', "1:17", "define inside"),
        ('{{ eq 1 "a" }}', "1:4", "incompatible types"),
        ("{{ eq variables variables }}", "1:4", "maps"),
        ('{{ printf "%d" target }}', "1:4", "cannot show a string"),
        ('{{ printf "%s" }}', "1:4", "no value"),
        ('{{ printf "x" 1 }}', "1:4", "more values"),
        ('{{ printf "%9999d" 1 }}', "1:4", "wider"),
        ("{{ slice target 2 }}", "1:4", "out of range"),
        ("{{ len 3 }}", "1:4", "len of a int"),
        ("{{ call target }}", "1:4", "no function to call"),
        ("{{ $x := 1 }}{{ $x, $y := 2 }}", "1:21", "many variables"),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "1:39", "undefined variable"),
        (r'{{ "\q" }}', "1:4", "escape"),
        ("{{ 1x }}", "1:4", "'1'"),
    ],
)
def test_refusals_name_the_place(template: str, place: str, told: str) -> None:
    """What cannot be read or rendered says where (line:column) and what."""
    with pytest.raises(TemplateError) as caught:
        render(template, V)
    assert str(caught.value).startswith(f"{place}: "), str(caught.value)
    assert told in str(caught.value)


def test_missing_keys_are_refused_without_variables_too() -> None:
    """A metric without templateVariables has an empty map, not an empty text."""
    with pytest.raises(TemplateError, match="no entry for key"):
        render("{{ variables.a }}", replace(V, variables={}))


@pytest.mark.parametrize(
    "template",
    [
        "{{ range 100000000 }}{{ end }}",
        "{{ range 200 }}{{ range 200 }}x{{ end }}{{ end }}",
        '{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
        '{{ define "a" }}{{ template "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
        "{{ " + "(" * 5000 + " }}",
        "{{ if true }}" * 200 + "{{ end }}" * 200,
        "{{ if true }}x" + "{{ else if true }}" * 500 + "{{ end }}",
        "{{ $x := `" + "y" * 1000 + "` }}{{ range 1000 }}{{ $x }}{{ end }}",
        "x" * (SOURCE_MAX + 1),
        "{{ " + "9" * 5000 + " }}",
    ],
    ids=[
        "long loop",
        "loops",
        "recursion",
        "wide recursion",
        "parentheses",
        "ifs",
        "else ifs",
        "output",
        "source",
        "number",
    ],
)
def test_hostile_templates_end(template: str) -> None:
    """No template runs for long, nests without end, or makes a query without bound."""
    with pytest.raises(TemplateError):
        render(template, V)


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "-",
        "if",
        "else",
        "end",
        "range",
        "with",
        "define",
        "template",
        "target",
        "variables",
        ".a",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        '"q"',
        "`r`",
        "1",
        "printf",
        "index",
        "and",
        "break",
        ",",
        "/*",
        "*/",
        "nil",
        "é",
    ]
)
BLANKS = st.sampled_from([" ", "\n", ""])


@given(st.lists(PIECES | BLANKS, max_size=25).map("".join) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_renders_or_says_why(template: str) -> None:
    """Whatever is written, the answer is a bounded text or a TemplateError with a place."""
    try:
        assert len(render(template, V)) <= OUTPUT_MAX
    except TemplateError as error:
        assert re.match(r"\d+:\d+: .", str(error))


@given(st.text(alphabet=st.characters(blacklist_characters="{")))
@settings(max_examples=50, deadline=None)
def test_text_without_actions_is_kept(text: str) -> None:
    """Nothing but `{{` means anything."""
    assert render(text, V) == text


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4))
@settings(max_examples=50, deadline=None)
def test_values_are_not_read_as_templates(variables: dict[str, str]) -> None:
    """A value that looks like an action comes out as it is."""
    told = replace(V, variables={**variables, "it": "{{ foo }}"})
    assert render("{{ variables.it }}", told) == "{{ foo }}"


def test_check_reads_without_values() -> None:
    """A template can be refused before there is a canary; a missing key cannot be known yet."""
    check("{{ variables.zz }}")
    with pytest.raises(TemplateError):
        check("{{ foo }}")
