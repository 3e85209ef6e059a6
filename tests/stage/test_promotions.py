"""The promotion matrix: strategy × provider, who fails, how much the canary gets, and what it costs in seconds.

Every row is held to docs/promotion.md. Failed visits without the handover are counted too, so that the watch is known
to see them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stage.promotions import PROVIDERS, STRATEGIES, Met, Release, Strategy, played, unaware

PAGE = Path(__file__).resolve().parents[2] / "docs" / "promotion.md"
RECREATE = next(strategy for strategy in STRATEGIES if strategy.name == "Recreate")
WEIGHTS_MAX = 50

MATRIX = [
    pytest.param(
        strategy,
        name,
        id=f"{strategy.name} by {name}",
        marks=() if strategy in (RECREATE, STRATEGIES[0]) and name != "mesh split" else pytest.mark.long,
    )
    for strategy in STRATEGIES
    for name in PROVIDERS
]


def row(strategy: Strategy, provider: str, before: Met, now: Met) -> str:
    """As the page has it."""
    over = now.seconds - before.seconds
    return f"| {strategy.name} | {provider} | {before.failed} | {now.failed} | {now.peak} % | {over:.0f} |"


@pytest.mark.looptime
@pytest.mark.parametrize("strategy, name", MATRIX)
async def test_nobody_fails_whatever_the_strategy(strategy: Strategy, name: str) -> None:
    """Nobody fails; the canary gets everything only where the primary would have no pod."""
    provider = PROVIDERS[name]
    now = await played(provider, strategy)
    with unaware():
        before = await played(provider, strategy)
    assert now.failed == 0
    assert (before.failed > 0) == strategy.drains
    usual = 0 if provider == "kubernetes" else WEIGHTS_MAX
    assert now.peak == (100 if strategy.drains else usual)
    assert row(strategy, name, before, now) in PAGE.read_text()


TURNS = {"interval": "10s", "threshold": 2, "iterations": 2}
MATCH = [{"headers": {"x-canary": {"exact": "always"}}}]
COOKIE = {"cookieName": "seen", "primaryCookieName": "old"}
OTHERWISE = {
    "a/b at an ingress": ("nginx", {"analysis": {**TURNS, "match": MATCH}}),
    "a/b at a gateway": ("gatewayapi:v1", {"analysis": {**TURNS, "match": MATCH}}),
    "blue/green at a mesh": ("linkerd", {"analysis": TURNS}),
    "cookies at a gateway": (
        "gatewayapi:v1",
        {"analysis": {"interval": "10s", "threshold": 2, "stepWeight": 25, "maxWeight": 50, "sessionAffinity": COOKIE}},
    ),
    "stepped home": (
        "nginx",
        {
            "analysis": {
                "interval": "10s",
                "threshold": 2,
                "stepWeight": 25,
                "maxWeight": 50,
                "stepWeightPromotion": 50,
            }
        },
    ),
    "skipped": ("nginx", {"skipAnalysis": True}),
    "skipped by apex service": ("kubernetes", {"skipAnalysis": True}),
}


@pytest.mark.looptime
@pytest.mark.parametrize("name", OTHERWISE)
async def test_nobody_fails_however_a_release_goes(name: str) -> None:
    """A/B, blue/green, cookies, steps on the way home, no analysis: with strategy Recreate."""
    provider, spec = OTHERWISE[name]
    met = await played(provider, RECREATE, **spec)
    assert (met.failed, met.peak) == (0, 100)


@pytest.mark.looptime
async def test_a_canary_under_its_own_autoscaler_grows_first() -> None:
    """The primary has grown to four: so does the canary, before it gets everything."""
    (strategy,) = (each for each in STRATEGIES if each.name.startswith("autoscaler"))
    release = Release("nginx", strategy.make())
    await release.begin()
    await release.stage.patch("Deployment", "shop-primary", {"spec": {"replicas": 4}})
    await release.stage.clock.sleep(20)
    release.begun = release.stage.clock.now()
    await release.change()
    met = await release.met()
    assert met.failed == 0
    assert "Scaling up shop.test to 4 replicas to carry all traffic" in await release.said()


@pytest.mark.looptime
async def test_a_new_revision_during_the_handover_is_judged() -> None:
    """What was judged last is promoted, and nothing in between."""
    (strategy,) = (each for each in STRATEGIES if each.name == "maxUnavailable 100%")
    release = Release("nginx", strategy.make())
    await release.begin()
    await release.change("2")
    while release.visitors.peak < 100:
        await release.stage.clock.sleep(0.25)
    await release.change("3")
    assert await release.until("Succeeded") == "Succeeded"
    primary = await release.stage.get("Deployment", "shop-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":3")
