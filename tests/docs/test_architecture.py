"""The page of the architecture tells of the code as it is."""

from __future__ import annotations

import re

from docs.rooms import PICTURE, ROOT, SOURCE, imported, module, picture

PAGE = (ROOT / "docs" / "architecture.md").read_text()
LISTED = PAGE.partition("## A release, file by file")[2].partition("\n## ")[0]
FILES = re.findall(r"^\d+\. `(.*?)`", LISTED, re.MULTILINE)


def test_the_picture_shows_what_imports_what() -> None:
    """Written by `make docs`."""
    assert PICTURE.findall(PAGE) == [picture()]


def test_a_release_can_be_read_in_few_files() -> None:
    """Each is there, and at most 25 lead from the watch event to the write."""
    assert 20 <= len(FILES) <= 25
    assert [file for file in FILES if not (SOURCE / file).is_file()] == []


def test_the_files_of_a_release_lead_to_each_other() -> None:
    """Each imports another one of the list, or is imported by one: no page is opened for nothing."""
    modules = {file: module(SOURCE / file) for file in FILES}
    uses = {file: set(imported(SOURCE / file)) for file in FILES}
    alone = [
        file
        for file in FILES
        if not any(modules[other] in uses[file] or modules[file] in uses[other] for other in FILES if other != file)
    ]
    assert alone == []
