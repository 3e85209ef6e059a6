"""Reads a kubeconfig with kubernetes_asyncio, which also runs its auth plug-ins. Makes no API request.

Called by `kube.reach`. The operator reads in a child process, `python -m pyflagger.kube.kubeconfig FILE`, which prints
an Access as JSON: the library would stay in the operator's memory. Commands that end soon read in their own process.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from pyflagger.clock import Clock
from pyflagger.kube.protocol import TransportError

READ_SECONDS_MAX = 60.0
"""Seconds. An auth plug-in may contact an identity provider."""

RENEWED_SECONDS_MIN = 60.0
"""Seconds between rereads of the file, and runs of its plug-in, while the server refuses the user."""


class NoCluster(RuntimeError):
    """No API server is configured. The text says what was tried."""


@dataclass(frozen=True, slots=True)
class Access:
    """An API server's address and the user's credentials. Texts, PEM included, are empty when they are not set.

    `server_name` is the name that its certificate must have, if not that of the URL. `proxy` is the URL of an HTTP
    proxy. `context` is the name of the context, and `namespace` the default namespace that it sets.
    """

    url: str
    verify: bool
    authority: str
    certificate: str
    key: str
    authorization: str
    server_name: str = ""
    proxy: str = ""
    context: str = ""
    namespace: str = ""


class Choice(NamedTuple):
    """What to use of a kubeconfig instead of its current context: names of a context, a cluster and a user."""

    context: str = ""
    cluster: str = ""
    user: str = ""


CURRENT = Choice()


Read: TypeAlias = Callable[[str], Awaitable[Access]]


async def access(path: str) -> Access:
    """The access that the kubeconfig's current context describes. Raises NoCluster."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pyflagger.kube.kubeconfig", path, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            out, errors = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise NoCluster(f"kubeconfig {path}: reading it took more than {READ_SECONDS_MAX:g} s") from None
    if child.returncode:
        raise NoCluster(
            f"kubeconfig {path}: {(errors.decode(errors='replace').strip() or 'unreadable').splitlines()[-1]}"
        )
    return Access(**json.loads(out))


class Login:
    """The Authorization header of a kubeconfig's user. After a refusal it rereads the file."""

    def __init__(self, path: str, found: Access, clock: Clock, read: Read = access) -> None:
        self._path, self._found, self._clock, self._read = path, found, clock, read
        self._read_at, self._refused, self._lock = clock.monotonic(), False, asyncio.Lock()

    def refused(self) -> None:
        """Note that the API server refused the user: tokens from plug-ins expire within minutes."""
        self._refused = True

    async def headers(self) -> Mapping[str, str]:
        """The headers for one call. Raises TransportError when the file can no longer be used."""
        async with self._lock:
            if self._refused and self._clock.monotonic() - self._read_at >= RENEWED_SECONDS_MIN:
                self._read_at = self._clock.monotonic()
                await self._renew()
        return {"Authorization": self._found.authorization} if self._found.authorization else {}

    async def _renew(self) -> None:
        try:
            self._found, self._refused = await self._read(self._path), False
        except NoCluster as error:
            raise TransportError(str(error)) from error


# Reading --------------------------------------------------------------------------------------------------------------


async def read(path: str, choice: Choice = CURRENT) -> Access:
    """The access that a kubeconfig describes. Raises NoCluster."""
    try:
        return await _read(path, choice)
    except Exception as error:  # Plug-ins raise exceptions of any type.
        text = str(error).strip().replace("\n", " ") or type(error).__name__
        raise NoCluster(f"kubeconfig {path}: {text}") from error


async def _read(path: str, choice: Choice) -> Access:
    library = _library()
    merged = library.KubeConfigMerger(path)
    config = merged.config
    if config is None:
        raise NoCluster("it is missing or empty, so it has no current-context")
    context = choice.context or config.value.get("current-context")
    if choice.cluster or choice.user:
        config.value["contexts"] = [_chosen(library, config, context, choice, path)]
    elif not context:
        raise NoCluster("it has no current-context: set it, or choose a context with --context")

    def save(_: Any) -> None:
        """Store the tokens of an OIDC provider, as kubectl does. The library passes the config and ignores it."""
        merged.save_changes()

    loader = library.KubeConfigLoader(config, context, config_base_path=None, config_persister=save)
    found: Any = library.Configuration()
    await loader.load_and_set(found)
    return Access(
        url=found.host.rstrip("/"),
        verify=bool(found.verify_ssl),
        authority=_text(found.ssl_ca_cert),
        certificate=_text(found.cert_file),
        key=_text(found.key_file),
        authorization=found.api_key.get("BearerToken", ""),
        server_name=found.tls_server_name or "",
        proxy=found.proxy or "",
        context=context or "",
        namespace=loader.current_context["context"].get("namespace") or "",
    )


def _chosen(library: Any, config: Any, name: str | None, choice: Choice, path: str) -> Any:
    """The context of that name with another cluster or user."""
    known = config["contexts"].get_with_name(name, safe=True) if name else None
    chosen = {"cluster": choice.cluster, "user": choice.user}
    context = (known.value["context"] if known else {}) | {key: value for key, value in chosen.items() if value}
    return library.ConfigNode(path, {"name": name, "context": context}, path)


def _library() -> Any:
    """The module of kubernetes_asyncio that reads kubeconfigs, without the 700 modules of its API client.

    The module needs only the class Configuration of that client. The import takes a third of the time. Only users with
    the auth provider `oidc` need aiohttp, half of the rest.
    """
    name = "kubernetes_asyncio"
    if name not in sys.modules:
        _without_client(name)
        _deferred_oidc(f"{name}.config.openid")
    return importlib.import_module(f"{name}.config.kube_config")


def _without_client(name: str) -> None:
    spec = importlib.util.find_spec(name)
    root = (spec.submodule_search_locations if spec else None) or []
    package, client = ModuleType(name), ModuleType(f"{name}.client")
    vars(package).update(__path__=list(root))
    vars(client).update(__path__=[f"{each}/client" for each in root], ApiClient=object)
    sys.modules |= {name: package, f"{name}.client": client}
    configuration = importlib.import_module(f"{name}.client.configuration")
    vars(client).update(Configuration=configuration.Configuration)


def _deferred_oidc(name: str) -> None:
    """A stand-in for the module that asks an OIDC provider. It imports that module when it is used."""

    def requestor(*args: Any, **more: Any) -> Any:
        sys.modules.pop(name)
        return importlib.import_module(name).OpenIDRequestor(*args, **more)

    module = ModuleType(name)
    vars(module).update(OpenIDRequestor=requestor)
    sys.modules[name] = module


def _text(path: str | None) -> str:
    return Path(path).read_text() if path else ""


def main(argv: Sequence[str]) -> int:
    """Print the Access as JSON. Exit status 1: the file cannot be read, and the last line of stderr says why."""
    try:
        found = asyncio.run(_read(argv[0], CURRENT))
    except Exception as error:  # Plug-ins raise exceptions of any type.
        sys.stderr.write(str(error).replace("\n", " ") or type(error).__name__)
        return 1
    sys.stdout.write(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
