"""Credentials of clouds: found by their libraries, added to requests, and never shown."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from world import World, failure

from pyflagger.operator.evidence import clouds
from pyflagger.wire import AwsAuth, GoogleAuth, HttpAnswer, HttpFailure, HttpRequest

SECRET = "wJalrXUtnFEMI/K7MDENG"
AWS = HttpRequest(
    "POST",
    "https://monitoring.eu-west-1.amazonaws.com/",
    (("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", "GraniteServiceVersion20100801.GetMetricData")),
    b"{}",
    auth=AwsAuth("monitoring", "eu-west-1"),
)
SCOPE = "https://www.googleapis.com/auth/monitoring.read"


@pytest.fixture
def world() -> World:
    """A world that answers everything."""
    return World()


# AWS ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """An environment with the credentials of AWS, and nothing else to find any in."""
    for name in ("AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    return monkeypatch


def signature(headers: dict[str, str], signed: list[str], body: bytes) -> str:
    """The signature of a request to `/`, computed as AWS documents it."""
    day = headers["X-Amz-Date"][:8]
    lower = {name.lower(): value for name, value in headers.items()} | {"host": "monitoring.eu-west-1.amazonaws.com"}
    listed = "".join(f"{name}:{lower[name]}\n" for name in signed)
    canonical = f"POST\n/\n\n{listed}\n{';'.join(signed)}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/eu-west-1/monitoring/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['X-Amz-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


async def test_requests_to_aws_are_signed(world: World, aws: pytest.MonkeyPatch) -> None:
    """With the credentials of the environment, for service and region; the signature is the documented one."""
    await world.sender.send(AWS)
    (request,) = world.asked
    headers = dict(request.headers)
    assert (request.method, request.url, request.body, request.redirects) == ("POST", AWS.url, b"{}", 0)
    scheme, _, rest = headers["Authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "AWS4-HMAC-SHA256" and headers["X-Amz-Security-Token"] == "session-token"
    assert parts["Credential"] == f"AKIDEXAMPLE/{headers['X-Amz-Date'][:8]}/eu-west-1/monitoring/aws4_request"
    signed = parts["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(signed)
    assert parts["Signature"] == signature(headers, signed, b"{}")


async def test_answers_that_echo_credentials_lose_them(world: World, aws: pytest.MonkeyPatch) -> None:
    """The provider does not know them, so no text of it may have them."""
    world.answer = HttpAnswer(403, b"\xff bad token session-token")
    assert (await world.sender.send(AWS)).body == b"\xff bad token ***"


async def test_no_credentials_of_aws(world: World, aws: pytest.MonkeyPatch) -> None:
    """The text says where flagger looked; nothing is sent."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    found = await failure(world, AWS)
    assert (found.kind, world.asked) == ("credentials", []) and "no AWS credentials" in str(found)


async def test_a_broken_web_identity(world: World, aws: pytest.MonkeyPatch) -> None:
    """The error of the library is the text."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
    aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/flagger")
    aws.setenv("AWS_REGION", "eu-west-1")
    found = await failure(world, AWS)
    assert found.kind == "credentials" and "/nowhere/token" in str(found)


async def test_without_the_library(world: World, aws: pytest.MonkeyPatch) -> None:
    """The text names the extra to install."""
    aws.setitem(sys.modules, "botocore.auth", None)
    found = await failure(world, AWS)
    assert found.kind == "credentials" and "pip install 'pyflagger[aws]'" in str(found)


async def test_a_library_that_hangs(world: World, aws: pytest.MonkeyPatch) -> None:
    """The check fails in time, and the event loop goes on."""
    release, loop = asyncio.Event(), asyncio.get_running_loop()
    aws.setattr(clouds, "SECONDS_MAX", 0.05)

    def hang(*_: Any) -> Any:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    aws.setattr("botocore.session.get_session", hang)
    found = await failure(world, AWS)
    release.set()
    assert (found.kind, str(found)) == ("credentials", "AWS gave no credentials within 0.05s")


# Google -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> str:
    """The key of a service account, as Google issues them."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "flagger@acme.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


class Google(World):
    """Issues tokens; answers other requests as the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.token: HttpAnswer | HttpFailure = HttpAnswer(
            200, b'{"access_token": "ya29.one", "expires_in": 3599, "token_type": "Bearer"}'
        )

    async def send(self, request: HttpRequest) -> HttpAnswer:
        if request.url != "https://oauth2.googleapis.com/token":
            return await super().send(request)
        self.asked.append(request)
        if isinstance(self.token, HttpFailure):
            raise self.token
        return self.token


async def test_a_key_is_exchanged_for_a_token_once(key: str) -> None:
    """A signed assertion is posted to Google through flagger's client; the token serves until it expires."""
    world = Google()
    request = HttpRequest("POST", "https://monitoring.googleapis.com/v3", auth=GoogleAuth(SCOPE, key))
    for _ in range(3):
        await world.sender.send(request)
    token, *others = world.asked
    asked = parse_qs((token.body or b"").decode())
    assert (token.method, asked["grant_type"]) == ("POST", ["urn:ietf:params:oauth:grant-type:jwt-bearer"])
    assert asked["assertion"][0].count(".") == 2
    assert [dict(other.headers)["authorization"] for other in others] == ["Bearer ya29.one"] * 3


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (HttpAnswer(400, b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'), "Invalid JWT"),
        (HttpAnswer(400, b'{"error": "invalid_grant", "error_description": "reasonable timeframe"}'), "timeframe"),
        (HttpAnswer(200, b"<html>"), "https://oauth2.googleapis.com/token does not answer as"),
        (HttpFailure("connect", "169.254.169.254 is a cloud metadata address"), "metadata address"),
    ],
)
async def test_google_refuses_the_key(key: str, token: HttpAnswer | HttpFailure, told: str) -> None:
    """The text is Google's; nothing else is sent."""
    world = Google()
    world.token = token
    found = await failure(world, HttpRequest("GET", "https://monitoring.googleapis.com", auth=GoogleAuth(SCOPE, key)))
    assert told in str(found) and "PRIVATE" not in str(found)
    assert {request.url for request in world.asked} == {"https://oauth2.googleapis.com/token"}


async def test_a_key_that_is_none(world: World) -> None:
    """The text has no part of it."""
    broken = json.dumps({"client_email": "a@b", "token_uri": "https://x", "private_key": "hunter2"})
    for text in ("hunter2", "{}", broken):
        found = await failure(world, HttpRequest("GET", "https://x", auth=GoogleAuth(SCOPE, text)))
        assert found.kind == "credentials" and "hunter2" not in str(found)


async def test_no_identity_of_google(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Outside of Google's cloud the text is that of the library."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    found = await failure(world, HttpRequest("GET", "https://x", auth=GoogleAuth(SCOPE)))
    assert found.kind == "credentials" and "Google gave no credentials: DefaultCredentialsError" in str(found)
