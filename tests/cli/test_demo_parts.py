"""The demo's visitors who keep cookies, and what makes a release one that ended as its scenario says."""

from __future__ import annotations

import asyncio
import json
import sys
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest

from pyflagger.api.canary import Phase
from pyflagger.cli.demo.play import Outcome, Player
from pyflagger.cli.demo.scenario import Release, load
from pyflagger.cli.demo.views import line
from pyflagger.cli.demo.visitors import Crowd, Person, Tally
from pyflagger.cli.stage import meshed, routed
from pyflagger.clock import SystemClock
from pyflagger.kube.cache import ObjectChange
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import Access, arguments
from pyflagger_sandbox.network.routes import GATEWAY_API, TRAEFIK


def given(text: str) -> SimpleCookie:
    """A Set-Cookie header."""
    found: SimpleCookie = SimpleCookie()
    found.load(text)
    return found


def test_a_person_keeps_cookies_until_they_are_taken() -> None:
    """The canary's mark them; one that is out of date is thrown away."""
    person = Person()
    assert person.headers == {}
    person.take(given("stay=a; Max-Age=5; Path=/"), canary=False)
    person.take(given("seen=b; Max-Age=600"), canary=True)
    assert person.headers == {"Cookie": "stay=a; seen=b"} and person.marks == {"seen"}
    person.take(given("seen=b; Max-Age=-1"), canary=False)
    assert person.headers == {"Cookie": "stay=a"} and person.marks == set()


def test_a_tally_ends_alone() -> None:
    """Of two that have counted the same so far, such as nobody, the one that is meant."""
    crowd = Crowd("http://127.0.0.1", "app.example.com", "app", (), SystemClock(), lambda: 0)
    first, second = crowd.count(), crowd.count()
    crowd.done(second)
    assert len(crowd.tallies) == 1 and crowd.tallies[0] is first
    crowd.done(first)
    assert crowd.tallies == []


ROLLING_BACK = {"type": "RollingBack", "status": "True", "reason": "FailedChecks"}


@pytest.mark.parametrize(
    ("status", "weight"),
    [
        ({}, 0),
        ({"phase": "Progressing", "canaryWeight": 20}, 20),
        ({"phase": "Progressing", "canaryWeight": 20, "conditions": [ROLLING_BACK]}, 0),
        ({"phase": "Promoting", "canaryWeight": 100}, 100),
    ],
)
def test_what_visitors_the_canary_has(status: Obj, weight: int) -> None:
    """What the status says, but for a rollback, whose visitors are led away at once."""
    player = Player(load("nginx-canary"), SystemClock(), lambda record: None)
    ref = CANARIES.ref("demo", "podinfo")
    for now in ({"phase": "Progressing", "canaryWeight": 20}, status):
        player.changed(ObjectChange(CANARIES, ref, None, {"status": now}))
    assert player.weight() == weight


GOOD, BAD = Release("app:2", Phase.SUCCEEDED, "good"), Release("app:3", Phase.FAILED, "bad")


def tally(*, total: int = 1000, failed: int = 0, strayed: int = 0) -> Tally:
    """Visitors of a release."""
    found = Tally()
    for at in range(total):
        found.add("all", None, at < failed, False, at < strayed)
    return found


@pytest.mark.parametrize(
    ("release", "phase", "visits", "missing", "right"),
    [
        (GOOD, Phase.SUCCEEDED, tally(), (), True),
        (GOOD, Phase.FAILED, tally(), (), False),
        (GOOD, Phase.SUCCEEDED, tally(failed=11), (), False),
        (GOOD, Phase.SUCCEEDED, tally(strayed=1), (), False),
        (GOOD, Phase.SUCCEEDED, tally(), ("scaledobject app.demo",), False),
        (BAD, Phase.FAILED, tally(failed=500), (), True),
        (BAD, Phase.SUCCEEDED, tally(), (), False),
    ],
)
def test_what_ended_as_it_should(
    release: Release, phase: Phase, visits: Tally, missing: tuple[str, ...], right: bool
) -> None:
    """The phase alone is not enough: visitors of a good one are answered, those with a cookie kept, traces left."""
    assert Outcome(release, phase, 1.0, (), visits, missing).right is right


@pytest.mark.parametrize(
    ("scenario", "family"),
    [("traefik", TRAEFIK), ("gatewayapi", GATEWAY_API), ("session-affinity", GATEWAY_API), ("keda", None)],
)
def test_the_ingress_is_told_to_read_what_a_scenario_writes(scenario: str, family: object) -> None:
    """By the provider's name; nothing else is read."""
    provider = load(scenario).provider
    assert routed(provider) is family and not meshed(provider)


def test_a_family_is_read_from_the_same_server_with_the_same_token() -> None:
    """And a Gateway is there on the port that visitors use."""
    told = arguments(Access("http://api:1", "t"), Path("/token"), 80, 81, GATEWAY_API)
    assert "--providers.kubernetesGateway.endpoint=http://api:1" in told
    assert "--providers.kubernetesGateway.token=/token" in told
    assert [obj["kind"] for obj in GATEWAY_API.objects(80)] == ["GatewayClass", "Gateway"] and not TRAEFIK.objects(80)
    assert GATEWAY_API.objects(8080)[1]["spec"]["listeners"][0]["port"] == 8080


def test_the_address_of_a_dashboard() -> None:
    """The output has it at the beginning, and again when the sandbox only waits."""
    url = "http://127.0.0.1:1/?key=x"
    assert line({"kind": "dashboard", "address": url}).endswith(f": {url}")
    assert "until Ctrl-C" in line({"kind": "open", "address": url})


@pytest.mark.real
async def test_a_sandbox_with_its_dashboard() -> None:
    """One of the places that it prints: it answers there."""
    command = [sys.executable, "-m", "pyflagger", "sandbox", "--json", "--dashboard", "--no-operator"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        url = json.loads(await process.stdout.readline())["dashboard"]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            answer = await browser.get(url)
            assert answer.status == 200 and "This cluster has no canaries yet." in await answer.text()
    finally:
        process.terminate()
        await process.wait()
