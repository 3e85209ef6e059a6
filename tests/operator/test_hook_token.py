"""Our token goes to the hooks that were named, as it rotates, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyflagger.api.canary import Webhook
from pyflagger.clock import LoopClock
from pyflagger.core.situation import Passed, Refused
from pyflagger.goflags import BadFlag
from pyflagger.operator.evidence.hook_token import REREAD_SECONDS, Identity, NoToken
from pyflagger.operator.evidence.webhooks import HookRequest, call
from pyflagger.operator.options import parse
from pyflagger.wire import HttpAnswer, HttpRequest

pytestmark = pytest.mark.looptime
PLACES = ("http://tester.test/", "https://gates.example:8443/flagger")


def identity(folder: Path, text: str = "one\n") -> Identity:
    """With a token in a file."""
    (folder / "token").write_text(text)
    return Identity(str(folder / "token"), PLACES, LoopClock())


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://tester.test/", True),
        ("http://tester.test", True),
        ("http://tester.test:80/gate/check", True),
        ("http://TESTER.test/gate/check?x=1", True),
        ("https://gates.example:8443/flagger/a", True),
        ("https://gates.example:8443/flagger", True),
        ("https://tester.test/", False),
        ("http://tester.test:8080/", False),
        ("http://tester.test.evil.example/", False),
        ("http://tester.test@evil.example/", False),
        ("http://user:pw@tester.test/", False),
        ("http://evil.example/http://tester.test/", False),
        ("http://evil.example#http://tester.test/", False),
        ("https://gates.example:8443/flaggering", False),
        ("https://gates.example:8443/flagger/../other", False),
        ("https://gates.example:8443/flagger/%2e%2e/other", False),
        ("https://gates.example:8443/flagger/..%2fother", False),
        ("https://gates.example:8443/flagger/..\\other", False),
        ("https://gates.example/flagger", False),
        ("http://[tester.test", False),
        ("", False),
    ],
)
async def test_who_gets_the_token(tmp_path: Path, url: str, named: bool) -> None:
    """Scheme, host, port and path must be those of the list; tricks with any of them give nothing."""
    want = (("Authorization", "Bearer one"),) if named else ()
    assert identity(tmp_path).headers(url) == want


async def test_rotation(tmp_path: Path) -> None:
    """A new token is read within a minute; one that cannot be read is told, with the place."""
    clock = LoopClock()
    (tmp_path / "token").write_text("one")
    ours = Identity(str(tmp_path / "token"), PLACES, clock)
    assert ours.headers(PLACES[0])[0][1] == "Bearer one"
    (tmp_path / "token").write_text("two")
    await clock.sleep(REREAD_SECONDS)
    assert ours.headers(PLACES[0])[0][1] == "Bearer two"
    (tmp_path / "token").unlink()
    await clock.sleep(REREAD_SECONDS)
    with pytest.raises(NoToken, match=r"-hook-token-file .*/token cannot be read"):
        ours.headers(PLACES[0])
    assert ours.headers("http://elsewhere/") == ()


class Told:
    """Hears what is sent and says it again."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.heard: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.heard.append(request)
        return HttpAnswer(self.status, str(request.headers).encode())


ASKED = HookRequest("podinfo", "test", "Progressing", "1")


@pytest.mark.parametrize(
    ("hook", "sent"),
    [({}, True), ({"disable_tls": True}, False), ({"url": "http://elsewhere.test/"}, False)],
)
async def test_a_call(tmp_path: Path, hook: dict[str, object], sent: bool) -> None:
    """The header goes with the call, and a hook that repeats it does not put it into a text."""
    http = Told(403)
    webhook = Webhook(**{"name": "gate", "url": PLACES[0], **hook})  # type: ignore[arg-type]
    outcome = await call(http, LoopClock(), webhook, ASKED, identity(tmp_path, "planted-token"))
    assert (("Authorization", "Bearer planted-token") in http.heard[0].headers) == sent
    assert isinstance(outcome, Refused) and "planted-token" not in outcome.text


async def test_a_token_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    """The hook is not called without it; others are called as ever."""
    http, ours = Told(200), Identity(str(tmp_path / "none"), PLACES, LoopClock())
    refused = await call(http, LoopClock(), Webhook(name="gate", url=PLACES[0]), ASKED, ours)
    assert isinstance(refused, Refused) and "cannot be read" in refused.text and http.heard == []
    assert await call(http, LoopClock(), Webhook(name="gate", url="http://elsewhere/"), ASKED, ours) == Passed()


@pytest.mark.parametrize("url", ["flagger-loadtester", "ftp://a/", "http://", "http://user@a/"])
def test_a_list_that_makes_no_sense(url: str) -> None:
    """It is refused when the operator starts."""
    with pytest.raises(BadFlag):
        parse([f"-hook-token-urls={url}"], {})
