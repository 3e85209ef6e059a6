"""Filters, gauges and the picture of traffic as values; the rules that templates and static files keep."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pyflagger.api.records import Outcome
from pyflagger.dashboard.chart import BOTTOM, LEFT, RIGHT, TOP, Chart, Flag, Point, Series, chart
from pyflagger.dashboard.chosen import PAGE_ROWS, Chosen, chosen_of, shown
from pyflagger.dashboard.gauge import WIDTH, gauge
from pyflagger.dashboard.rendering import STATIC, asset, number, rendered
from pyflagger.dashboard.topology import BAND, BAND_MIN, HEIGHT, SQUARES_MAX, fitted, said, topology
from pyflagger.dashboard.topology import WIDTH as WIDTH_ALL
from pyflagger.dashboard.words import end_of
from pyflagger.seeing.fleet import row
from pyflagger.seeing.model import (
    CanaryView,
    Check,
    FleetRow,
    Image,
    OperatorView,
    Pod,
    PodSet,
    RouteObject,
    ServiceView,
    Target,
    Traffic,
    Verdict,
    Workload,
)
from seeing.test_fleet import NOW, canary

TEMPLATES = sorted((Path(str(STATIC)).parent / "templates").rglob("*.html"))
ROW = row(canary("Progressing"), NOW)


def named(name: str, namespace: str = "shop", **more: object) -> FleetRow:
    """A row of that name."""
    return replace(ROW, name=name, namespace=namespace, **more)  # type: ignore[arg-type]


# Filters --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "names"),
    [("", ["cart", "web"]), ("CAR", ["cart"]), ("pay", ["web"]), ("team=a", ["cart"]), ("team=", []), ("x:2", ["web"]),
     ("nothing", [])],
)  # fmt: skip
def test_what_a_filter_finds(q: str, names: list[str]) -> None:
    """Parts of names, namespaces and images, or a label."""
    rows = [
        named("cart", labels={"team": "a"}),
        named("web", "pay", images=(Image("app", "r/x:1", "r/x:2"),)),
    ]
    assert [each.name for each in shown(rows, Chosen(q=q)).rows] == names


def test_pages_of_a_large_fleet() -> None:
    """A hundred rows each; a page after the last is the last; counts are of all."""
    rows = [named(f"c{at:04}") for at in range(250)]
    found = shown(rows, Chosen(page=9))
    assert (len(found.rows), found.page, found.pages, found.found) == (250 - 2 * PAGE_ROWS, 3, 3, 250)
    assert sum(found.counts.values()) == 250
    assert shown([], Chosen()).pages == 1


def test_addresses() -> None:
    """What differs from the default is in the address, encoded; another filter begins at the first page."""
    chosen = Chosen(ns="a&b", q='"<x>', page=3)
    assert chosen.url(verdict="moving") == "/?ns=a%26b&q=%22%3Cx%3E&verdict=moving"
    assert chosen.query.endswith("&page=3") and Chosen().query == ""
    assert chosen_of({"q": "x" * 999, "page": "9" * 999, "sort": "no"}) == Chosen(q="x" * 200)


# Gauges ---------------------------------------------------------------------------------------------------------------


def check(value: float | None, least: float | None = None, most: float | None = None, unit: str = "") -> Check:
    """A check."""
    return Check("c", "built-in", None, "1m", least, most, unit, value, None, None, False, "")


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [(50, 99, None), (100, 99, None), (99, 99, None), (0, None, 0), (612, None, 500), (-3, -1, 1), (None, 99, None),
     (1e300, None, 1), (5, 1, 10)],
)  # fmt: skip
def test_every_limit_is_in_view(value: float | None, least: float | None, most: float | None) -> None:
    """On its side of the value."""
    drawn = gauge(check(value, least, most, "%" if least == 99 else ""))
    assert drawn is not None
    places = [each for each in (drawn.value, drawn.below, drawn.above) if each is not None]
    assert len(places) == sum(each is not None for each in (value, least, most))
    assert all(0 <= each <= WIDTH for each in places)
    if value is not None and least is not None and drawn.value is not None and drawn.below is not None:
        assert (drawn.value >= drawn.below) == (value >= least)
    assert drawn.high <= 100 or least != 99


def test_numbers() -> None:
    """Four digits, whole thousands, and a dash."""
    assert [number(each) for each in (99.98765, 12345.6, 0.00012345, None)] == ["99.99", "12346", "0.0001234", "–"]


# Traffic --------------------------------------------------------------------------------------------------------------


def pods(*states: str) -> tuple[Pod, ...]:
    """Pods in these states."""
    return tuple(Pod(f"p{at}", "1/1", 0, state, "", None, None) for at, state in enumerate(states))


def workload(found: tuple[Pod, ...], desired: int | None, ready: int | None) -> Workload:
    """A workload with pods."""
    return Workload(
        "canary", "Deployment", "x", desired, ready, ready, None, True, None, (PodSet("s", "1", True, found),)
    )


@pytest.mark.parametrize(
    ("found", "desired", "ready", "words"),
    [(pods("ready", "ready"), 2, 2, ("2 of 2 ready", "ok")),
     (pods("ready", "failing"), 2, 1, ("1 of 2 failing", "bad")),
     (pods("starting"), 2, 0, ("0 of 2 ready", "wait")), ((), 0, 0, ("scaled to zero", "")),
     (pods("ready"), None, None, ("1 pods", "")), ((), None, None, ("", ""))],
)  # fmt: skip
def test_pods_in_words(found: tuple[Pod, ...], desired: int | None, ready: int | None, words: tuple[str, str]) -> None:
    """What is wrong first."""
    assert said(workload(found, desired, ready), found) == words


def test_names_that_are_too_long() -> None:
    """Both ends stay."""
    short = fitted("a-very-long-name-of-a-service-with-canary", 150)
    assert len(short) < 20 and short.startswith("a-ver") and short.endswith("canary") and "…" in short
    assert fitted("web", 150) == "web"


def split(canary: int, *, mirrored: bool = False) -> Traffic:
    """A split of traffic by an Ingress with five hosts."""
    route = RouteObject("Ingress", "shop", tuple(f"{at}.example" for at in range(5)))
    return Traffic(100 - canary, canary, mirrored, "route", route, ())


def view_of(traffic: Traffic | None, *workloads: Workload) -> CanaryView:
    """A view with nothing but traffic and workloads."""
    services = tuple(ServiceView(role, f"shop-{role}", True, (80,)) for role in ("apex", "primary", "canary"))
    target = Target("apps/v1", "Deployment", "shop", None, None, None)
    operator = OperatorView(None, None, "assumed", False)
    return CanaryView(
        ROW, target, (), traffic, workloads, services, (), (), (), None, None, None, (), (), operator, ()
    )  # fmt: skip


@pytest.mark.parametrize("share", [0, 1, 40, 100])
def test_links_are_as_wide_as_their_shares(share: int) -> None:
    """Both together are as wide as all of the traffic, and each says its number beside its link."""
    both = [workload(pods("ready"), 1, 1), workload(pods("ready"), 1, 1)._replace(role="primary")]
    drawn = topology(view_of(split(share), *both))
    labels = {each.label: each for each in drawn.links if each.label}
    assert set(labels) == {f"{100 - share} %", f"{share} %"}
    wide = {each.lane: each.width for each in labels.values()}
    assert wide["canary"] == max(BAND_MIN, share * BAND / 100)
    assert all(each.label_x < WIDTH_ALL and 0 < each.label_y < HEIGHT for each in labels.values())
    assert [each.state for each in labels.values()].count("idle") == (share in (0, 100))
    assert [node.name for node in drawn.nodes][:3] == ["0.example", "1.example", "3 more hosts"]


def test_copies_of_requests_and_unknown_traffic() -> None:
    """A copy is marked; without a route there is no link that promises one."""
    lanes = [workload((), 0, 0)]
    assert any("copied" in each.label for each in topology(view_of(split(100, mirrored=True), *lanes)).links)
    unknown = topology(view_of(None, *lanes))
    assert unknown.links == () and unknown.sentence == "Nothing is known of its traffic yet."


def test_many_pods() -> None:
    """At most so many squares, those that need a look first, and the rest is counted."""
    found = pods(*["ready"] * 60, "failing")
    (group,) = topology(view_of(split(10), workload(found, 61, 60))).pods
    assert len(group.squares) == SQUARES_MAX and group.more == 61 - SQUARES_MAX
    assert group.squares[0].pod.state == "failing" and group.text == "1 of 61 failing"


# Templates and files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_keep_the_rules(path: Path) -> None:
    """Nothing unescaped, no inline script or style, no handler or expression in an attribute, no other host."""
    text = path.read_text()
    for banned in (r"\|\s*safe\b", r"autoescape\s+false", r"\bstyle\s*=", r"<style", r"\son\w+\s*=", r"hx-on", r"js:",
                   r"javascript:", r"(src|href|action)=\"?https?:", r"hx-vals", r"\|\s*xmlattr"):  # fmt: skip
        assert not re.search(banned, text, re.IGNORECASE), banned
    for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
        assert script == ""
    assert not re.search(r"\s[\w-]+=\{\{", text), "an attribute without quotes"


def test_budgets() -> None:
    """Script and style stay small: 30 KiB packed in all, one style sheet of at most 20 KiB."""
    files = {path.name: path.read_bytes() for path in Path(str(STATIC)).iterdir() if path.suffix in (".js", ".css")}
    assert sum(len(gzip.compress(body, 9)) for body in files.values()) <= 30 * 1024
    styles = [body for name, body in files.items() if name.endswith(".css")]
    assert len(styles) == 1 and len(styles[0]) <= 20 * 1024


def test_vendored_files_are_those_of_their_packages() -> None:
    """By digest, with version, source and licence; every script that is not ours is listed."""
    listed = json.loads((STATIC / "vendored.json").read_text())
    assert {each["file"] for each in listed} == {"htmx.min.js", "hx-sse.min.js"}
    for each in listed:
        assert hashlib.sha256((STATIC / each["file"]).read_bytes()).hexdigest() == each["sha256"]
        assert each["licence"] == "0BSD" and (STATIC / each["licenceFile"]).is_file()
    assert listed[0]["version"].encode() in (STATIC / "htmx.min.js").read_bytes()


@pytest.mark.parametrize(
    "name", ["", "..", "../guard.py", "htmx.LICENSE", "vendored.json", "no.css", "/etc/passwd", "a/b.css"]
)
def test_only_static_files_are_served(name: str) -> None:
    """Of known types, by their plain names."""
    with pytest.raises(KeyError):
        asset(name)


def test_our_texts_name_every_state() -> None:
    """Each verdict has its word beside its icon, and a colour in the style sheet."""
    style = (STATIC / "dashboard.css").read_text()
    page = rendered("regions/counts.html", shown=shown([], Chosen()), chosen=Chosen())
    for verdict in Verdict:
        assert f".v-{verdict}" in style and f" {verdict}</span>" in page


# Charts ---------------------------------------------------------------------------------------------------------------


def drawn_of(points: list[tuple[float | None, str]], least: float | None, most: float | None, unit: str = "") -> Chart:
    """The chart of one series with a round each ten seconds, at weights 10, 20, …"""
    made = tuple(Point(10.0 * at, value, verdict, "", 10 * at + 10) for at, (value, verdict) in enumerate(points))
    found = chart([Series("release 1", made)], least, most, unit, lambda series, point: series.name)
    assert found is not None
    return found


def test_a_chart_holds_its_limits_and_all_points() -> None:
    """Whatever the values, and the axis of a percentage ends at 100."""
    drawn = drawn_of([(99.9, "pass"), (20.0, "bad")], 99.0, None, "%")
    (limit,) = drawn.limits
    assert drawn.least <= 20.0 and drawn.most == 100.0 and TOP < limit.y < BOTTOM
    assert (limit.top, limit.top + limit.height) == (limit.y, BOTTOM)
    assert all(TOP <= mark.y <= BOTTOM and LEFT <= mark.x <= RIGHT for mark in drawn.lines[0].marks)
    over = drawn_of([(3.0, "pass")], None, 500.0).limits[0]
    assert (over.top, over.top + over.height) == (TOP, over.y)


def test_a_line_breaks_where_there_is_no_value() -> None:
    """And the point stands at the bottom."""
    line = drawn_of([(1.0, "pass"), (None, "no-data"), (1.0, "pass"), (2.0, "pass")], None, None).lines[0]
    assert line.path.count("M") == 2 and line.path.count("L") == 1
    assert line.marks[1].y == BOTTOM and line.marks[1].verdict == "no-data"


def test_charts_of_hardly_anything() -> None:
    """No round, one round, rounds without a value, values that are all the same."""
    assert chart([Series("x", ())], 1.0, None, "", lambda *_: "") is None
    assert drawn_of([(5.0, "pass")], None, None).lines[0].marks[0].x == (LEFT + RIGHT) / 2
    assert drawn_of([(None, "error")], None, None).lines[0].path == ""
    same = drawn_of([(0.0, "pass"), (0.0, "pass")], None, None)
    assert same.most > same.least


def test_weights_share_the_axis_of_time() -> None:
    """They stay until the next round."""
    assert drawn_of([(1.0, "pass"), (1.0, "pass")], None, None).lines[0].weights == "M40 119H312V106H312"


def test_flags_stand_at_their_time() -> None:
    """Those before the first round and after the last are left out."""
    points = tuple(Point(at, 1.0, "pass", "", 10) for at in (100.0, 200.0))
    flags = [Flag(at, f"at {at:.0f}") for at in (99.0, 100.0, 150.0, 200.0, 201.0)]
    found = chart([Series("x", points)], None, None, "", lambda *_: "", flags)
    assert found and [(each.at, each.text) for each in found.flags] == [
        (LEFT, "at 100"),
        ((LEFT + RIGHT) / 2, "at 150"),
        (RIGHT, "at 200"),
    ]


def test_many_rounds_are_small_points() -> None:
    """So that they do not hide one another."""
    assert drawn_of([(1.0, "pass")] * 2, None, None).radius > drawn_of([(1.0, "pass")] * 200, None, None).radius


@pytest.mark.parametrize("outcome", [*Outcome, "Undone", "Later", ""])
def test_ends_of_releases(outcome: str) -> None:
    """Each has an icon beside its word, and the colour of a state. A newer operator's outcome is its own word."""
    end = end_of(outcome)
    assert end.icon and end.word and end.like in set(Verdict)
    assert end_of("Later").word == "Later"
