"""Finds the API server of a command or a pod, with the credentials for it. Makes no API request.

In-cluster tokens are reread as they rotate. A kubeconfig is reread after the API server refuses its user. It imports no
HTTP library, because commands that end soon load the one that starts fastest.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pyflagger.clock import Clock
from pyflagger.kube.kubeconfig import CURRENT, Access, Choice, Login, NoCluster, access, read

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS_MAX = 60.0
UNAUTHORIZED = 401

Headers = Callable[[], Awaitable[Mapping[str, str]]]


async def _anonymous() -> Mapping[str, str]:
    return {}


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server: base URL, TLS settings (None: plain http or the system's), headers computed for each call.

    `server_name` is the name that its certificate must have (None: that of the URL). `proxy` is the URL of an HTTP
    proxy. The transport calls `refused` after an answer of 401. `impersonated`: headers that every call has besides.
    """

    url: str
    tls: ssl.SSLContext | None = None
    headers: Headers = field(default=_anonymous)
    refused: Callable[[], None] = field(default=_nothing)
    server_name: str | None = None
    proxy: str | None = None
    impersonated: Sequence[tuple[str, str]] = ()

    def heed(self, status: int) -> None:
        """Note the status of an answer."""
        if status == UNAUTHORIZED:
            self.refused()


async def find(kubeconfig: str, master: str, clock: Clock) -> Endpoint:
    """The API server of a kubeconfig, of an address, or of the pod's own cluster. Raises NoCluster."""
    source = "-kubeconfig" if kubeconfig else "the variable KUBECONFIG"
    kubeconfig = kubeconfig or ("" if master else os.environ.get("KUBECONFIG", ""))
    if kubeconfig:
        if not _some_exist(kubeconfig):
            raise NoCluster(f"kubeconfig {kubeconfig} does not exist: correct {source}")
        found = await access(kubeconfig)
        login = Login(kubeconfig, found, clock)
        name, proxy = found.server_name or None, found.proxy or None
        return Endpoint(master.rstrip("/") or found.url, _tls(found), login.headers, login.refused, name, proxy)
    if master:
        return Endpoint(master.rstrip("/"))
    return _in_cluster(clock)


class Person(NamedTuple):
    """How a person reaches a cluster: the flags that kubectl has too. Empty texts mean that the flag is not set.

    `impersonated` is the user to act as, and `groups` are its groups.
    """

    kubeconfig: str = ""
    choice: Choice = CURRENT
    impersonated: str = ""
    groups: tuple[str, ...] = ()


class Reached(NamedTuple):
    """The API server of a person, the name of the context, and the namespace of commands that name none."""

    endpoint: Endpoint
    context: str
    namespace: str


def configured(kubeconfig: str) -> bool:
    """Whether anything names a cluster: the flag, KUBECONFIG, `~/.kube/config`, or the pod."""
    return bool(_chosen(kubeconfig)) or _in_pod()


def _chosen(kubeconfig: str) -> str:
    """The kubeconfig that kubectl would read, empty if there is none."""
    usual = Path.home() / ".kube" / "config"
    return kubeconfig or os.environ.get("KUBECONFIG", "") or (str(usual) if usual.exists() else "")


async def reach(person: Person, clock: Clock) -> Reached:
    """The API server that kubectl would use: by the flags, KUBECONFIG, `~/.kube/config`, or the pod's own.

    Raises NoCluster.
    """
    path = _chosen(person.kubeconfig)
    if not path and not _in_pod():
        raise NoCluster("no cluster: set --kubeconfig or the variable KUBECONFIG, or create ~/.kube/config")
    if not path:
        return Reached(_as(person, _in_cluster(clock)), "", (ACCOUNT / "namespace").read_text().strip())
    if not _some_exist(path):
        raise NoCluster(f"kubeconfig {path} does not exist: correct --kubeconfig or the variable KUBECONFIG")
    found = await read(path, person.choice)
    login = Login(path, found, clock, partial(read, choice=person.choice))
    name, proxy = found.server_name or None, found.proxy or None
    endpoint = Endpoint(found.url, _tls(found), login.headers, login.refused, name, proxy)
    return Reached(_as(person, endpoint), found.context, found.namespace or "default")


def _as(person: Person, endpoint: Endpoint) -> Endpoint:
    """The endpoint with the headers of impersonation."""
    users = [("Impersonate-User", person.impersonated)] if person.impersonated else []
    return replace(endpoint, impersonated=(*users, *(("Impersonate-Group", group) for group in person.groups)))


def _some_exist(paths: str) -> bool:
    """Whether one of the files exists: KUBECONFIG can name several."""
    return any(os.path.exists(path) for path in paths.split(os.pathsep))


def _tls(found: Access) -> ssl.SSLContext | None:
    if not found.url.startswith("https"):
        return None
    context = ssl.create_default_context(cadata=found.authority or None)
    if not found.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if found.certificate:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
            both.write(f"{found.certificate}\n{found.key}")
            both.flush()
            context.load_cert_chain(both.name)
    return context


def _in_pod() -> bool:
    """Whether this is a pod with a service account."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (ACCOUNT / "token").exists()


def own(clock: Clock) -> tuple[Endpoint, Endpoint]:
    """The API server of the pod's own cluster: with the pod's account, and with no credentials. Raises NoCluster."""
    if not _in_pod():
        raise NoCluster("--in-cluster: this is no pod with a service account")
    found = _in_cluster(clock)
    return found, replace(found, headers=_anonymous)


def _in_cluster(clock: Clock) -> Endpoint:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not _in_pod():
        raise NoCluster("no cluster: set -kubeconfig or -master, or run in a pod with a service account")
    address = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    return Endpoint(f"https://{address}:{port}", tls, _rotating_token(ACCOUNT / "token", clock))


def _rotating_token(path: Path, clock: Clock) -> Headers:
    token, read_at = "", float("-inf")

    def read() -> str:
        nonlocal token, read_at
        if clock.monotonic() - read_at > TOKEN_SECONDS_MAX:
            token, read_at = path.read_text().strip(), clock.monotonic()
        return token

    async def headers() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {read()}"}

    return headers
