"""Commit subjects: imperative, at most 72 characters, one topic. `make lint` checks the commits that are new.

New are those after SINCE. A shallow clone or an export does not have that commit: then there is nothing to check.
With `--file PATH` it checks one message, as git's hook `commit-msg` wants it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SINCE = "303fa818ab18a310dcc74d8bffe40f629217d8f9"
"""The last commit before the check."""

LONGEST = 72
BASE_FORMS = re.compile(
    "Access|Address|Bless|Bring|Bypass|Compress|Cross|Discuss|Dismiss|Embed|Exceed|Express|Feed|Focus|Guess|Need|Pass"
    "|Ping|Press|Proceed|Process|Ring|Seed|Shed|Speed|Suppress"
)
"""Verbs that end as a form of another verb does."""

NO_VERBS = re.compile(
    "A|All|An|And|Another|As|At|Both|But|Bug|By|Code|Each|Every|Feature|Few|For|From|He|How|I|If|In|It|Its|Many|Minor"
    "|More|Most|My|New|No|Not|Nothing|Now|Of|On|One|Or|Our|Several|She|So|Some|Something|Such|That|The|Their|Then|There"
    "|These|They|This|Those|Thus|To|Two|Typo|Various|We|What|When|Where|Which|While|Who|Why|With|Without|You"
)
OTHER_FORMS = re.compile(r".*(s|ed|ing)")
TOPICS = re.compile(r"; |, and |\. [A-Z]|: ")


def problems(message: str) -> Iterator[str]:
    """What is wrong with a commit message."""
    subject, *body = message.rstrip("\n").split("\n")
    word = re.split(r"[^\w'-]", subject, maxsplit=1)[0]
    if len(subject) > LONGEST:
        yield f"{len(subject)} characters, at most {LONGEST}: say the rest in the body"
    if subject.endswith("."):
        yield "ends with a period"
    if not word[:1].isupper():
        yield "starts with no capital letter"
    elif NO_VERBS.fullmatch(word) or (OTHER_FORMS.fullmatch(word) and not BASE_FORMS.fullmatch(word)):
        yield f"{word!r} is no imperative: say what the commit does, as an order (Add, Fix, Keep)"
    if TOPICS.search(subject):
        yield "names two topics: make two commits, or name what they have in common"
    if body and body[0]:
        yield "has no empty line between subject and body"


def history(root: Path = ROOT, since: str = SINCE) -> list[tuple[str, str]] | None:
    """Short hash and message of each commit after `since`, merges left out; None where that commit is not known."""
    words = ["git", "-C", str(root), "log", "--no-merges", "-z", "--format=%h%n%B", f"{since}..HEAD"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [(sha, message) for sha, _, message in (each.partition("\n") for each in done.stdout.split("\0") if each)]


def main(argv: Sequence[str]) -> int:
    """Check the new commits, or the message in a file; 1 when something is wrong."""
    if argv[:1] == ["--file"]:
        lines = [line for line in Path(argv[1]).read_text().splitlines() if not line.startswith("#")]
        commits: list[tuple[str, str]] | None = [("message", "\n".join(lines))]
    else:
        commits = history()
    if not commits:
        why = "no history here has" if commits is None else "no commit follows"
        print(f"commit subjects: nothing to check, {why} {SINCE[:9]}")
        return 0
    wrong = [f"{sha} {message.splitlines()[0]!r}: {text}" for sha, message in commits for text in problems(message)]
    print("\n".join(wrong) or f"commit subjects: {len(commits)} checked")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
