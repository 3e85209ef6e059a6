"""Texts of others in alerts: what each service gets for mentions, links, emphasis, tags and control characters."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from alerts.receiver import alert, body_of, delivered
from alerts.test_email import SETTINGS as MAIL
from alerts.test_email import read
from alerts.test_notifiers import GOOD, SETTINGS, notifier
from pyflagger.alerts import markup
from pyflagger.alerts.base import About, Alert
from pyflagger.alerts.email import Email
from pyflagger.alerts.wording import TEXT_MAX, worded

HOSTILE = (
    "<!channel>",
    "<@U123>",
    "@everyone",
    "[x](https://evil)",
    "<https://evil|x>",
    "__init__",
    "*a* error_rate",
    "<b>",
    "a\r\n# b",
    "\x1b[1mc\x07\u202e",
    "5 > 1 & https://ci/_run_?a=1",
)
SAME = "the same"
HTML = (
    *("&lt;!channel&gt;", "&lt;@U123&gt;", SAME, SAME, "&lt;https://evil|x&gt;", SAME, SAME, "&lt;b&gt;"),
    *("a\n# b", "[1mc", "5 &gt; 1 &amp; https://ci/_run_?a=1"),
)
TAGS = (
    *("&lt;!channel>", "&lt;@U123>", SAME, SAME, "&lt;https://evil|x>", SAME, SAME, "&lt;b>"),
    *("a\n# b", "[1mc", "5 > 1 &amp; https://ci/_run_?a=1"),
)
LINK, INIT, STAR = "[x]~(https://evil)", r"\_\_init\_\_", r"\*a\* error_rate"
CHAT = (
    *("<~!channel>", "<~@~U123>", "@~everyone", LINK, "<~https://evil|x>", INIT, STAR, "<~b>"),
    *("a\n~# b", "[1mc", SAME),
)
SENT: dict[str, tuple[str, ...]] = {
    "slack": HTML,
    "slack bot": HTML,
    "msteams connector": (*HTML[:3], LINK, HTML[4], INIT, STAR, HTML[7], "a\n\n~# b", "[1mc", HTML[10]),
    "msteams workflow": (
        SAME,
        "<~@U123>",
        SAME,
        LINK,
        "<~https://evil|x>",
        INIT,
        STAR,
        SAME,
        "a\n\n~# b",
        "[1mc",
        SAME,
    ),
    "discord": CHAT,
    "rocket": CHAT,
    "gchat": (*HTML[:8], "a<br># b", *HTML[9:]),
    "webhook": (SAME,) * 11,
    "pagerduty": (*(SAME,) * 8, "a # b", "[1mc", SAME),
    "opsgenie": TAGS,
    "grafana": TAGS,
    "email": (*(SAME,) * 8, "a\n# b", SAME, SAME),
}
"""What is sent for each hostile text. A tilde stands for a gap."""

SHOWN: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("slack", "slack bot", "discord", "rocket"), lambda body: body["attachments"][0]["text"]),
    "msteams connector": lambda body: body["sections"][0]["activityTitle"],
    "msteams workflow": lambda body: body["attachments"][0]["content"]["body"][1]["text"],
    "gchat": lambda body: inner(body["cards"][0]["sections"][0]),
    "webhook": lambda body: body["data"]["message"],
    "pagerduty": lambda body: body["payload"]["summary"].removeprefix("shop.test: "),
    "opsgenie": lambda body: body["description"],
    "grafana": lambda body: body["text"].removeprefix("shop.test: "),
}
VALUES: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(
        ("slack", "slack bot", "discord", "rocket"), lambda body: body["attachments"][0]["fields"][0]["value"]
    ),
    "msteams connector": lambda body: body["sections"][0]["facts"][0]["value"],
    "msteams workflow": lambda body: body["attachments"][0]["content"]["body"][2]["facts"][0]["value"],
    "gchat": lambda body: inner(body["cards"][0]["sections"][1]),
    "grafana": lambda body: body["text"].partition("Cluster: ")[2],
}


def inner(section: Any) -> str:
    """The text between the tags that flagger writes."""
    return str(section["widgets"][0]["textParagraph"]["text"]).partition("<strong>")[2].partition("</strong>")[0]


def sent(which: str, one: Alert) -> str:
    """The text of an alert that a service gets."""
    if which == "email":
        return "\n".join(read(Email(MAIL).mail(one)).get_content().splitlines()).partition("\n\n")[0]
    return SHOWN[which](body_of(delivered(notifier(which), [GOOD[which]], one)[0]))


def wanted(which: str, text: str) -> str:
    """What the table says."""
    cell = SENT[which][HOSTILE.index(text)]
    return text if cell == SAME else cell.replace("~", markup.GAP)


def test_every_notifier_has_its_row() -> None:
    """A new one needs a decision about markup."""
    assert SENT.keys() == SETTINGS.keys() | {"email"} and SHOWN.keys() == SETTINGS.keys()
    assert {len(row) for row in SENT.values()} == {len(HOSTILE)}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("which", SENT)
def test_what_is_sent(which: str, text: str) -> None:
    """Nothing acts, and a reader sees the text as it is."""
    assert sent(which, alert(text=text, fields=())) == wanted(which, text)


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\n" not in text])
@pytest.mark.parametrize("which", VALUES)
def test_values_of_fields(which: str, text: str) -> None:
    """Like the text."""
    body = body_of(delivered(notifier(which), [GOOD[which]], alert(fields=(("Cluster", text),)))[0])
    assert VALUES[which](body) == wanted(which, text)


TEMPLATE = (
    '<https://ci|*CI*> <!here> {{ text }}{{ with index annotations "who" }} by {{ . }}{{ end }} {{ printf "<!here>" }}'
)


@pytest.mark.parametrize(
    ("which", "text"),
    [
        ("slack", "<https://ci|*CI*> <!here> &lt;b&gt; by &lt;!channel&gt; &lt;!here&gt;"),
        ("discord", "<https://ci|*CI*> <!here> <~b> by <~!channel> <~!here>"),
        ("gchat", "<https://ci|*CI*> <!here> &lt;b&gt; by &lt;!channel&gt; &lt;!here&gt;"),
        ("grafana", "<https://ci|*CI*> <!here> &lt;b> by &lt;!channel> &lt;!here>"),
        ("webhook", "<https://ci|*CI*> <!here> <b> by <!channel> <!here>"),
    ],
)
def test_only_the_template_itself_formats(which: str, text: str) -> None:
    """What it has outside of its braces. What is inside is a value."""
    words, problem = worded(alert(text="<b>", fields=(), about=About(annotations={"who": "<!channel>"})), TEMPLATE)
    assert problem == "" and sent(which, words) == text.replace("~", markup.GAP)


@pytest.mark.parametrize(
    "template", ["{{ text }}{{ reason }}", "[x]{{ reason }}", "{{ text }}{{ reason }}{{ reason }}"]
)
@pytest.mark.parametrize("which", ["msteams workflow", "discord", "rocket"])
def test_two_values_make_no_link(which: str, template: str) -> None:
    """Nor does a value that follows a bracket of the template."""
    words, _ = worded(alert(text="[x]", about=About(reason="(https://evil)")), template)
    assert "](" not in sent(which, words)


@given(st.lists(st.sampled_from(["{{ text }}", "b *c* ", " ", "\n", "x" * 700]), max_size=8))
def test_a_template_in_parts_is_the_template(parts: list[str]) -> None:
    """Trimmed and cut as a whole."""
    words, problem = worded(alert(text="<a>"), "".join(parts))
    whole = "".join(parts).replace("{{ text }}", "<a>").strip()
    assert bool(problem) == (not whole and bool(parts))
    if whole:
        assert words.text == "".join(word.text for word in words.words) and len(words.text) <= TEXT_MAX
        assert words.text == (whole if len(whole) <= TEXT_MAX else f"{whole[: TEXT_MAX - 1]}…")
        assert all(("<a>" in word.text) != word.trusted or word.text == "…" for word in words.words)


MARKS = st.text(alphabet="ab _*~`[]()<>!@#|&\\\n-+1.:/=\x1b", max_size=40)
COMMONMARK, WITH_HTML = MarkdownIt("js-default", {"breaks": True}), MarkdownIt("commonmark", {"breaks": True})


def words_of(html: str) -> str:
    """The text of an HTML page without blanks and gaps."""
    return "".join(unescape(re.sub("</?p>|<br ?/?>", "", html)).replace(markup.GAP, "").split())


@given(MARKS)
def test_a_renderer_shows_any_text_as_it_is(text: str) -> None:
    """Paragraphs with the characters of the text: no emphasis, link, list, heading or tag.

    Without blanks at the start of lines: four of them only choose another font.
    """
    shown = re.sub("^[ \t]+", "", markup.plain(text), flags=re.MULTILINE)
    for render, escape in (
        (COMMONMARK, markup.markdown),
        (COMMONMARK, markup.discord),
        (WITH_HTML, markup.markdown_or_html),
    ):
        html = render.render(escape(shown))
        assert set(re.findall("<(/?[a-z]+)", html)) <= {"p", "/p", "br"}
        assert escape is markup.markdown_or_html or words_of(html) == "".join(shown.split())


@given(MARKS)
def test_any_text_of_html_and_chats(text: str) -> None:
    """Tags and mentions have no start. Without gaps and backslashes, the text is the same."""
    shown = markup.plain(text)
    assert unescape(markup.entities(text)) == unescape(markup.untagged(text)) == shown
    assert not re.search("[<>]", markup.entities(text)) and "<" not in markup.untagged(text)
    for escape in (markup.discord, markup.rocket):
        assert not re.search(r"<\S|(?<!\w)[@#]\w|\]\(|\|\|", escape(text).replace(f"<{markup.GAP}", " "))
        assert escape(text).replace(markup.GAP, "").replace("\\", "") == shown.replace("\\", "")


@pytest.mark.parametrize("length", range(20, 40))
def test_no_half_of_an_entity_is_left(length: int) -> None:
    """A cut text is shown as it is, up to the ellipsis."""
    found = markup.cut_entities(markup.untagged("a" * 18 + "<&<&<"), length)
    assert len(found) <= length and not re.search(r"&(?!amp;|lt;)", found)


def test_a_subject_gets_no_headers() -> None:
    """A line break in a text adds none to a mail."""
    message = read(Email(MAIL).mail(alert(text="a\r\nBcc: x@example.com\x1b[1m")))
    assert message["Bcc"] is None and message["Subject"] == "[error] shop.test: a Bcc: x@example.com[1m"
