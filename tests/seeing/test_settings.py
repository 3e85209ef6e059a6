"""The settings that an operator publishes: who can read them sees a canary by them, others by the defaults."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.settings import LABELS, NAME
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiRequest
from pyflagger.operator.options import Options
from pyflagger.seeing.explain import explain
from pyflagger.seeing.picture import picture
from pyflagger.seeing.settings import told
from pyflagger.seeing.single import look
from seeing.test_single import KEY, Reading, Scene

pytestmark = pytest.mark.looptime
HOME = "flagger-system"


def refused(request: ApiRequest) -> bool:
    """Whether a person may not read ConfigMaps."""
    return "/configmaps/" in request.path


async def playing(**options: Any) -> Scene:
    """An idle canary whose operator publishes its settings."""
    scene = Scene(**options)
    scene.stage.home = HOME
    await scene.stage.namespace(HOME)
    await scene.begin()
    return scene


async def test_published_settings_are_used() -> None:
    """Known from the status of the Canary on; a person without the right gets the defaults, and no missing part."""
    scene = await playing(ingress_annotations_prefix="custom.example")
    found, view, _ = await scene.look()
    assert view.operator.settings == "known" and found.settings["mesh-provider"] == "nginx"
    assert found.settings["ingress-annotations-prefix"] == "custom.example" and found.settings["features"]
    assert view.traffic is not None and view.traffic.source == "route"
    _, view, _ = await scene.look(refused)
    assert view.operator.settings == "assumed" and view.missing == ()


async def test_an_operator_that_publishes_nothing() -> None:
    """Costs no request."""
    scene = Scene()
    await scene.begin()
    way = Reading(scene.stage, lambda request: False)
    found = await look(Client(way, scene.stage.clock), scene.stage.clock, KEY, Options())
    assert picture(found).operator.settings == "assumed"
    assert not [path for path in way.asked if "configmaps" in path]


async def test_a_person_names_the_namespace() -> None:
    """Also where no status does. A ConfigMap that is not flagger's is none of settings."""
    scene = Scene()
    await scene.begin()
    await scene.stage.namespace(HOME)
    body = {"kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"mesh-provider": "kubernetes"}}

    async def settings() -> str:
        client = Client(Reading(scene.stage, lambda request: False), scene.stage.clock)
        found = await look(client, scene.stage.clock, KEY, Options(mesh_provider=""), home=HOME)
        return picture(found).operator.settings

    await scene.stage.create(body, HOME)
    assert await settings() == "assumed"
    await scene.stage.patch("ConfigMap", NAME, {"metadata": {"labels": dict(LABELS)}}, HOME)
    assert await settings() == "known"


async def test_an_operator_of_another_namespace() -> None:
    """For a silent canary, the text says that the operator does not watch it."""
    scene = await playing()
    await scene.release_until("canaryWeight", 25)
    await scene.stage.stop_operator()
    await scene.stage.patch("ConfigMap", NAME, {"data": {"namespace": "prod"}}, HOME)
    await scene.stage.clock.sleep(100)
    found, view, _ = await scene.look()
    first = explain(found, view).causes[0]
    assert first.code == "silent" and first.text.endswith(", and it watches namespace prod only")


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {}),
        ({"mesh-provider": "traefik"}, {"mesh_provider": "traefik"}),
        ({"selector-labels": "a,b", "ingress-class": "x"}, {"selector_labels": ("a", "b"), "ingress_class": "x"}),
        ({"min-interval": "1m", "idle-at-zero": "true"}, {"min_interval": 60.0, "idle_at_zero": True}),
        ({"min-interval": "soon", "idle-at-zero": "perhaps", "selector-labels": ""}, {}),
        ({"port": "1", "enable-config-tracking": "false", "unknown": "x"}, {}),
    ],
)
def test_settings_in_the_form_of_options(settings: dict[str, str], changes: dict[str, Any]) -> None:
    """Only those that decide what is seen; invalid ones count as unknown, and a given provider wins."""
    assert told(Options(mesh_provider=""), settings) == Options(**{"mesh_provider": "", **changes})
    assert told(Options(mesh_provider="istio"), settings).mesh_provider == "istio"
