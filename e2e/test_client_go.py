"""The clients written in Go, on the real control plane: what they count on the sandbox, they count here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.clients import ASKED, CHECKS, counted, namespace_of
from e2e.parts import NoPart, client_go
from e2e.stage import Stage

WITHOUT = {"logs": "asks the kubelet, and the nodes of this stage have none"}
AT_ONCE = 4


def test_the_same_counts(stage: Stage, figure: Callable[[str], None]) -> None:
    """Every check in every way of speaking, some at once, each in a namespace of its own."""
    try:
        binary = client_go()
    except NoPart as error:
        pytest.skip(str(error))
    asked = [(check, way) for check, way in ASKED if check not in WITHOUT]
    names = [namespace_of(check, way) for check, way in asked]
    stage.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names))
    environ = {"KUBECONFIG": str(stage.kubeconfig)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = pool.map(lambda one: counted(binary, one[0], one[1], environ), asked)
        found = dict(zip(asked, runs, strict=True))
    for name in names:
        stage.plane.ask("DELETE", f"/api/v1/namespaces/{name}")
    assert {one: said for one, said in found.items() if said != CHECKS[one[0]]} == {}
    figure(f"clients in Go: {len(asked)} runs, all as on the sandbox; left out: {', '.join(sorted(WITHOUT))}")
