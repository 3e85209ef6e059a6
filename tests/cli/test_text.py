"""Texts of others on a terminal: no control character reaches it, and ASCII is enough."""

from __future__ import annotations

import pytest

from pyflagger.cli.explaining import text as explained
from pyflagger.cli.listing import lines
from pyflagger.cli.text import Screen, say
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.fleet import row
from pyflagger.seeing.model import Cause, Explanation, Image, Verdict
from seeing.test_fleet import NOW, canary, condition

EVIL = "a\x1b]0;title\x07b\x1b[2Jc\nd\re\u202ef\x9bg\u2028h"
SAFE = "a?]0;title?b?[2Jc d e?f?g?h"


def test_controls_are_replaced() -> None:
    """In strings, and in every part of a view."""
    assert clean(EVIL) == SAFE
    view = Explanation(
        EVIL, "test", Verdict.FAILED, False, EVIL, (Cause("x", EVIL, None, (EVIL,), EVIL),), None, EVIL, "same"
    )
    assert not [line for line in explained(clean(view), 0.0, Screen(), verbose=True) if not line.isprintable()]
    assert clean(view).verdict is Verdict.FAILED and clean(view).causes[0].evidence == (SAFE,)
    assert clean({"labels": (Image(EVIL, "1", "2"),)}) == {"labels": (Image(SAFE, "1", "2"),)}


def test_a_list_of_evil_texts() -> None:
    """A message in the status moves no cursor."""
    found = row(canary("Progressing", condition("Halted", message=EVIL)), NOW)
    assert all(line.isprintable() for line in lines([found], NOW, Screen(), namespaces=True, wide=True))


@pytest.mark.parametrize("unicode, said", [(True, "1 → 2 … ü"), (False, "1 -> 2 ... ?")])
def test_without_utf_8(unicode: bool, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Characters that ASCII does not have are replaced, and nothing fails."""
    say("1 → 2 … ü", Screen(unicode=unicode))
    assert capsys.readouterr().out == f"{said}\n"
