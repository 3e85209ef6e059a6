"""Builds the operator from its options, elects a leader, and shuts down; traffic stays as it is.

Called by `flagger run`, by the sandbox's commands with a transport in process, and by tests with a clock of their own.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack

from pyflagger import __version__, logs
from pyflagger.api.canary import Canary, MetricTemplate, Phase
from pyflagger.api.facts import Fault, Problem, Route
from pyflagger.api.parse import Invalid, parse_metric_template
from pyflagger.clock import Clock, SystemClock
from pyflagger.core.decision import Decision
from pyflagger.core.situation import FindManager, FindTrouble, Need, Result
from pyflagger.kube.cache import Cache
from pyflagger.kube.client import Client
from pyflagger.kube.configs import Configs
from pyflagger.kube.errors import ApiError, Forbidden, NotFound
from pyflagger.kube.events import Events
from pyflagger.kube.lease import Elector, Timing
from pyflagger.kube.protocol import Transport
from pyflagger.kube.resources import ALERT_PROVIDERS, CANARIES, METRIC_TEMPLATES, SECRETS
from pyflagger.objects import Key, Resource
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.act.executor import Executor
from pyflagger.operator.act.failures import Failures
from pyflagger.operator.act.farewell import Farewell
from pyflagger.operator.act.render import Renderer
from pyflagger.operator.evidence.field_managers import find_manager
from pyflagger.operator.evidence.hook_token import Identity
from pyflagger.operator.evidence.metric_sources import Secret
from pyflagger.operator.evidence.metrics import Checks, Lookups
from pyflagger.operator.evidence.pod_troubles import find_trouble
from pyflagger.operator.evidence.webhooks import EventHooks
from pyflagger.operator.observe.compiled import settings_of
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.situation import Observer, Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.options import Options
from pyflagger.operator.process import health
from pyflagger.operator.process.telemetry import Telemetry
from pyflagger.operator.reconcile.controller import Controller
from pyflagger.operator.reconcile.reconciler import Ports, Reconciler
from pyflagger.operator.state import State
from pyflagger.wire import Http

NEVER_RUN = frozenset({Phase.NEW, Phase.INITIALIZING, Phase.TERMINATING})
"""Phases in which there is no run whose weights could be shown."""

NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class Spectator:
    """Somebody who looks on and does nothing by it, such as the live view of a demo; this one does not even look."""

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        """A check was made."""

    def decided(self, key: Key, decision: Decision) -> None:
        """A decision was taken."""


class Operator:
    """One operator on one API server. `start` returns once its caches are filling; `stop` leaves traffic alone."""

    def __init__(
        self,
        options: Options,
        transport: Transport,
        http: Http,
        clock: Clock,
        elector: Elector | None = None,
        onlooker: Spectator | None = None,
    ) -> None:
        log = logs.logger()
        settings = settings_of(options)
        self.options, self.clock, self.elector = options, clock, elector
        self._onlooker = onlooker or Spectator()
        self.client = client = Client(transport, clock, *([elector.fence] if elector else []))
        self.telemetry = Telemetry(__version__, options.mesh_provider)
        self.cache = cache = Cache(client, clock, options.namespace)
        self.configs: Configs[Key] = Configs(cache, client, clock)
        self._events = Events(client, clock, log, socket.gethostname())
        identity = Identity(options.hook_token_file, options.hook_token_urls, clock)
        self._hooks = EventHooks(http, clock, log, options.event_webhook, identity=identity)
        store, watchers, rivals = Store(cache, clock), Watchers(), Rivals(settings)
        self._observer = observer = Observer(store, self.configs, watchers, rivals, settings, clock, self._follow)
        announcer = Announcer(self._events, self._hooks, log)
        render = Renderer(store, self.configs, settings, clock)
        executor = Executor(client, store, self.configs, render, announcer, self.telemetry, clock)
        lookups = Lookups(template=self._template, secret=self._secret)
        self._checks = Checks(http, clock, lookups, options, self.telemetry.analysis, identity)
        failures = Failures(observer, store, self._events, self.telemetry, log)
        ports = Ports(
            observe=self._observe,
            gather=self._gather,
            apply=executor.apply,
            complain=failures.tell,
            judged=lambda seen, seconds: self.telemetry.judged(seen.compiled.canary, seconds),
            decided=self._onlooker.decided,
            late=self.telemetry.lag,
        )
        reconciler: Reconciler[Seen] = Reconciler(ports, clock, log)
        farewell = Farewell(store, announcer)
        self.controller = Controller(
            store, self.configs, watchers, rivals, observer, reconciler, self.telemetry, farewell
        )

    async def start(self) -> None:
        """Fill the caches and begin to act."""
        self._events.start()
        for resource in (CANARIES, METRIC_TEMPLATES, ALERT_PROVIDERS):
            self.cache.watch(resource)
        if self.options.enable_config_tracking:
            self.configs.start()
        self.controller.start()

    async def stop(self) -> None:
        """Stop acting, tell what is still to be told, and let go."""
        await self.controller.stop()
        await self.configs.stop()
        await self.cache.stop()
        await self._hooks.close()
        await self._events.stop()

    def unready(self) -> str | None:
        """For /readyz: what the caches lack."""
        refused = self.cache.refusal(CANARIES)
        return "\n".join((*self.cache.troubles().values(), *([str(refused)] if refused else []))) or None

    def metrics(self) -> bytes:
        """For /metrics."""
        return self.telemetry.expose(self.client.requests)

    def _follow(self, resource: Resource) -> NotFound | Forbidden | bool:
        self.cache.watch(resource)
        return self.cache.refusal(resource) or self.cache.synced(resource)

    def _observe(self, key: Key, state: State) -> Seen | None:
        seen = self._observer.observe(key, state)
        if seen and isinstance(seen.situation.route, Route) and seen.compiled.canary.status.phase not in NEVER_RUN:
            self.telemetry.route(seen.compiled.canary, seen.situation.route)
        return seen

    async def _gather(self, seen: Seen, need: Need) -> Result:
        if isinstance(need, FindManager):
            return await find_manager(self.client, seen.compiled)
        if isinstance(need, FindTrouble):
            ref = seen.compiled.target if need.role == "canary" else seen.compiled.primary
            return await find_trouble(self.client, self.cache.get(ref))
        result = await self._checks.run(need, seen.compiled.canary)
        self._onlooker.asked(seen.compiled.canary, need, result)
        return result

    async def _template(self, namespace: str, name: str) -> MetricTemplate | Problem | None:
        raw = self.cache.get(METRIC_TEMPLATES.ref(namespace, name))
        if raw is None:
            return None
        try:
            return parse_metric_template(raw)
        except Invalid as invalid:
            return invalid.problems[0]

    async def _secret(self, namespace: str, name: str) -> Secret | Problem | None:
        try:
            raw = await self.client.get(SECRETS, namespace, name)
            return {key: base64.b64decode(text) for key, text in (raw.get("data") or {}).items()}
        except NotFound:
            return None
        except (ApiError, binascii.Error) as error:
            return Problem(Fault.CLUSTER, str(error), f"Check secret {name} in namespace {namespace}.")


def identity(clock: Clock) -> str:
    """Who we are in the Lease."""
    return f"{socket.gethostname()}_{clock.unique()}"


def lease_namespace(options: Options, own: str) -> str:
    """Where the Lease lives: as told, else the watched namespace, else our own."""
    return options.leader_election_namespace or options.namespace or own or "kube-system"


def own_namespace(environ: Mapping[str, str]) -> str:
    """The namespace of our pod, if we are in one."""
    try:
        with open(NAMESPACE_FILE) as file:
            return file.read().strip()
    except OSError:
        return environ.get("POD_NAMESPACE", "")


async def serve(options: Options, transport: Transport, own: Transport, http: Http, clock: Clock | None = None) -> int:
    """Run until a signal comes or the lease is lost; returns the exit status.

    The lease goes over `own`: behind the calls of a thousand releases it would be renewed too late.
    """
    clock = clock or SystemClock()
    log = logs.logger()
    elector = None
    if options.enable_leader_election:
        namespace = lease_namespace(options, own_namespace(os.environ))
        elector = Elector(Client(own, clock), clock, namespace, identity(clock), Timing())
    operator = Operator(options, transport, http, clock, elector)
    async with AsyncExitStack() as stack:
        app = health.application([operator.controller.wedged], [operator.unready], operator.metrics)
        runner = await health.serve(app, clock, "", options.port)
        stack.push_async_callback(runner.cleanup)
        stopped = _stop_signal()
        lost = await _lead(elector, operator, stopped)
        if lost:
            log.error("Leadership lost")
        else:
            log.info("stopping; traffic stays as it is")
    return 1 if lost else 0


async def _lead(elector: Elector | None, operator: Operator, stopped: asyncio.Event) -> bool:
    """Act while leading and not stopped; whether the lease was lost."""
    stop = asyncio.ensure_future(stopped.wait())
    log = logs.logger()
    if elector:
        log.info("waiting for the Lease", identity=elector.identity)
        acquired = asyncio.ensure_future(elector.acquire())
        await asyncio.wait({stop, acquired}, return_when=asyncio.FIRST_COMPLETED)
        acquired.cancel()
        if stopped.is_set():
            return False
    log.info("acting as the leader" if elector else "acting")
    await operator.start()
    held = asyncio.ensure_future(elector.hold() if elector else asyncio.Event().wait())
    await asyncio.wait({stop, held}, return_when=asyncio.FIRST_COMPLETED)
    lost = held.done()
    await operator.stop()
    held.cancel()
    stop.cancel()
    if elector and not lost:
        await elector.release()
    return lost


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second one ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopped.is_set():
            os._exit(1)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stopped
