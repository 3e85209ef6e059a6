"""Who may call: the holder of the token, or a Kubernetes identity that the API server vouches for (TokenReview).

Called by the HTTP handlers, once for each request that acts. Without a token and without `-kubernetes-auth` everybody
may, as with the reference. Never sees a task. A token is kept as a digest only, and never logged.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden

from .options import Options

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
REMEMBERED_SECONDS, REMEMBERED_MAX = 30.0, 1000
_PREFIX = "system:serviceaccount:"
NO_RIGHT = (
    "it cannot be told who calls: the account of this load tester may not create tokenreviews in authentication.k8s.io;"
    " give it the ClusterRole of kustomize/tester-auth"
)
NOT_SAID = "it cannot be told who calls: the API server does not say; try again"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody we know. `namespace` is the only one it may act for; empty: all. `account` is for texts."""

    namespace: str = ""
    account: str = field(default="", compare=False)

    def may_act_for(self, namespace: str) -> bool:
        """Whether canaries of a namespace are its business."""
        return self.namespace in ("", namespace)


class Refused(Exception):
    """Somebody may not call. `status` and text are the answer; `cause` is for the log, what the API server said."""

    def __init__(self, status: int, text: str, cause: str = "") -> None:
        super().__init__(text)
        self.status, self.cause = status, cause


class Callers:
    """Tells callers apart. `client` reaches the API server; None without `-kubernetes-auth`."""

    def __init__(self, options: Options, clock: Clock, client: Client | None) -> None:
        self._options, self._clock, self._client = options, clock, client
        self._known: OrderedDict[bytes, tuple[float, Caller | Refused]] = OrderedDict()

    async def who(self, headers: Mapping[str, str]) -> Caller:
        """The caller. Raises Refused: 400 for bytes, 401 for a stranger, 403 for somebody else, 503 when unknown."""
        if not self._options.token and self._client is None:
            return Caller()
        header = headers.get("Authorization", "")
        # Bytes that are not UTF-8 come as halves of surrogate pairs, which cannot be encoded.
        if not header.isascii() and any("\ud800" <= one <= "\udfff" for one in header):
            raise Refused(400, "the Authorization header is not UTF-8")
        said = _credentials(header)
        if not said:
            raise Refused(401, "Unauthorized: bring a token, as `Authorization: Bearer …`")
        if self._options.token and hmac.compare_digest(said.encode(), self._options.token.encode()):
            return Caller()
        if self._client is None:
            raise Refused(401, "Unauthorized: this is not the token of this load tester")
        found = await self._reviewed(said)
        if isinstance(found, Refused):
            raise Refused(found.status, str(found), found.cause)
        return found

    async def _reviewed(self, token: str) -> Caller | Refused:
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock.monotonic()
        until, found = self._known.get(digest, (0.0, None))
        if found is not None and now < until:
            return found
        found = await self._review(token)
        self._known[digest] = (now + REMEMBERED_SECONDS, found)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return found

    async def _review(self, token: str) -> Caller | Refused:
        """Who is behind a token. Raises Refused when the API server does not say, which is not to be remembered."""
        assert self._client is not None
        spec = {"token": token, "audiences": [self._options.audience]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            said: Any = (await self._client.call("POST", REVIEWS, body)).get("status")
        except Forbidden as error:
            raise Refused(503, NO_RIGHT, _without(token, error)) from None
        except ApiError as error:
            raise Refused(503, NOT_SAID, _without(token, error)) from None
        said = said if isinstance(said, dict) else {}
        # An API server that knows nothing of audiences vouches for tokens that are meant for others.
        if said.get("authenticated") is True and self._options.audience in (said.get("audiences") or ()):
            return self._admitted(str((said.get("user") or {}).get("username") or ""))
        text = f"Unauthorized: the API server does not vouch for this token for the audience {self._options.audience}"
        return Refused(401, f"{text}: it has expired, or is not meant for us", _without(token, said.get("error", "")))

    def _admitted(self, user: str) -> Caller | Refused:
        namespace, _, name = user.removeprefix(_PREFIX).partition(":")
        if not user.startswith(_PREFIX) or not namespace or not name:
            return Refused(403, "Forbidden: only service accounts may call")
        account = f"{namespace}/{name}"
        if account in self._options.allowed_accounts:
            return Caller(account=account)
        if self._options.own_namespace:
            return Caller(namespace, account)
        return Refused(403, f"Forbidden: {account} is not one of -allowed-accounts")


def _without(token: str, said: object) -> str:
    """What was said, without the token that was asked about."""
    return str(said).replace(token, "***")


def _credentials(authorization: str) -> str:
    """A bearer token, or the password of basic auth, which a hook's URL can carry; empty for anything else."""
    scheme, _, said = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return said.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(said, validate=True).decode().partition(":")[2].strip()
    except ValueError:
        return ""
