"""podinfo's tokens: JSON Web Tokens with HMAC-SHA-256, valid for one minute.

Pure: callers pass `now`. The signing key is podinfo's well-known default, because it protects nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

KEY = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
LIFE_SECONDS = 60


class TokenRefused(ValueError):
    """The token is invalid. The text says why."""


def issue(user: str, now: float) -> tuple[str, int]:
    """A token for a user, and its expiry (whole seconds since the epoch)."""
    expires = int(now) + LIFE_SECONDS
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _encode(json.dumps({"name": user, "iss": "podinfo", "exp": expires}).encode())
    return f"{head}.{body}.{_signature(f'{head}.{body}')}", expires


def check(token: str, now: float) -> tuple[str, int]:
    """The user and the expiry of a token. Raises TokenRefused."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(signed).encode()):
        raise TokenRefused("signature is invalid")
    claims = json.loads(_decode(signed.partition(".")[2]))
    if claims.get("exp", 0) < now:
        raise TokenRefused("token is expired")
    if claims.get("iss") != "podinfo":
        raise TokenRefused("invalid issuer")
    return str(claims.get("name", "")), int(claims["exp"])


def _signature(signed: str) -> str:
    return _encode(hmac.digest(KEY, signed.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
