"""Who may call: the holder of the token, or a Kubernetes identity that the API server vouches for (TokenReview).

Called by the HTTP handlers, once for each request that acts. Without a token and without `-kubernetes-auth` everybody
may, as with the reference. Never sees a task. A token is kept as a digest only, and never logged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError

from .options import Options

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
REMEMBERED_SECONDS, REMEMBERED_MAX = 30.0, 1000
_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody we know. `namespace` is the only one it may act for; empty: all."""

    namespace: str = ""

    def may_act_for(self, namespace: str) -> bool:
        """Whether canaries of a namespace are its business."""
        return self.namespace in ("", namespace)


class Unsure(Exception):
    """The API server did not say who it is: nobody is let in on a guess."""


class Callers:
    """Tells callers apart. `client` reaches the API server; None without `-kubernetes-auth`."""

    def __init__(self, options: Options, clock: Clock, client: Client | None) -> None:
        self._options, self._clock, self._client = options, clock, client
        self._known: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()

    async def who(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller; None for one that may not call. Raises Unsure."""
        if not self._options.token and self._client is None:
            return Caller()
        said = _credentials(headers.get("Authorization", ""))
        if not said:
            return None
        if self._options.token and hmac.compare_digest(said.encode(), self._options.token.encode()):
            return Caller()
        return await self._reviewed(said) if self._client is not None else None

    async def _reviewed(self, token: str) -> Caller | None:
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock.monotonic()
        until, caller = self._known.get(digest, (0.0, None))
        if now < until:
            return caller
        caller = self._admitted(await self._review(token))
        self._known[digest] = (now + REMEMBERED_SECONDS, caller)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return caller

    async def _review(self, token: str) -> str:
        """The user name behind a token that is meant for us; empty for any other. Raises Unsure."""
        assert self._client is not None
        spec = {"token": token, "audiences": [self._options.audience]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            said: Any = (await self._client.call("POST", REVIEWS, body)).get("status")
        except ApiError as error:
            raise Unsure(str(error).replace(token, "…")) from None
        if not isinstance(said, dict) or said.get("authenticated") is not True:
            return ""
        # An API server that knows nothing of audiences vouches for tokens that are meant for others.
        if self._options.audience not in (said.get("audiences") or ()):
            return ""
        return str((said.get("user") or {}).get("username") or "")

    def _admitted(self, user: str) -> Caller | None:
        namespace, _, name = user.removeprefix(_PREFIX).partition(":")
        if not user.startswith(_PREFIX) or not namespace or not name:
            return None
        if f"{namespace}/{name}" in self._options.allowed_accounts:
            return Caller()
        return Caller(namespace) if self._options.own_namespace else None


def _credentials(authorization: str) -> str:
    """A bearer token, or the password of basic auth, which a hook's URL can carry; empty for anything else."""
    scheme, _, said = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return said.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(said, validate=True).decode().partition(":")[2].strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""
