"""Provider kuma: the TrafficRoute of the whole cluster, and those of other namespaces by the same name."""

from __future__ import annotations

from splits import Way, made

from pyflagger.api.facts import Fault


def tag(service: str, port: int = 80) -> dict[str, str]:
    """How Kuma names a port of a Service."""
    return {"kuma.io/service": f"{service}_test_svc_{port}"}


def test_the_shape() -> None:
    """The primary first; nobody of a namespace can own it."""
    one = made(Way("kuma"), 30)
    assert one.main["spec"] == {
        "sources": [{"match": {"kuma.io/service": "*"}}],
        "destinations": [{"match": tag("web")}],
        "conf": {
            "split": [
                {"weight": 70, "destination": tag("web-primary")},
                {"weight": 30, "destination": tag("web-canary")},
            ]
        },
    }
    assert one.main["mesh"] == "default"
    assert not {"namespace", "ownerReferences"} & one.main["metadata"].keys()


def test_another_mesh_is_followed() -> None:
    """Also later."""
    one = made(Way("kuma"), 10)
    one.main["mesh"] = "other"
    assert one.reconcile() == 1 and one.main["mesh"] == "default"


def test_a_route_of_another_namespace_is_never_touched() -> None:
    """Two Services by one name: told, not overwritten, and not deleted either."""
    one = made(Way("kuma"), 10)
    one.main["spec"]["destinations"] = [{"match": {"kuma.io/service": "web_other_svc_80"}}]
    for found in (one.problem(), one.problem(50)):
        assert found.fault is Fault.MANIFEST and found.path == "spec.service.name" and "another namespace" in found.text
    assert one.router.finalize(one.canary, one.live, one.options) == ()


def test_ours_are_deleted_at_the_end() -> None:
    """Each port's."""
    one = made(Way("kuma", {"service": {"ports": [{"name": "grpc", "port": 9000}]}}))
    assert {obj["metadata"]["name"] for obj in one.cluster.objects.values()} == {"web", "web-grpc"}
    assert one.cluster.write(one.router.finalize(one.canary, one.live, one.options)) == 2
    assert not one.cluster.objects
