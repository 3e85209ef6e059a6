"""`flagger alerts test`: sends a sample to the receiver of an AlertProvider, and says whether it was accepted."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import click

from pyflagger.alerts.base import SEVERITIES, About, Alert, Severity
from pyflagger.cli.people import SETTINGS, Words
from pyflagger.clock import Clock, SystemClock
from pyflagger.kube.client import ApiError, Client, NotFound
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.kubeconfig import NoCluster
from pyflagger.kube.reach import find
from pyflagger.kube.resources import ALERT_PROVIDERS
from pyflagger.operator.alerting.dispatcher import Delivered, deliver
from pyflagger.operator.alerting.receivers import Receivers, provided
from pyflagger.operator.evidence.metric_sources import read_secret
from pyflagger.operator.options import Options
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.wire import Http

TEXT = "This is a test of flagger. No release has changed."
ABOUT = About(
    "Deployment/test", "registry.example/app:1.0.0", "registry.example/app:1.1.0", "This is the reason of a test."
)
"""What a template gets for the sample. There are no annotations."""


async def sample(
    client: Client, http: Http, clock: Clock, namespace: str, provider: str, severity: Severity, cluster: str
) -> Delivered:
    """Send one sample, in one attempt. Raises ApiError."""
    try:
        found = await client.get(ALERT_PROVIDERS, namespace, provider)
    except NotFound:
        found = None
    receivers = Receivers(Options(), lambda ref: found, partial(read_secret, client))
    fields = (("Cluster", cluster),) if cluster else ()
    alert = Alert(severity, TEXT, "test", namespace, clock.unique(), clock.now(), fields, cluster, ABOUT)
    return await deliver(http, clock, receivers, provided(namespace, provider), alert, attempts_max=1)


async def on_cluster(kubeconfig: str, namespace: str, provider: str, severity: Severity, cluster: str) -> Delivered:
    """Send one sample. Raises NoCluster, ApiError."""
    clock = SystemClock()
    transport = AiohttpTransport(await find(kubeconfig, "", clock))
    try:
        async with AiohttpHttp() as http:
            return await sample(Client(transport, clock), http, clock, namespace, provider, severity, cluster)
    finally:
        await transport.close()


def shown(namespace: str, provider: str, result: Delivered) -> str:
    """The result in one line."""
    about = f"AlertProvider {provider}.{namespace}"
    if result.outcome == "sent" and not result.text:
        return f"{about}: the receiver accepted the sample"
    if result.outcome == "sent":
        return f"{about}: the receiver accepted the sample with the standard text: {result.text}. {result.todo}"
    return f"{about}: {result.outcome}: {result.text.rstrip('. ')}. {result.todo}".rstrip()


@click.group(context_settings=SETTINGS)
def command() -> None:
    """Try the receivers of alerts."""


@command.command("test", cls=Words)
@click.argument("provider")
@click.option("-n", "--namespace", default="default", help="namespace of the AlertProvider")
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", help="severity of the sample")
@click.option("--cluster-name", default="", help="name of the cluster in the sample")
@click.option(
    "--kubeconfig", default="", help="path to a kubeconfig; default: the variable KUBECONFIG, or the pod's own cluster"
)
def test(provider: str, namespace: str, severity: Severity, cluster_name: str, kubeconfig: str) -> int:
    """Send a sample to the receiver of the AlertProvider PROVIDER. Exit status 1: the receiver did not accept it."""
    try:
        result = asyncio.run(on_cluster(kubeconfig, namespace, provider, severity, cluster_name))
    except (NoCluster, ApiError, OSError) as error:
        print(f"flagger alerts test: {error}", file=sys.stderr)
        return 1
    print(shown(namespace, provider, result), file=sys.stdout if result.outcome == "sent" else sys.stderr)
    return 0 if result.outcome == "sent" else 1
