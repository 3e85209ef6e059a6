"""Pictures of the pages, drawn by `make docs`: the strategies from the rules of the core, and how a release works.

They have dark text and no ground; the site's style gives them a light one in its dark scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyflagger.api.canary import Analysis
from pyflagger.api.defaults import max_weight
from pyflagger.core.strategy import next_weight

ASSETS = Path(__file__).resolve().parents[2] / "docs" / "assets"
OLD, NEW, INK = "#2f6f9f", "#9a6700", "#5c6b80"
STYLE = (
    "<style>text{font:14px system-ui,sans-serif;fill:#33404f}.small{font-size:12px}"
    ".in{fill:#fff;font-weight:600}</style>"
)


class Story(NamedTuple):
    """A strategy: its name, the canary's share after each interval in percent, and what the share is of."""

    name: str
    shares: Sequence[int]
    of: str


def weights(**analysis: object) -> list[int]:
    """The weights that the core takes for an analysis, the promotion after them."""
    plan = Analysis.model_validate({"interval": "1m", "threshold": 5, **analysis})
    found = [0]
    while (following := next_weight(plan, found[-1])) != found[-1] and found[-1] < max_weight(plan):
        found.append(following)
    return [*found, 100]


def stories() -> list[Story]:
    """The strategies of the page, in its order."""
    return [
        Story("canary", weights(stepWeight=10, maxWeight=50), "of all visitors"),
        Story("canary with stepWeights", weights(stepWeights=[1, 5, 20, 60]), "of all visitors"),
        Story("A/B testing", [0, 100, 100, 100, 100, 100, 100], "of visitors who match"),
        Story("blue/green", [0, 0, 0, 0, 0, 0, 100], "of all visitors"),
    ]


def strategies() -> str:
    """The share of the new version over time, a row of columns for each strategy."""
    rows = "".join(f'<g transform="translate(0 {at * 118})">{_row(story)}</g>' for at, story in enumerate(stories()))
    return _svg(640, 118 * len(stories()), "The share of the new version after each interval, by strategy", rows)


def _row(story: Story) -> str:
    head = (
        f'<text x="8" y="18" font-weight="600">{story.name}</text>'
        f'<text class="small" x="632" y="18" text-anchor="end">{story.of}</text>'
    )
    step = 624 / len(story.shares)
    return head + "".join(_column(8 + at * step, step - 6, share) for at, share in enumerate(story.shares))


def _column(x: float, width: float, share: int) -> str:
    new = 70 * share / 100
    at = f'x="{x + width / 2:.1f}" y="{92 if new > 18 else 88 - new:.1f}"'
    label = f'<text class="small in" {at} text-anchor="middle">{share} %</text>'
    return (
        f'<rect x="{x:.1f}" y="28" width="{width:.1f}" height="{70 - new:.1f}" fill="{OLD}"/>'
        f'<rect x="{x:.1f}" y="{98 - new:.1f}" width="{width:.1f}" height="{new:.1f}" fill="{NEW}"/>{label}'
    )


def flow() -> str:
    """Visitors, the route, both versions, and what flagger reads and writes."""
    return _svg(760, 300, "How a release works", "".join(_flow()))


def _flow() -> Iterator[str]:
    yield _box(20, 100, 120, "visitors", INK)
    yield _box(220, 100, 120, "route", INK)
    yield _box(480, 40, 220, "primary: version 1", OLD)
    yield _box(480, 160, 220, "canary: version 2", NEW)
    yield _box(220, 230, 120, "flagger", "#1f3a5f")
    yield _arrow("M140 125H214")
    yield _arrow("M340 115C400 110 420 70 474 66") + '<text x="400" y="66" text-anchor="middle">80 %</text>'
    yield _arrow("M340 135C400 140 420 180 474 184") + '<text x="392" y="184" text-anchor="middle">20 %</text>'
    yield _arrow("M280 230V156") + '<text class="small" x="272" y="198" text-anchor="end">writes weights</text>'
    yield (
        _arrow("M590 210V255H346")
        + '<text class="small" x="470" y="274" text-anchor="middle">reads metrics, asks webhooks</text>'
    )


def _box(x: int, y: int, width: int, text: str, colour: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="50" rx="6" fill="{colour}"/>'
        f'<text class="in" style="fill:#fff" x="{x + width / 2:g}" y="{y + 30}" text-anchor="middle">{text}</text>'
    )


def _arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="2" marker-end="url(#a)"/>'


def _svg(width: int, height: int, title: str, body: str) -> str:
    marker = (
        '<marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{INK}"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"><title>{title}</title>'
        f"<defs>{marker}</defs>{STYLE}{body}</svg>\n"
    )


def pictures() -> dict[str, str]:
    """The pictures by file name below docs/assets."""
    return {"strategies.svg": strategies(), "flow.svg": flow()}


def main() -> None:
    """Write them."""
    for name, text in pictures().items():
        (ASSETS / name).write_text(text)
