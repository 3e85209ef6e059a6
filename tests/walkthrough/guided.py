"""A page played as a reader would: its files are saved, its commands run in order, and its outputs must appear.

What runs until Ctrl-C (`flagger sandbox`, `flagger load`) keeps running until the page ends. The line with
`export …` gets its values from the sandbox. Each line of a `text` block must appear in the output of the commands of
the block before it, in this order; `…` stands for anything, and the width of columns does not matter.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

from docs.blocks import Block, blocks
from walkthrough.sandboxed import BIN, ROOT
from walkthrough.test_readme import exported, run, terminal

FOLDERS = ("kustomize", "examples", "charts")
"""What a clone of the repository has where the commands run."""

INSTALL = "make install"


class Reader:
    """Somebody who follows a page in `folder`."""

    def __init__(self, folder: Path, apart: ExitStack) -> None:
        self._folder, self._apart = folder, apart
        self._environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        self._sandbox: subprocess.Popen[str] | None = None
        self._told = ""
        for name in FOLDERS:
            (folder / name).symlink_to(ROOT / name)

    def follow(self, page: Path) -> None:
        """Read the page from top to bottom."""
        for block in blocks(page):
            if block.title:
                (self._folder / block.title).write_text(block.text)
            if block.why or block.by:
                continue
            if block.language == "sh":
                self._told = "".join(self._type(command, block) for command in commands(block))
            elif block.language == "text":
                assert re.search(pattern(block.text), self._told), f"{block.place} is not what came:\n{self._told}"

    def _type(self, command: str, block: Block) -> str:
        """Type one command; what it printed."""
        if command.startswith(INSTALL):
            return ""
        if command.startswith("flagger sandbox"):
            self._sandbox = self._apart.enter_context(terminal(command, self._environ))
            return ""
        if command.startswith("export KUBECONFIG="):
            assert self._sandbox is not None, f"{block.place}: no sandbox runs"
            self._environ |= exported(self._sandbox)
            return ""
        if command.startswith("flagger load") and "--duration" not in command:
            self._apart.enter_context(terminal(command, self._environ, subprocess.DEVNULL))
            return ""
        return run(command, self._environ, self._folder)


def commands(block: Block) -> list[str]:
    """The commands of a block, without comments; a line that ends in a backslash goes on."""
    text = block.text.replace("\\\n", " ")
    lines = (re.sub(r"(^|\s+)#\s.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def pattern(shown: str) -> str:
    """The lines of an output as one expression."""
    lines = (re.escape(line.strip()).replace("…", ".*") for line in shown.splitlines() if line.strip())
    return r"(?:.|\n)*?".join(re.sub(r"(\\ )+", r"\\s+", line) for line in lines)


def plays(page: Path) -> bool:
    """Whether the page starts a sandbox."""
    return any("flagger sandbox" in block.text for block in blocks(page) if block.language == "sh" and not block.why)


def follow(page: str, folder: Path) -> None:
    """Follow a page of docs/ in a folder of its own."""
    with ExitStack() as apart:
        Reader(folder, apart).follow(ROOT / "docs" / page)
