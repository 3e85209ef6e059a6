"""`flagger load`: sends traffic to hosts of an ingress, or generates load on one URL.

The built-in checks measure traffic, so a release on a sandbox needs some. `flagger load HOST…` sends requests to the
ingress until Ctrl-C and counts the versions that answer. `flagger load [options] URL` accepts the options of `hey`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import click

from pyflagger.cli.people import Duration, Words, call
from pyflagger.cli.signals import Interrupted, interruptible
from pyflagger.clock import Clock, SystemClock
from pyflagger.loadtester import load as generator

ANSWER_SECONDS_MAX = 10.0
TELL_SECONDS = 5.0
PENDING_MAX = 500
"""Maximum number of concurrent requests, for an ingress that does not answer."""

GENERATE = "pyflagger.generate"
"""The key of the load generator's arguments in click's context."""


class Visits:
    """Results of one host: answers by version (by status code if they contain none), and failures."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def note(self, status: int, body: bytes) -> None:
        """Count an answer. Only a 5xx or a missing answer is a failure."""
        if status >= 500:
            self.failures[str(status)] += 1
        else:
            self.answers[_version(body) or str(status)] += 1

    def line(self) -> str:
        """`podinfo.local: 50 visits, 0 failed; 3.1.0: 40, 3.1.3: 10`."""
        failed = sum(self.failures.values())
        why = f" ({_shown(self.failures)})" if failed else ""
        text = f"{self.host}: {failed + sum(self.answers.values())} visits, {failed} failed{why}"
        return f"{text}; {_shown(self.answers)}" if self.answers else text


def _version(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found["version"]) if isinstance(found, dict) and "version" in found else ""


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in sorted(counts.items()))


async def visit(session: aiohttp.ClientSession, url: str, visits: Visits) -> None:
    """Send one request."""
    try:
        async with session.get(url, headers={"Host": visits.host}) as answer:
            visits.note(answer.status, await answer.read())
    except TimeoutError:
        visits.failures["timed out"] += 1
    except (aiohttp.ClientError, OSError):
        visits.failures["no connection"] += 1


async def load(
    url: str, hosts: Sequence[str], rate: float, seconds: float, clock: Clock, tell: Callable[[str], None]
) -> bool:
    """Send `rate` requests a second to every host for `seconds` (0: until cancelled). Returns whether none failed."""
    crowd = [Visits(host) for host in hosts]
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    under_way: set[asyncio.Task[None]] = set()
    begun = told = clock.monotonic()
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        count = 0
        while not seconds or clock.monotonic() < begun + seconds:
            for visits in crowd if len(under_way) < PENDING_MAX else ():
                task = asyncio.get_running_loop().create_task(visit(session, url, visits))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            if clock.monotonic() >= told + TELL_SECONDS:
                told = clock.monotonic()
                tell("\n".join(visits.line() for visits in crowd))
            count += 1
            await clock.sleep(max(0.0, begun + count / rate - clock.monotonic()))
        await asyncio.gather(*under_way)
    tell("\n".join(visits.line() for visits in crowd))
    return not any(visits.failures for visits in crowd)


def _tell(text: str) -> None:
    print(text, flush=True)


class Load(Words):
    """Passes a command line that ends in a URL to the load generator, which has the options of `hey`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the generator's arguments unparsed."""
        if not _ends_in_a_url(args):
            return super().parse_args(ctx, args)
        ctx.meta[GENERATE] = list(args)
        return []

    def invoke(self, ctx: click.Context) -> Any:
        """Run the generator with its arguments, if there are any."""
        return generator.main(ctx.meta[GENERATE]) if GENERATE in ctx.meta else super().invoke(ctx)


def _ends_in_a_url(args: Sequence[str]) -> bool:
    """Whether the last argument is a URL, and not the value of --ingress."""
    return bool(args) and re.match(r"\w+://", args[-1]) is not None and args[-2:-1] not in (["--ingress"], ["-ingress"])


@click.command(cls=Load)
@click.argument("hosts", metavar="HOST... | [HEY OPTIONS] URL", nargs=-1, required=True)
@click.option("--ingress", envvar="INGRESS", help="URL of the ingress; default: the variable INGRESS")
@click.option("--path", default="/", help="path of the requests")
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=10.0, help="requests a second to each host (default 10)"
)
@click.option("--duration", type=Duration(), default="0s", help="duration; 0s: until Ctrl-C")
def command(hosts: tuple[str, ...], ingress: str | None, path: str, rate: float, duration: float) -> int:
    """Send requests to hosts of the ingress and count the versions that answer. Exit status 1: a request failed.

    With a URL instead of hosts, generate load on it with the options and the summary of `hey`.
    """
    if not ingress:
        raise click.UsageError(
            "set the ingress with --ingress URL or the variable INGRESS; `flagger sandbox` prints it"
        )
    url = f"{ingress.rstrip('/')}/{path.lstrip('/')}"
    try:
        well = asyncio.run(interruptible(load(url, hosts, rate, duration, SystemClock(), _tell)))
    except (Interrupted, KeyboardInterrupt):
        return 0
    return 0 if well else 1


def main(argv: Sequence[str]) -> int:
    """The command. Exit status 2: the command line is invalid."""
    return call(command, argv, "flagger load")
