"""How people's commands reach a cluster: kubectl's flags, the connection, and errors in one line.

Used by every command that reads or acts on canaries.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, NamedTuple

import click

from pyflagger.api.durations import parse
from pyflagger.cli.completing import contexts, namespaces
from pyflagger.clock import Clock, SystemClock
from pyflagger.kube.client import ApiError, Client, Forbidden
from pyflagger.kube.kubeconfig import Choice, NoCluster
from pyflagger.kube.protocol import Transport, TransportError
from pyflagger.kube.reach import Endpoint, Person, reach
from pyflagger.seeing.cleaning import clean


class Cluster(NamedTuple):
    """A cluster that a command talks to. `namespace`: that of the flag, else of the context."""

    client: Client
    clock: Clock
    namespace: str
    context: str


class Wrong(Exception):
    """A command cannot do what it was asked for. The text is one line; `status` is the exit status."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


OPTIONS = (
    click.option(
        "-n",
        "--namespace",
        default="",
        show_default=False,
        help="namespace; default: that of the context",
        metavar="NAME",
        shell_complete=namespaces,
    ),
    click.option(
        "--context",
        default="",
        show_default=False,
        help="context of the kubeconfig",
        metavar="NAME",
        shell_complete=contexts,
    ),
    click.option("--cluster", default="", show_default=False, help="cluster of the kubeconfig", metavar="NAME"),
    click.option("--user", default="", show_default=False, help="user of the kubeconfig", metavar="NAME"),
    click.option(
        "--kubeconfig",
        default="",
        show_default=False,
        help="path to a kubeconfig; default: KUBECONFIG, then ~/.kube/config",
    ),
    click.option("--as", "impersonated", default="", show_default=False, help="user to act as", metavar="USER"),
    click.option("--as-group", "groups", multiple=True, help="group to act as; repeatable", metavar="GROUP"),
    click.option(
        "--request-timeout", default="0", show_default=False, help="limit of one request, such as 30s; 0: the default"
    ),
)


def on_cluster(work: Callable[..., Awaitable[int]]) -> Callable[..., int]:
    """A command's callback from an async function that gets a Cluster first. Adds kubectl's flags."""
    return _on_cluster(work, lambda more: True)


def on_cluster_briefly(work: Callable[..., Awaitable[int]]) -> Callable[..., int]:
    """The same for a command that makes few calls, unless it watches: its connection is the one that starts fastest."""
    return _on_cluster(work, lambda more: bool(more["watch"]))


def _on_cluster(work: Callable[..., Awaitable[int]], watches: Callable[[dict[str, Any]], bool]) -> Callable[..., int]:
    @wraps(work)
    def run(
        namespace: str,
        context: str,
        cluster: str,
        user: str,
        kubeconfig: str,
        impersonated: str,
        groups: tuple[str, ...],
        request_timeout: str,
        **more: Any,
    ) -> int:
        person = person_of(kubeconfig, context, cluster, user, impersonated, groups)
        transport = _lasting if watches(more) else _brief
        limit = _limit(request_timeout)

        async def main() -> int:
            async with connected(person, namespace, limit, transport) as found:
                return await work(found, **more)

        return finished(main())

    return reaching(run)


def reaching(run: Callable[..., int]) -> Callable[..., int]:
    """A command's callback with kubectl's flags."""
    for option in reversed(OPTIONS):
        run = option(run)
    return run


def person_of(
    kubeconfig: str = "",
    context: str = "",
    cluster: str = "",
    user: str = "",
    impersonated: str = "",
    groups: tuple[str, ...] = (),
    **more: Any,
) -> Person:
    """How the flags reach a cluster. Completion has only those that were typed so far."""
    return Person(kubeconfig or "", Choice(context or "", cluster or "", user or ""), impersonated or "", groups or ())


def _limit(text: str) -> float | None:
    try:
        return parse(text if text[-1:].isalpha() or text == "0" else f"{text}s") or None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--request-timeout'") from error


def _lasting(endpoint: Endpoint, limit: float | None) -> Transport:
    from pyflagger.kube.http import AiohttpTransport

    return AiohttpTransport(endpoint, limit=limit)


def _brief(endpoint: Endpoint, limit: float | None) -> Transport:
    from pyflagger.kube.brief import BriefTransport

    return BriefTransport(endpoint, limit)


@asynccontextmanager
async def connected(
    person: Person,
    namespace: str,
    limit: float | None = None,
    transport: Callable[[Endpoint, float | None], Transport] = _brief,
) -> AsyncIterator[Cluster]:
    """A connection to a person's cluster. `limit` in seconds for each call. Raises NoCluster."""
    clock = SystemClock()
    found = await reach(person, clock)
    way = transport(found.endpoint, limit)
    try:
        yield Cluster(Client(way, clock), clock, namespace or found.namespace, found.context)
    finally:
        await way.close()


def finished(work: Coroutine[Any, Any, int]) -> int:
    """Run a command to its end. An error is one line on stderr, with what to do."""
    try:
        return asyncio.run(work)
    except Wrong as wrong:
        text, status = str(wrong), wrong.status
    except Forbidden as error:
        text, status = f"{error.problem.text.rstrip('. ')}. Ask for the right, or choose a namespace with -n.", 1
    except ApiError as error:
        text, status = error.problem.text, 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest when it ends.
        return 128 + signal.SIGPIPE
    except (NoCluster, TransportError, OSError) as error:
        text, status = str(error), 1
    except KeyboardInterrupt:
        return 130
    print(f"{click.get_current_context().command_path}: {clean(text)}", file=sys.stderr)
    return status
