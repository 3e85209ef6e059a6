"""How blocks of pages are read, and how commands and outputs of them are understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import blocks as reading
from docs.blocks import Block, blocks
from walkthrough.guided import commands, pattern

PAGE = """\
# A page

```sh
flagger sandbox
```

1. In a list:

    <!-- not run: needs a cluster -->
    ```sh
    kubectl get pods
    ```

<!-- run by: e2e/test_a.py -->
```sh
kubectl get nodes
```

```yaml title="a.yaml"
kind: A
```

```
no language
```
"""


def test_the_blocks_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their places, titles and reasons, and without the indentation of a list."""
    monkeypatch.setattr(reading, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)
    first, second, played, third = blocks(tmp_path / "page.md")
    assert first == Block("page.md", 4, "sh", "", "flagger sandbox\n", "")
    assert (second.place, second.text, second.why) == ("page.md:11", "kubectl get pods\n", "needs a cluster")
    assert (played.text, played.why, played.by) == ("kubectl get nodes\n", "", "e2e/test_a.py")
    assert (third.language, third.title, third.text, third.why) == ("yaml", "a.yaml", "kind: A\n", "")


@pytest.mark.parametrize(
    "text, found",
    [
        ("a\nb  # why\n", ["a", "b"]),
        ("# only words\n", []),
        ("a \\\n  b\n", ["a    b"]),
        ("echo 'a#b'\n", ["echo 'a#b'"]),
    ],
)
def test_the_commands_of_a_block(text: str, found: list[str]) -> None:
    """Without comments; a line that goes on is one."""
    assert commands(Block("page.md", 1, "sh", "", text, "")) == found


@pytest.mark.parametrize(
    "shown, told, fits",
    [
        ("NAME   READY\na   2/2   …\n", "NAME  READY\na     2/2    5s\n", True),
        ("first\nsecond\n", "0s  first\n1s  other\n2s  second\n", True),
        ("first\nsecond\n", "second\nfirst\n", False),
        ("weight 20\n", "weight 2\n", False),
        ("rate …% < 99%\n", "rate 93.10% < 99%\n", True),
        ("a.b\n", "a-b\n", False),
    ],
)
def test_what_an_output_must_hold(shown: str, told: str, fits: bool) -> None:
    """Each line, in order; columns may be as wide as they like, and dots are dots."""
    assert bool(re.search(pattern(shown), told)) is fits
