"""`flagger history` and the records in the view of one canary, on a cluster on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from cli.test_watching import cluster_of, playing
from pyflagger.cli import history
from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.single import seen
from pyflagger.cli.text import Screen
from pyflagger.kube.client import Client
from pyflagger.kube.resources import RELEASES
from pyflagger.objects import Obj
from pyflagger.seeing.history import difference, record_of, releases
from pyflagger.seeing.read import Reader
from seeing.conftest import stages_stop
from seeing.test_single import KEY, Reading, Scene
from seeing.test_waiting import release
from stage.manifests import image

__all__ = ["stages_stop"]
pytestmark = pytest.mark.looptime


async def released() -> Scene:
    """A canary with a good release."""
    scene = await playing()
    await release(scene, "2")
    await scene.until("Succeeded")
    return scene


async def records(scene: Scene) -> list[Obj]:
    """What the cluster keeps."""
    reader = Reader(cluster_of(scene)[0].client, scene.stage.clock)
    return [*(await reader.releases(KEY, await reader.uid(KEY))).objects]


async def ran(cluster: Cluster, name: str = "shop", number: int | None = None, **more: Any) -> int:
    """The command, without its flags for a cluster."""
    given = {"diff": None, "output": None, "color": "never", **more}
    work: Any = history.command.callback
    status: int = await work.__wrapped__(cluster, name=name, number=number, **given)
    return status


async def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The newest first, with what each was and how it ended."""
    cluster, _ = cluster_of(await released())
    assert await ran(cluster) == 0
    head, second, first = capsys.readouterr().out.splitlines()
    assert head.split() == ["NUMBER", "OUTCOME", "IMAGE", "WEIGHT", "FAILED", "TOOK", "AGE", "REASON"]
    assert second.split()[:4] == ["2", "Promoted", image("shop", "2"), "50"] and first.split()[:3] == [
        "1",
        "Initialized",
        "-",
    ]


async def test_one_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """Its images, its changes and its rounds; one that there is not names those that there are."""
    cluster, _ = cluster_of(await released())
    assert await ran(cluster, number=2) == 0
    text = capsys.readouterr().out
    for part in (
        "Release 2   Promoted",
        "Instead of  release 1",
        "containers[shop].image",
        "weight 25",
        "promoted",
        "kept",
    ):
        assert part in text, part
    assert await ran(cluster, number=2, output="json") == 0
    assert '"kind": "ReleaseRecord"' in capsys.readouterr().out
    with pytest.raises(Wrong, match="no record of release 7; there are: 1, 2"):
        await ran(cluster, number=7)


async def test_the_difference_of_two(capsys: pytest.CaptureFixture[str]) -> None:
    """Templates line by line; what is the same differs in nothing."""
    cluster, _ = cluster_of(await released())
    assert await ran(cluster, diff=(1, 2)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"-template.spec.containers[shop].image: {image('shop', '1')}" in lines
    assert f"+template.spec.containers[shop].image: {image('shop', '2')}" in lines
    assert await ran(cluster, diff=(2, 2)) == 0
    assert capsys.readouterr().out == "Nothing that a record keeps differs.\n"
    with pytest.raises(Wrong, match="leave NUMBER and --output out"):
        await ran(cluster, number=1, diff=(1, 2))


async def test_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """No record yet, no definition, no canary: each says what to do."""
    scene = await playing()
    cluster, _ = cluster_of(scene)
    await scene.stage.client.delete(RELEASES.ref("test", "shop-1"))
    assert await ran(cluster) == 0
    assert history.NONE in capsys.readouterr().err
    with pytest.raises(Wrong, match=r"canary nobody\.test does not exist"):
        await ran(cluster, "nobody")
    await scene.stage.delete("CustomResourceDefinition", "canaryreleases.flagger.app", "")
    await scene.stage.clock.sleep(5)
    with pytest.raises(Wrong, match="has no CanaryRelease definition"):
        await ran(cluster)


async def test_the_view_of_a_canary() -> None:
    """`get -o json` has the releases, or says who may not see them."""
    scene = await released()
    found = await seen(cluster_of(scene)[0], "shop", history=True)
    assert [each.outcome for each in found.view.releases] == ["Promoted", "Initialized"]
    denied = Client(Reading(scene.stage, lambda request: "canaryreleases" in request.path), scene.stage.clock)
    found = await seen(Cluster(denied, scene.stage.clock, "test", ""), "shop", history=True)
    assert found.view.releases == () and [each.resource for each in found.view.missing] == [RELEASES.full_name]
    assert (await seen(cluster_of(scene)[0], "shop")).view.releases == (), "only when it is asked for"


def test_texts_of_others_move_no_cursor() -> None:
    """Whatever a record holds: control characters, other types, nothing at all."""
    odd: Obj = {
        "spec": {"number": "2", "images": [7, {"new": "a\x1b[2J"}], "changes": [1, "b\x07"], "plan": {"strategy": []}},
        "status": {
            "outcome": "x\ny",
            "rounds": [{"at": 3, "checks": ["x", {"name": "\x1b", "value": "9"}]}, {"gap": ["a\x1b", 2]}],
            "waits": [{"text": "\x9b"}],
            "actions": [
                {"by": "a\x1bnn", "action": "pause", "via": "cli", "reason": "logs", "at": "12:00"},
                {"by": 3},
                "x",
            ],
            "skipped": 3,
        },
    }
    text = "\n".join((*history.whole(record_of(odd)), *history.lines(releases([odd, {}]), 0.0, Screen())))
    assert text.replace("\n", "").isprintable() and "3 more rounds are not kept." in text
    assert "12:00  pause by a?nn via cli: logs" in text
    assert difference(record_of(odd), record_of({})) != ()
