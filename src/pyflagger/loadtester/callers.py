"""Authentication of callers: by the token, or by a service account token that the API server reviews (TokenReview).

The HTTP handlers call it once for each request that acts. Without a token and without `-kubernetes-auth` it
accepts every caller, as the reference does. Tokens are kept only as digests and never logged.
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
    "cannot authenticate the caller: the service account may not create tokenreviews.authentication.k8s.io."
    " Bind the ClusterRole in kustomize/tester-auth to it"
)
NOT_SAID = "cannot authenticate the caller: the API server did not review the token. Try again"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. It may act for canaries of `namespace`; empty: of all. `account` is for texts."""

    namespace: str = ""
    account: str = field(default="", compare=False)

    def may_act_for(self, namespace: str) -> bool:
        """Whether the caller may act for canaries of a namespace."""
        return self.namespace in ("", namespace)


class CallerRefused(Exception):
    """The caller is refused. `status` and text are the answer; `cause` is the API server's text, for the log."""

    def __init__(self, status: int, text: str, cause: str = "") -> None:
        super().__init__(text)
        self.status, self.cause = status, cause


class Callers:
    """Authenticates callers. `client` calls the API server; None without `-kubernetes-auth`."""

    def __init__(self, options: Options, clock: Clock, client: Client | None) -> None:
        self._options, self._clock, self._client = options, clock, client
        self._known: OrderedDict[bytes, tuple[float, Caller | CallerRefused]] = OrderedDict()

    async def who(self, headers: Mapping[str, str]) -> Caller:
        """Authenticate a caller. Raises CallerRefused.

        Status 400: the header is not UTF-8; 401: no valid token; 403: the account is not allowed; 503: no review.
        """
        if not self._options.token and self._client is None:
            return Caller()
        header = headers.get("Authorization", "")
        # aiohttp decodes bytes that are not UTF-8 to lone surrogates, which cannot be encoded.
        if not header.isascii() and any("\ud800" <= one <= "\udfff" for one in header):
            raise CallerRefused(400, "the Authorization header is not UTF-8")
        token = _credentials(header)
        if not token:
            raise CallerRefused(401, "Unauthorized: send a token, as `Authorization: Bearer …`")
        if self._options.token and hmac.compare_digest(token.encode(), self._options.token.encode()):
            return Caller()
        if self._client is None:
            raise CallerRefused(401, "Unauthorized: the token is not this load tester's")
        found = await self._reviewed(token)
        if isinstance(found, CallerRefused):
            raise CallerRefused(found.status, str(found), found.cause)
        return found

    async def _reviewed(self, token: str) -> Caller | CallerRefused:
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

    async def _review(self, token: str) -> Caller | CallerRefused:
        """Review a token. Raises CallerRefused, which is not cached, when the API server gives no review."""
        assert self._client is not None
        spec = {"token": token, "audiences": [self._options.audience]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            status: Any = (await self._client.call("POST", REVIEWS, body)).get("status")
        except Forbidden as error:
            raise CallerRefused(503, NO_RIGHT, _without(token, error)) from None
        except ApiError as error:
            raise CallerRefused(503, NOT_SAID, _without(token, error)) from None
        status = status if isinstance(status, dict) else {}
        # An API server without support for audiences accepts tokens for other audiences.
        if status.get("authenticated") is True and self._options.audience in (status.get("audiences") or ()):
            return self._admitted(str((status.get("user") or {}).get("username") or ""))
        text = f"Unauthorized: the API server rejects this token for the audience {self._options.audience}"
        text += ": it has expired, or it is for another audience"
        return CallerRefused(401, text, _without(token, status.get("error", "")))

    def _admitted(self, user: str) -> Caller | CallerRefused:
        namespace, _, name = user.removeprefix(_PREFIX).partition(":")
        if not user.startswith(_PREFIX) or not namespace or not name:
            return CallerRefused(403, "Forbidden: the caller is not a service account")
        account = f"{namespace}/{name}"
        if account in self._options.allowed_accounts:
            return Caller(account=account)
        if self._options.own_namespace:
            return Caller(namespace, account)
        return CallerRefused(403, f"Forbidden: {account} is not one of -allowed-accounts")


def _without(token: str, text: object) -> str:
    """A text with the token replaced by `***`."""
    return str(text).replace(token, "***")


def _credentials(authorization: str) -> str:
    """A bearer token, or the password of basic auth, which a webhook's URL can contain; empty for anything else."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2].strip()
    except ValueError:
        return ""
