"""Runs a real Prometheus instead of the embedded store: one child process on loopback.

It has the same targets as the embedded scraper, in a file that Prometheus watches. Its data is in a temporary
directory, which is removed with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from pyflagger.clock import Clock
from pyflagger.wire import Http, HttpFailure, HttpRequest
from pyflagger_sandbox.children import fall_with_parent
from pyflagger_sandbox.trouble import CannotStart, last_words

from .scrape import Discover, ScrapeTarget

_READY_WITHIN = 30.0
_STOP_WITHIN = 10.0
_POLL = 0.1
_LOG = "log"


class PrometheusError(CannotStart):
    """The real Prometheus does not run. The text says why and what to do."""


def find_prometheus(path: str = "") -> str:
    """The binary to run: `path`, or `prometheus` on PATH. Raises PrometheusError when it does not exist."""
    found = shutil.which(path or "prometheus")
    if found is None:
        raise PrometheusError(
            f"{path or 'prometheus'!r} is not an executable: install Prometheus or use the embedded store"
        )
    return found


@asynccontextmanager
async def external_prometheus(
    discover: Discover,
    http: Http,
    clock: Clock,
    ended: Callable[[str], None] = lambda text: None,
    *,
    binary: str = "",
    interval: float = 1.0,
    retention: str = "1h",
) -> AsyncIterator[str]:
    """Run Prometheus on the targets of `discover` while the block runs. Yields its base URL when it is ready.

    Calls `ended` with its status and the end of its log if it ends by itself. Raises PrometheusError if it does not
    start.
    """
    executable = find_prometheus(binary)
    with tempfile.TemporaryDirectory(prefix="pyflagger-prometheus-") as directory:
        home = Path(directory)
        _write(home / "prometheus.yml", json.dumps(_config(interval)))
        _write(home / "targets.json", targets_file(await discover()))
        url = f"http://127.0.0.1:{_free_port()}"
        process = await _start(executable, _arguments(home, url, retention), home)
        tasks = [asyncio.create_task(_follow(home, discover, clock, interval))]
        try:
            await _ready(process, url, http, clock, home)
            tasks.append(asyncio.create_task(_watch_exit(process, home, ended)))
            yield url
        finally:
            for task in tasks:
                task.cancel()
            await _stop(process)


def targets_file(targets: Sequence[ScrapeTarget]) -> str:
    """The targets in the format of Prometheus's file service discovery."""
    return json.dumps([_group(target) for target in targets])


def _group(target: ScrapeTarget) -> dict[str, object]:
    parts = urlsplit(target.url)
    place = {"__scheme__": parts.scheme, "__metrics_path__": parts.path or "/metrics"}
    return {"targets": [parts.netloc], "labels": {**target.labels, **place}}


def _config(interval: float) -> dict[str, object]:
    """The configuration file as JSON, which is also YAML."""
    pace = f"{max(1, round(interval * 1000))}ms"
    source = {"files": ["targets.json"], "refresh_interval": pace}
    job = {"job_name": "pods", "file_sd_configs": [source]}
    return {"global": {"scrape_interval": pace, "scrape_timeout": pace}, "scrape_configs": [job]}


def _arguments(home: Path, url: str, retention: str) -> list[str]:
    return [
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--storage.tsdb.retention.time={retention}",
        f"--web.listen-address={urlsplit(url).netloc}",
        "--log.level=warn",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write(path: Path, text: str) -> None:
    """Replace a file atomically, so that a reader never sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


async def _start(executable: str, arguments: Sequence[str], home: Path) -> asyncio.subprocess.Process:
    with (home / _LOG).open("wb") as log:
        return await asyncio.create_subprocess_exec(
            executable,
            *arguments,
            cwd=home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=fall_with_parent,
        )


async def _follow(home: Path, discover: Discover, clock: Clock, interval: float) -> None:
    written = ""
    while True:
        with suppress(Exception):  # `discover` failed: Prometheus continues with the last targets.
            text = targets_file(await discover())
            if text != written:
                _write(home / "targets.json", text)
                written = text
        await clock.sleep(interval)


async def _watch_exit(process: asyncio.subprocess.Process, home: Path, ended: Callable[[str], None]) -> None:
    status = await process.wait()
    ended(f"prometheus ended with status {status}: {last_words(home / _LOG)}")


async def _ready(process: asyncio.subprocess.Process, url: str, http: Http, clock: Clock, home: Path) -> None:
    deadline = clock.monotonic() + _READY_WITHIN
    while clock.monotonic() < deadline and process.returncode is None:
        with suppress(HttpFailure):
            if (await http.send(HttpRequest("GET", f"{url}/-/ready", timeout=1.0))).status == 200:
                return
        await clock.sleep(_POLL)
    state = "is not ready" if process.returncode is None else f"ended with status {process.returncode}"
    raise PrometheusError(f"prometheus {state}: {last_words(home / _LOG)}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_WITHIN)
    except TimeoutError:
        process.kill()
        await process.wait()
