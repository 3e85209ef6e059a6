"""The site: each page is in its navigation, links lead where they should, pictures and help texts are current.

`make site` builds it and checks the rest: anchors, and that nothing is loaded from another host.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from docs import built, helps, pictures, recording
from docs.website import BLOB, DOCS, LINK, ROOT, moved, on_config, places

NAVIGATION = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\n\n")[0]


def in_navigation(item: object) -> list[str]:
    """The pages below an entry of the navigation."""
    if isinstance(item, dict):
        return [page for below in item.values() for page in in_navigation(below)]
    return [page for each in item for page in in_navigation(each)] if isinstance(item, list) else [str(item)]


def test_every_page_is_in_the_navigation() -> None:
    """A page that no menu has is found by nobody: add it to `nav` in mkdocs.yml."""
    found = in_navigation(on_config({"nav": yaml.safe_load(NAVIGATION)})["nav"])
    assert sorted(set(places()) - set(found)) == []
    assert sorted(set(found) - set(places())) == []


def test_the_build_counts_warnings() -> None:
    """MkDocs is not strict when it is quiet: it then counts no warnings."""
    assert "mkdocs build --strict\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(
    "target, source, place, found",
    [
        ("canary.md", "docs/install.md", "install.md", "canary.md"),
        ("../canary.md", "docs/tutorials/gates.md", "tutorials/gates.md", "../canary.md"),
        ("../charts/flagger/README.md", "docs/install.md", "install.md", "reference/chart-flagger.md"),
        ("docs/e2e.md", "CONTRIBUTING.md", "contributing/contributing.md", "../e2e.md"),
        ("../../docs/install.md", "charts/flagger/README.md", "reference/chart-flagger.md", "../install.md"),
        ("LICENSE", "CONTRIBUTING.md", "contributing/contributing.md", f"{BLOB}LICENSE"),
        ("https://flagger.app", "docs/index.md", "index.md", "https://flagger.app"),
    ],
)
def test_a_link_on_the_site(target: str, source: str, place: str, found: str) -> None:
    """To a page where it is on the site, to any other file on GitHub."""
    assert moved(target, source, place) == found


def test_a_link_to_nothing_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A warning fails the build."""
    moved("nowhere.md", "docs/install.md", "install.md")
    assert "docs/install.md links to nowhere.md, which does not exist" in caplog.text


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_between_files_exist(page: Path) -> None:
    """Also for readers on GitHub, and without a build."""
    text = re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    targets = [
        target for _, target, _ in LINK.findall(text) if "://" not in target and not target.startswith("mailto:")
    ]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_help_texts_are_those_of_the_commands() -> None:
    """Otherwise: `make docs`."""
    assert (DOCS / "reference" / "help.md").read_text() == helps.page()


@pytest.mark.parametrize("name", sorted(pictures.pictures()))
def test_a_picture_is_drawn_by_the_rules(name: str) -> None:
    """Otherwise: `make docs`."""
    assert (DOCS / "assets" / name).read_text() == pictures.pictures()[name]
    ElementTree.fromstring(pictures.pictures()[name])


def test_weights_of_the_picture() -> None:
    """The steps of the core, and the promotion."""
    assert pictures.weights(stepWeight=10, maxWeight=50) == [0, 10, 20, 30, 40, 50, 100]


RECORDS = [
    {
        "t": 0.1,
        "kind": "event",
        "type": "Normal",
        "reason": "Release",
        "message": "a good <one>",
        "revision": "1",
        "expected": "Succeeded",
    },
    {"t": 1.0, "kind": "status", "phase": "Progressing", "weight": 10, "iterations": 0, "failed": 0, "reason": ""},
    {
        "t": 1.1,
        "kind": "traffic",
        "total": 100,
        "failed": 0,
        "canary": 10,
        "share": 10.0,
        "visitors": {"everybody": 10.0},
        "weight": 10,
    },
    {
        "t": 1.2,
        "kind": "traffic",
        "total": 100,
        "failed": 0,
        "canary": 10,
        "share": 10.0,
        "visitors": {"everybody": 10.0},
        "weight": 10,
    },
    {"t": 9.0, "kind": "summary", "releases": []},
]


def test_the_recording_shows_each_change_once() -> None:
    """A frame for the step, one for the end; texts are escaped, and nothing is loaded."""
    screens = [recording.drawn(lines) for lines in recording.frames(RECORDS)]
    assert len(screens) == 2
    text = recording.moving(screens)
    ElementTree.fromstring(text)
    assert "&lt;one&gt;" in text and built.loads(text, ".svg") == []


def test_the_recording_is_whole() -> None:
    """The committed one shows both releases and their ends."""
    text = (DOCS / "assets" / "demo.svg").read_text().replace("&#160;", " ")
    ElementTree.fromstring(text)
    for shown in ("flagger demo nginx-canary", "a good one", "Succeeded after", "rolled", "Failed, as expected"):
        assert shown in re.sub(r"<[^>]+>", "", text), shown


@pytest.mark.parametrize(
    "text, suffix, found",
    [
        ('<script src="https://a.example/x.js"></script>', ".html", ["https://a.example/x.js"]),
        ('<link rel="stylesheet" href="//a.example/x.css">', ".html", ["//a.example/x.css"]),
        ('<a href="https://a.example">a</a><link rel="canonical" href="https://a.example">', ".html", []),
        ("@font-face{src:url('https://a.example/f.woff2')}", ".css", ["https://a.example/f.woff2"]),
        ('<img src="assets/demo.svg">', ".html", []),
        ('<div class="md-source" data-md-component="source">', ".html", ["https://api.github.com"]),
    ],
)
def test_what_a_page_loads_from_elsewhere(text: str, suffix: str, found: list[str]) -> None:
    """Scripts, styles, fonts and pictures; not what a reader may click."""
    assert built.loads(text, suffix) == found


def test_a_site_without_pages_is_a_fault(tmp_path: Path) -> None:
    """A build that wrote nothing must not pass."""
    assert list(built.faults(tmp_path)) == [f"{tmp_path} is empty: run mkdocs build"]


def test_another_script_is_a_fault(tmp_path: Path) -> None:
    """The wheel that carries Mermaid is not its authors'."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("")
    (tmp_path / "assets" / "mermaid.min.js").write_text("alert(1)")
    (found,) = built.faults(tmp_path)
    assert "mermaid.min.js is not the script of npm" in found
