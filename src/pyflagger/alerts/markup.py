"""Texts of others in the markup of each service, so that they are shown as they are and never act.

Alerts quote pods, hooks, metric systems and annotations, whose authors may write mentions, links and emphasis. Each
function takes a text of theirs, whole or as a part of a longer one, and changes only what would act.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TypeAlias

from pyflagger.alerts.base import cut

Escape: TypeAlias = Callable[[str], str]

GAP = "\u200b"
"""A zero-width space. It parts characters that only act together, where a service has no escape for them."""

_BREAKS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~\n]|\Z)")
_EMPHASIS = re.compile(r"[*~`]|(?<!\w)_++|(?<!_)_++(?!\w)")
"""Underscores inside of a word, as in `error_rate`, are no emphasis."""
_LINK = re.compile(r"\](?=[(:]|\Z)|\A(?=[(:])|<(?=[^\s<>]*[:@]|\Z)")
_BLOCK = re.compile(r"^[ \t]*(?=>|(?:#{1,6}|-#|[-+]|\d+[.)])(?:\s|$)|(?:=+|-+)[ \t]*$)", re.MULTILINE)
_MENTION = re.compile(r"<(?!\s|\u200b)|(?<!\w)[@#](?=\w|\Z)|\|(?=\||\Z)")
_URL = re.compile(r"(https?://[\w/:.%?=&,;@#+~!$'-]+)")
_PART_OF_ENTITY = re.compile(r"&[a-z]*…$")


def plain(text: str) -> str:
    """Without control characters: those of terminals, and those that reverse the direction of a text."""
    return _CONTROLS.sub("", _BREAKS.sub("\n", text))


def entities(text: str) -> str:
    """For HTML, and for Slack, which reads `<!channel>` and `<URL|text>`. Slack has no escape for emphasis."""
    return escape(plain(text), quote=False)


def untagged(text: str) -> str:
    """For HTML that is also shown as text, as in a push message: escapes only what begins a tag or an entity."""
    return plain(text).replace("&", "&amp;").replace("<", "&lt;")


def markdown(text: str) -> str:
    """For CommonMark and its subset in Adaptive Cards. The renderers of phones ignore `\\[`: a gap parts links."""
    return _around_urls(_commonmark, plain(text))


def markdown_or_html(text: str) -> str:
    """For connectors of Teams, which read both."""
    return markdown(entities(text))


def discord(text: str) -> str:
    """For the Markdown of Discord, which also reads `<@ID>` and `||spoilers||`."""
    return _around_urls(lambda part: _unmentioned(_commonmark(part)), plain(text))


def rocket(text: str) -> str:
    """For Rocket.Chat. It reads a backslash as itself, except before emphasis."""
    return _around_urls(lambda part: _unmentioned(_gaps(_unemphasized(part))), plain(text))


def cut_entities(text: str, length: int) -> str:
    """An escaped text of at most `length` characters that ends in no half of an entity."""
    return _PART_OF_ENTITY.sub("…", cut(text, length))


def _around_urls(escape_: Escape, text: str) -> str:
    """Escape what is between URLs. A backslash or a gap in a URL would change where it leads."""
    return "".join(part if at % 2 else escape_(part) for at, part in enumerate(_URL.split(text)))


def _commonmark(text: str) -> str:
    return _gaps(_unemphasized(_BACKSLASH.sub(r"\\\\", text)))


def _unemphasized(text: str) -> str:
    return _EMPHASIS.sub(lambda found: "".join(f"\\{char}" for char in found[0]), text)


def _gaps(text: str) -> str:
    """Gaps in links, and before what makes a line a list, a heading or a quotation."""
    return _BLOCK.sub(rf"\g<0>{GAP}", _LINK.sub(rf"\g<0>{GAP}", text))


def _unmentioned(text: str) -> str:
    return _MENTION.sub(rf"\g<0>{GAP}", text)
