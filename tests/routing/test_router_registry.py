"""Which module routes for which name, and what becomes of a name or a plugin that is not there or broken."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest
from routed import canary

from pyflagger import plugins
from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem
from pyflagger.objects import Ref
from pyflagger.routing import base, registry
from pyflagger.routing.base import Router, RoutingOptions
from pyflagger.routing.kubernetes import Kubernetes
from pyflagger.routing.nginx import Nginx


class Third(Kubernetes):
    """A router of another package."""


class Broken:
    """Cannot even be made."""

    def __init__(self) -> None:
        raise RuntimeError("no licence")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, EntryPoint]:
    """Entry points as if other packages had brought them."""
    here = __name__
    values = {"third": f"{here}:Third", "family:": f"{here}:Third", "broken": f"{here}:Broken", "odd": "builtins:dict"}
    values |= {"gone": "no_such_package:Router"}
    points = {name: EntryPoint(name, value, registry.GROUP) for name, value in values.items()}
    monkeypatch.setattr(plugins, "installed", lambda group: points if group == registry.GROUP else {})
    return points


def test_the_built_in_ones() -> None:
    """By name, each a Router."""
    assert isinstance(registry.router_for("nginx"), Nginx)
    assert isinstance(registry.router_for("kubernetes"), Kubernetes)
    assert all(isinstance(router, Router) for router in registry.PROVIDERS.values())
    assert registry.known_providers() == tuple(sorted(registry.known_providers()))


@pytest.mark.parametrize("name", ["", "Nginx", "istoi", "nginx ", "nginx:v2"])
def test_an_unknown_name_is_refused(name: str) -> None:
    """With the known ones; never replaced by another."""
    found = registry.router_for(name)
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST and found.path == "spec.provider"
    assert repr(name) in found.text and "nginx" in found.todo and "kubernetes" in found.todo


def test_plugins_join(installed: Any) -> None:
    """By their entry points' names; a name that ends in a colon stands for a family."""
    third = Kubernetes.capabilities
    assert all(
        isinstance(found := registry.router_for(name), Router) and found.capabilities == third
        for name in ("third", "family:v1", "family:")
    )
    assert "third" in registry.known_providers()
    assert isinstance(registry.router_for("nginx"), Nginx)


@pytest.mark.parametrize(
    "name, said", [("broken", "no licence"), ("gone", "no_such_package"), ("odd", "does not implement Router")]
)
def test_a_broken_plugin_is_contained(installed: Any, name: str, said: str) -> None:
    """It is named, with what went wrong; the built-in ones work on."""
    found = registry.router_for(name)
    assert isinstance(found, Problem) and name in found.text and said in found.text and found.todo
    assert isinstance(registry.router_for("nginx"), Nginx)


def test_plain_kubernetes_routes_nothing() -> None:
    """No object, no write; everybody is on the primary."""
    router, of, options = Kubernetes(), canary(provider="kubernetes"), RoutingOptions()
    live: dict[Ref, Any] = {}
    assert router.reads(of, options) == () and router.read(of, live, options) == ALL_PRIMARY
    assert router.reconcile(of, live, options) == () and router.finalize(of, live, options) == ()
    assert router.set(of, live, ALL_PRIMARY, options) == ()
    assert not router.capabilities.weights


def test_plugins_may_import_the_old_name_of_the_options() -> None:
    """The walk-through of 0.1 showed it."""
    assert base.Options is base.RoutingOptions
