"""Build the operator from its options, elect a leader, and shut down. A shutdown does not change traffic.

`flagger run` calls this, the sandbox's commands with an in-process transport, and tests with their own clock.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from pyflagger import __version__, logs
from pyflagger.clock import Clock, SystemClock
from pyflagger.kube.cache import Cache
from pyflagger.kube.client import Client
from pyflagger.kube.configs import Configs
from pyflagger.kube.events import Events
from pyflagger.kube.lease import Elector, Timing
from pyflagger.kube.protocol import Transport
from pyflagger.kube.resources import ALERT_PROVIDERS, CANARIES, METRIC_TEMPLATES
from pyflagger.objects import Key
from pyflagger.operator.act import disclosure
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.act.clerk import Clerk
from pyflagger.operator.act.executor import Executor
from pyflagger.operator.act.publisher import Publisher
from pyflagger.operator.act.records import Archivist
from pyflagger.operator.act.render import Renderer
from pyflagger.operator.alerting.manager import AlertManager, Reports
from pyflagger.operator.evidence.clouds import Clouds
from pyflagger.operator.evidence.gatherer import Gatherer
from pyflagger.operator.evidence.hook_token import Identity
from pyflagger.operator.evidence.metric_sources import cluster_lookups
from pyflagger.operator.evidence.metrics import Checks
from pyflagger.operator.evidence.sender import Sender
from pyflagger.operator.evidence.webhooks import EventHooks
from pyflagger.operator.observe.compiled import settings_of
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.situation import Observer, Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.options import Options
from pyflagger.operator.ports import ClusterPorts
from pyflagger.operator.process import health
from pyflagger.operator.process.greeting import greet
from pyflagger.operator.process.telemetry import Telemetry
from pyflagger.operator.reconcile.controller import Controller
from pyflagger.operator.reconcile.reconciler import Reconciler
from pyflagger.operator.spectator import Spectator
from pyflagger.wire import Http


class Operator:
    """One operator for one API server. `start` does not wait for the caches. `stop` does not change traffic.

    `home`: the namespace in which it publishes its settings; empty for none.
    """

    def __init__(
        self,
        options: Options,
        transport: Transport,
        http: Http,
        clock: Clock,
        elector: Elector | None = None,
        spectator: Spectator | None = None,
        home: str = "",
    ) -> None:
        log = logs.logger()
        settings = settings_of(options)
        self.options, self.clock, self.elector = options, clock, elector
        spectator = spectator or Spectator()
        fence = [elector.fence] if elector else []
        self.client = client = Client(transport, clock, *fence)
        self.telemetry = Telemetry(__version__, options.mesh_provider)
        self.cache = cache = Cache(client, clock, options.namespace)
        self.configs: Configs[Key] = Configs(cache, client, clock)
        self._events = Events(client, clock, log, socket.gethostname())
        token = Identity(options.hook_token_file, options.hook_token_urls, clock)
        self._hooks = EventHooks(http, clock, log, options.event_webhook, identity=token)
        store, watchers, rivals = Store(cache, clock), Watchers(), Rivals(settings)
        announcer = Announcer(self._events, self._hooks, log)
        render = Renderer(store, self.configs, settings, clock)
        lookups, telemetry = cluster_lookups(client, store), self.telemetry
        reports = Reports(self._events, telemetry, log)
        self._alerts = alerts = AlertManager(options, client, store, http, clock, lookups.secret, reports, *fence)
        me = elector.identity if elector else identity(clock)
        told = disclosure.told(options, __version__, me)
        self.disclosure = disclosure.Disclosure(client, clock, home, told, log)
        publisher = Publisher(__version__, me, options, log, self.disclosure)
        records = Archivist(client, publisher, options.release_history, clock, log, self.disclosure)
        self.clerk = clerk = Clerk(client, clock, options.namespace, publisher, telemetry, log, self.disclosure)
        follow, history, asked = cache.follow, records.history, clerk.pending
        observer = Observer(store, self.configs, watchers, rivals, settings, clock, follow, history, asked)
        executor = Executor(
            client, store, self.configs, render, announcer, telemetry, alerts, publisher, records, settings, clerk
        )
        sender = Sender(http, client, clock, Clouds(http))
        checks = Checks(sender, clock, lookups, options, telemetry.analysis, token, telemetry.queried)
        gatherer = Gatherer(client, store, checks, spectator, settings)
        ports = ClusterPorts(observer, gatherer, executor, store, announcer, self.telemetry, alerts.outbox, spectator)
        reconciler: Reconciler[Seen] = Reconciler(ports, clock, log)
        self.controller = Controller(
            store, self.configs, watchers, rivals, observer, reconciler, self.telemetry, announcer
        )
        clerk.poke = self.controller.poke

    async def start(self) -> None:
        """Start to fill the caches and to reconcile."""
        self.telemetry.leads(True)
        self.disclosure.start()
        self._events.start()
        await self._alerts.start()
        for resource in (CANARIES, METRIC_TEMPLATES, ALERT_PROVIDERS):
            self.cache.watch(resource)
        if self.options.enable_config_tracking:
            self.configs.start()
        if self.options.actions:
            self.clerk.start()
        self.controller.start()

    async def stop(self) -> None:
        """Stop reconciling, send the queued events, and close all connections."""
        self.telemetry.leads(False)
        await self.disclosure.stop()
        await self.controller.stop()
        await self._alerts.close()
        await self.clerk.stop()
        await self.configs.stop()
        await self.cache.stop()
        await self._hooks.close()
        await self._events.stop()

    def unready(self) -> str | None:
        """For /readyz: the reason why the caches are not filled, or None."""
        refused = self.cache.refusal(CANARIES)
        return "\n".join((*self.cache.troubles().values(), *([str(refused)] if refused else []))) or None

    def metrics(self) -> bytes:
        """The response of /metrics."""
        return self.telemetry.expose(self.client.requests)


def identity(clock: Clock) -> str:
    """The identity of this replica in the Lease."""
    return f"{socket.gethostname()}_{clock.unique()}"


def lease_namespace(options: Options, environ: Mapping[str, str]) -> str:
    """The namespace of the Lease: the watched one, else -leader-election-namespace, POD_NAMESPACE or kube-system.

    The reference looks in the same order, so in its manifests both operators compete for one Lease. Only flagger's
    manifests set POD_NAMESPACE.
    """
    named = (options.namespace, options.leader_election_namespace, environ.get("POD_NAMESPACE"))
    return next(filter(None, named), "kube-system")


SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""The file in which a pod finds its own namespace."""


def home_of(options: Options, environ: Mapping[str, str], file: Path = SERVICE_ACCOUNT) -> str:
    """The namespace of the operator's own pod, in which it publishes its settings; empty if it publishes none."""
    if not options.publish_settings:
        return ""
    try:
        return environ.get("POD_NAMESPACE") or file.read_text().strip()
    except OSError:
        return ""


async def serve(
    options: Options,
    transport: Transport,
    own: Transport,
    http: Http,
    clock: Clock | None = None,
    spectator: Spectator | None = None,
) -> int:
    """Run until a signal or the loss of the Lease. Returns the exit status.

    The Lease uses the transport `own`: if it had to queue behind the calls of a thousand releases, its renewal would be
    late.
    """
    clock = clock or SystemClock()
    log = logs.logger()
    elector = None
    if options.enable_leader_election:
        namespace = lease_namespace(options, os.environ)
        elector = Elector(Client(own, clock), clock, namespace, identity(clock), Timing())
    operator = Operator(options, transport, http, clock, elector, spectator, home_of(options, os.environ))
    async with AsyncExitStack() as stack:
        app = health.application([operator.controller.wedged], [operator.unready], operator.metrics)
        runner = await health.serve(app, clock, "", options.port)
        stack.push_async_callback(runner.cleanup)
        stopped = _stop_signal()
        lost = await _lead(elector, operator, stopped, http)
        if lost:
            log.error("Leadership lost")
        else:
            log.info("Shutting down operator workers, traffic stays as it is")
    return 1 if lost else 0


async def _lead(elector: Elector | None, operator: Operator, stopped: asyncio.Event, http: Http) -> bool:
    """Run the operator while this replica leads, until `stopped`. Returns whether it lost the Lease."""
    stop = asyncio.ensure_future(stopped.wait())
    log = logs.logger()
    if elector:
        log.info("waiting for the Lease", identity=elector.identity)
        acquired = asyncio.ensure_future(elector.acquire(_once(log.info)))
        await asyncio.wait({stop, acquired}, return_when=asyncio.FIRST_COMPLETED)
        acquired.cancel()
        if stopped.is_set():
            return False
    if elector:
        log.info("Acting as elected leader", identity=elector.identity)
    log.info("Starting operator")
    greeting = asyncio.create_task(greet(operator.client, http, operator.options.metrics_server, log), name="greeting")
    await operator.start()
    held = asyncio.ensure_future(elector.hold() if elector else asyncio.Event().wait())
    await asyncio.wait({stop, held}, return_when=asyncio.FIRST_COMPLETED)
    lost = held.done()
    greeting.cancel()
    await operator.stop()
    held.cancel()
    stop.cancel()
    if elector and not lost:
        await elector.release()
    return lost


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Reports why this replica waits for the Lease, once for each reason."""
    told: set[str] = set()

    def tell(why: str) -> None:
        if why not in told:
            told.add(why)
            say(f"waiting for the Lease: {why}")

    return tell


def _stop_signal() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets. The second one ends the process immediately."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopped.is_set():
            os._exit(1)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stopped
