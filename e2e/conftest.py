"""One stage for the whole run, a namespace for each test, and the figures that are printed at its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

from e2e.dataplane import API_HOST
from e2e.environment import Environment
from e2e.shown import Recorder
from e2e.stage import Stage, staged

FIGURES = pytest.StashKey[list[str]]()
NUMBERS = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Room for the figures, and for what is shown of providers where SHOWN names the file.

    Whoever ends the run with SIGTERM, as CI does, ends its control plane with it, as Ctrl-C does.
    """
    config.stash[FIGURES] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.environ.get("SHOWN"):
        config.pluginmanager.register(Recorder(Path(os.environ["SHOWN"])))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What harms the whole cluster comes last."""
    items.sort(key=lambda item: item.path.parent.name == "faults")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the tests measured, and how long each part took."""
    terminalreporter.section("figures")
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for line in (*config.stash[FIGURES], *durations(reports)):
        terminalreporter.write_line(line)


def durations(reports: Iterable[object]) -> list[str]:
    """A line a file: how many tests ran to their end, and the seconds with their setting up and tearing down."""
    tests, seconds = Counter[str](), defaultdict[str, float](float)
    for report in reports:
        if isinstance(report, pytest.TestReport):
            file = report.nodeid.partition("::")[0]
            tests[file] += report.when == "call"
            seconds[file] += report.duration
    return [f"{file}: {tests[file]} tests in {seconds[file]:.0f} s" for file in seconds]


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a line that is printed at the end of the run."""
    return pytestconfig.stash[FIGURES].append


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, figure: Callable[[str], None]) -> Iterator[Stage]:
    """The control plane, its nodes, ingress and Prometheus; at the end, all that the run left behind is judged."""
    addresses = subprocess.run(["ip", "-o", "addr", "show", "lo"], capture_output=True, text=True).stdout
    if f"{API_HOST}/" not in addresses:
        pytest.exit("these tests need a network of their own: make e2e, or python -m e2e [pytest's words]", 2)
    began = time.monotonic()
    with staged(tmp_path_factory.mktemp("stage")) as made:
        figure(f"the cluster was ready {time.monotonic() - began:.1f} s after its start")
        yield made
        wrong, told = made.evidence.judged(made.plane.audited(), made.plane.ready_at.items())
        for line in told:
            figure(line)
        assert wrong == []


@pytest.fixture(autouse=True)
def whole(stage: Stage) -> Iterator[None]:
    """What ends is the failure of the test that it ended in, and there again for the next one."""
    yield
    ended = stage.mend()
    assert not ended, "\n".join(ended)


@pytest.fixture
def env(stage: Stage) -> Iterator[Environment]:
    """A namespace of this test's own."""
    made = Environment(stage, f"place-{next(NUMBERS)}")
    try:
        yield made
    finally:
        made.close()
