"""`flagger run`, also `flagger -flag…`: runs the operator against a cluster.

Parses flags, finds the API server, and calls `operator.run`. Does not import modules of the interactive commands.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import uvloop

from pyflagger import __revision__, __version__, logs
from pyflagger.alerts import registry as alerts
from pyflagger.clock import SystemClock
from pyflagger.goflags import BadFlag, asks_for_help
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.kubeconfig import NoCluster
from pyflagger.kube.reach import find
from pyflagger.metrics import registry as metrics
from pyflagger.operator.options import Options, parse, usage, without_effect
from pyflagger.operator.otel import Traces
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.operator.run import serve
from pyflagger.routing import registry as routing
from pyflagger.workloads import registry as workloads

COLLECT_AFTER = (20_000, 20, 20)
"""New objects before Python's cycle collector runs: parsing one page creates thousands, none of them in a cycle."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE, KEPT = 64 << 10, 128 << 10
"""Bytes: allocations of this size return to the system when freed, and this much other free memory may remain."""


async def operate(options: Options) -> int:
    """Connect and serve until stopped. Raises NoCluster, OSError (the port is in use)."""
    clock = SystemClock()
    endpoint = await find(options.kubeconfig, options.master, clock)
    announce(options, endpoint.url)
    transport, own, http = AiohttpTransport(endpoint), AiohttpTransport(endpoint), AiohttpHttp()
    traces = Traces(os.environ, clock, logs.logger(), __version__)
    try:
        return await serve(options, transport, own, http, clock, traces.spectator)
    finally:
        for each in (traces, http, transport, own):
            await each.close()


def announce(options: Options, server: str) -> None:
    """Log version and settings as the first line. Addresses appear without passwords and paths."""
    logs.logger().info(
        f"Starting flagger version {__version__} revision {__revision__} mesh provider {options.mesh_provider}",
        version=__version__,
        revision=__revision__,
        apiServer=origin(server),
        meshProvider=options.mesh_provider,
        metricsServer=origin(options.metrics_server),
        namespace=options.namespace or "all namespaces",
        leaderElection=options.enable_leader_election,
        port=options.port,
        logLevel=options.log_level,
    )


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def main(argv: Sequence[str]) -> int:
    """Run the operator. Exit status 1: it cannot start or lost its lease; 2: the command line is invalid."""
    if asks_for_help(argv):
        print(usage())
        return 0
    try:
        options = parse(argv, os.environ)
    except BadFlag as error:
        print(f"flagger run: {error}. Try `flagger run -help`.", file=sys.stderr)
        return 2
    if options.version:
        print(f"Flagger version {__version__} revision  {__revision__}")
        return 0
    logs.configure(options.log_level, options.zap_encoding)
    if idle := without_effect(argv):
        logs.logger().warning("flagger accepts these flags and ignores them: remove them", flags=list(idle))
    try:
        gc.set_threshold(*COLLECT_AFTER)
        give_back_memory()
        for registry in (alerts, metrics, routing, workloads):
            registry.load_plugins()
        return uvloop.run(operate(options))
    except (NoCluster, OSError) as error:
        print(f"flagger run: {error}", file=sys.stderr)
        return 1


def give_back_memory() -> None:
    """Fix the thresholds of glibc's allocator, which otherwise grow with the first page of a list and never shrink.

    One heap serves all threads. There are few, for /metrics and DNS, and each would keep its own heap. Has no effect
    with another C library.
    """
    with suppress(OSError, AttributeError):
        bound = ctypes.CDLL(None).mallopt
        bound(M_MMAP_THRESHOLD, LARGE)
        bound(M_TRIM_THRESHOLD, KEPT)
        bound(M_ARENA_MAX, 1)
