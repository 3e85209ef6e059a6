"""What the operator says about itself in statuses, and that a cluster that drops it costs one line of the log."""

from __future__ import annotations

from typing import Any

from pyflagger.objects import Obj
from pyflagger.operator.act.publisher import ADVICE, Publisher
from pyflagger.operator.options import Options

TOLD = {"version": "1.2.3", "identity": "pod_1", "provider": "nginx", "interval": "10s", "settings": "flagger-system"}


class Log:
    """What was warned of."""

    def __init__(self) -> None:
        self.warned: list[tuple[str, dict[str, Any]]] = []

    def warning(self, text: str, **fields: Any) -> None:
        self.warned.append((text, fields))


class Disclosure:
    """The states of the features."""

    namespace = "flagger-system"

    def __init__(self) -> None:
        self.features: dict[str, str] = {}

    def feature(self, name: str, state: str) -> None:
        self.features[name] = state


def publisher(log: Log | None = None, disclosure: Any = None) -> Publisher:
    """The publisher of one operator."""
    options = Options(mesh_provider="nginx")
    return Publisher("1.2.3", "pod_1", options, log or Log(), disclosure or Disclosure())


def canary(**status: Any) -> Obj:
    """A stored Canary."""
    return {"metadata": {"name": "web"}, "status": status}


def test_the_operator_is_named_with_the_next_write() -> None:
    """Only if the status does not say so already: no write carries more than it must."""
    assert publisher().fill({"phase": "Failed"}, canary()) == {"phase": "Failed", "operator": TOLD}
    assert publisher().fill({"phase": "Failed"}, canary(operator=TOLD)) == {"phase": "Failed"}
    other = canary(operator={**TOLD, "identity": "pod_2"})
    assert publisher().fill({"phase": "Failed"}, other)["operator"] == TOLD


def test_a_cluster_that_drops_the_fields() -> None:
    """One warning, and from then on none of them is sent."""
    log, disclosure = Log(), Disclosure()
    one = publisher(log, disclosure)
    assert disclosure.features == {"status": "on"}
    sent = one.fill({"phase": "Failed", "release": {"number": 1}}, canary())
    for _ in range(2):
        one.answered(sent, canary(phase="Failed"))
    assert [fields for _, fields in log.warned] == [{"todo": ADVICE}]
    assert disclosure.features["status"].startswith("off: the Canary definition is older. Apply the definitions")
    assert one.fill({"phase": "Failed", "release": {"number": 1}, "round": {}}, canary()) == {"phase": "Failed"}


def test_a_cluster_that_keeps_them() -> None:
    """Nothing is said, and a round that was taken away is no sign of an older definition."""
    log = Log()
    one = publisher(log)
    one.answered({"release": {"number": 1}, "round": None}, canary(release={"number": 1}, operator=TOLD))
    one.answered({"phase": "Failed"}, canary(phase="Failed"))
    assert one.on and log.warned == []
