"""`python -m fuzz [TARGET …] [--seconds N]`: coverage-guided runs by atheris, one target after the other.

Each runs in a process of its own, beginning from the corpus here; what it finds on top goes to `.fuzz/TARGET`, which
is not kept. Prints for each target the runs, the seconds and the findings; exit status 1 when there are any. A finding
is a file `.fuzz/TARGET/crash-…` (or timeout-, oom-): play it with `--replay TARGET FILE`,
mend, and keep it in the corpus.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HOME = Path(__file__).resolve().parent
ROOT = HOME.parents[1]
FOUND = ROOT / ".fuzz"
NAMES = ("watch", "template", "promql", "providers")
ONE_SECONDS_MAX = 5
"""What one input may take."""

MEMORY_MB_MAX = 1024
INPUT_MAX = 4096


def main(argv: Sequence[str]) -> int:
    """Runs the targets that are named, or all."""
    reader = argparse.ArgumentParser(prog="python -m fuzz")
    reader.add_argument("targets", nargs="*", default=NAMES, metavar="TARGET", help=", ".join(NAMES))
    reader.add_argument("--seconds", type=int, default=60, help="for each target")
    reader.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"), help="play one input and stop")
    reader.add_argument("--inside", metavar="TARGET", help=argparse.SUPPRESS)
    asked, rest = reader.parse_known_args(argv)
    if asked.inside:
        return inside(asked.inside, rest)
    if asked.replay:
        return replay(*asked.replay)
    return max(run(name, asked.seconds) for name in asked.targets)


def run(name: str, seconds: int) -> int:
    """One target in a process of its own; 1 when it found something."""
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    before = set(findings(folder))
    words = folder / "words.dict"
    words.write_text(dictionary(name))
    command = [
        *(sys.executable, "-m", "fuzz", "--inside", name, f"-max_total_time={seconds}", f"-dict={words}"),
        *(f"-timeout={ONE_SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-max_len={INPUT_MAX}"),
        *(f"-artifact_prefix={folder}/", "-print_final_stats=1", str(folder), str(HOME / "corpus" / name)),
    ]
    log = folder / "log"
    with log.open("w") as said:
        subprocess.run(command, cwd=HOME.parent, env=os.environ, stdout=said, stderr=said, check=False)
    new = sorted(set(findings(folder)) - before)
    done = re.findall(r"stat::number_of_executed_units: (\d+)", log.read_text(errors="replace"))
    covered = re.findall(r"cov: (\d+)", log.read_text(errors="replace"))
    print(f"{name}: {done[-1] if done else '?'} inputs, {covered[-1] if covered else '?'} edges, {len(new)} findings")
    for path in new:
        print(f"  {path}; the end of {log} says more")
    return 1 if new or not done else 0


def findings(folder: Path) -> list[Path]:
    """What runs have left in a folder."""
    return [path for path in folder.iterdir() if re.match(r"(crash|timeout|oom|leak)-", path.name)]


def dictionary(name: str) -> str:
    """The target's words in libFuzzer's form."""
    from fuzz.targets import TARGETS

    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in TARGETS[name].words if len(word) < 60)
    return "".join(f'"{word}"\n' for word in quoted)


def replay(name: str, path: str) -> int:
    """One input through a target, with its traceback."""
    from fuzz.targets import TARGETS

    TARGETS[name].check(Path(path).read_bytes())
    return 0


def inside(name: str, words: Sequence[str]) -> int:
    """Become the fuzzer; does not return before it is done."""
    import atheris  # type: ignore[import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["pyflagger"]):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *words], TARGETS[name].check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
