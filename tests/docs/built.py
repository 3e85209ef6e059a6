"""`make site` asks this of the site that it built: no page loads from another host, and the one script is npm's.

Strict MkDocs has checked links and anchors by then. What a page loads is `src`, stylesheets, icons, and `url()` or
`@import` in styles; links that a reader may click are not loaded.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from docs.website import DIAGRAMS

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"
ELSEWHERE = re.compile(r"^(https?:)?//")
IN_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)")
LOADED = {"stylesheet", "icon", "preload", "preconnect", "modulepreload", "dns-prefetch", "manifest"}

MERMAID = "74d7c46dabca328c2294733910a8aa1ed0c37451776e8d5295da38a2b758fb9b"
"""SHA-256 of dist/mermaid.min.js in npm's mermaid 11.16.0, which the wheel of `website.py` carries."""


class Page(HTMLParser):
    """The addresses that a page loads from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element loads, or has the theme's script load."""
        given = {name: value or "" for name, value in attrs}
        loaded = [given.get("src", ""), given.get("srcset", "")]
        if given.get("data-md-component") == "source":
            loaded.append("https://api.github.com")
        if tag == "link" and LOADED & set(given.get("rel", "").split()):
            loaded.append(given.get("href", ""))
        self.loads += [address for address in loaded if ELSEWHERE.match(address)]


def loads(text: str, suffix: str) -> list[str]:
    """The addresses on other hosts that a file of the site loads, by the file's suffix."""
    found = IN_STYLES.findall(text) if suffix in (".css", ".svg", ".html") else []
    if suffix == ".html":
        page = Page()
        page.feed(text)
        found += page.loads
    return found


def faults(site: Path) -> Iterator[str]:
    """What is wrong with a site, a line each."""
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    if not files:
        yield f"{site} is empty: run mkdocs build"
    script = site / DIAGRAMS
    if script.exists() and hashlib.sha256(script.read_bytes()).hexdigest() != MERMAID:
        yield f"{DIAGRAMS} is not the script of npm: compare the new one with npm's, then change its digest here"
    for path in files:
        yield from (f"{path.relative_to(site)} loads {address}" for address in loads(path.read_text(), path.suffix))


def main() -> None:
    """Print the faults. Exit status 1 if there are any."""
    found = list(faults(SITE))
    print(
        "\n".join(found)
        or f"{sum(1 for _ in SITE.rglob('*.html'))} pages in {SITE.relative_to(ROOT)}, nothing loaded from elsewhere"
    )
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
