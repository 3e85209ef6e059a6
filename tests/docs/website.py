"""The hooks of the site: pages from outside `docs/`, links to files of the repository, and the script of diagrams.

MkDocs calls the functions that begin with `on_` (`mkdocs.yml`). The pages stay readable on GitHub, so their links are
those of the repository. Here a link that leaves `docs/` becomes a link to the page's place on the site, or to the file
on GitHub. A link to a file that does not exist is a warning, which fails the build.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BLOB = "https://github.com/pyflagger/pyflagger/blob/main/"
OUTSIDE = {
    "CONTRIBUTING.md": "contributing/contributing.md",
    "CHANGELOG.md": "changelog.md",
    **{
        f"charts/{page.parent.name}/README.md": f"reference/chart-{page.parent.name}.md"
        for page in ROOT.glob("charts/*/README.md")
    },
}
"""Pages of the site from outside `docs/`: path in the repository → path on the site."""

DIAGRAMS = "assets/mermaid.min.js"
LINK = re.compile(r"(?<!\!)(\]\()([^)#\s]+)([^)\s]*\))")
CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
DIAGRAM = re.compile(r'(<pre class="mermaid"><code>(stateDiagram)?.*?</pre>)', re.DOTALL)
STARS = ' data-md-component="source"'
"""By this mark the theme's script asks api.github.com for the stars of the repository at each visit."""

SCRIPT = re.compile(rf'\s*<script src="[^"]*{re.escape(DIAGRAMS)}"></script>')
LOG = logging.getLogger("mkdocs.hooks.website")


def places() -> list[str]:
    """The paths of all pages on the site, in order."""
    own = (page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
    return sorted([*own, *OUTSIDE.values()])


def on_config(config: Any) -> Any:
    """Replace patterns such as `decisions/*.md` in the navigation by the pages that match."""
    config["nav"] = [_spread(item) for item in config["nav"]]
    return config


def _spread(item: Any) -> Any:
    if isinstance(item, dict):
        return {
            title: [each for one in below for each in _matching(one)] if isinstance(below, list) else below
            for title, below in item.items()
        }
    return item


def _matching(item: Any) -> Iterator[Any]:
    if isinstance(item, str) and "*" in item:
        yield from (place for place in places() if fnmatch(place, item))
    else:
        yield _spread(item)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from outside `docs/`, and Mermaid's script from its wheel."""
    from mkdocs.structure.files import File

    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text()))
    script = resources.files("mermaidx") / "assets" / "mermaid.js"
    files.append(File.generated(config, DIAGRAMS, content=script.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links that leave `docs/` to where they lead on the site."""
    place = page.file.src_uri
    source = next((source for source, own in OUTSIDE.items() if own == place), f"docs/{place}")
    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(lambda link: link[1] + moved(link[2], source, place) + link[3], text) for text in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Ask GitHub for nothing, let large diagrams scroll, and keep their script (3 MB) out of pages without one."""
    output = output.replace(STARS, "")
    return DIAGRAM.sub(_scrolling, output) if DIAGRAM.search(output) else SCRIPT.sub("", output)


def on_post_template(output: str, **_: Any) -> str:
    """The page for addresses that do not exist is a template, not a page."""
    return output.replace(STARS, "")


def _scrolling(found: re.Match[str]) -> str:
    return f'<div class="diagram{" small" if found[2] else ""}">{found[1]}</div>'


def moved(target: str, source: str, place: str) -> str:
    """The target of a link on the site; `source` and `place` are the page's paths in the repository and on the site."""
    if "://" in target or target.startswith("mailto:"):
        return target
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    here = posixpath.dirname(place)
    if path in OUTSIDE:
        return posixpath.relpath(OUTSIDE[path], here)
    if path.startswith("docs/") and (ROOT / path).is_file():
        return posixpath.relpath(path.removeprefix("docs/"), here)
    if not (ROOT / path).exists():
        LOG.warning("%s links to %s, which does not exist", source, target)
    return BLOB + path
