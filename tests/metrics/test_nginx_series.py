"""The checks of provider nginx, evaluated over the series of ingress-nginx and of Traefik."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

pytest.importorskip("promql_parser")

from pyflagger.metrics.builtin import DIALECTS, named_for, of_primary
from pyflagger.metrics.template import Variables, render
from pyflagger_sandbox.metrics import Engine, Store, Vector, labels_of

ROW = DIALECTS["nginx"]
WHO = Variables("cart", "my-shop", "cart", "cart-web", "edge", "cart", "1m")
T0 = 1_700_000_000

Series = tuple[str, Mapping[str, str], float]


def ask(query: str, series: Sequence[Series], port_name: str = "http") -> float | None:
    """The number that a query gives after two minutes of counters that grow by so much a second; None for nothing."""
    store = Store()
    for name, labels, per_second in series:
        for at in range(0, 121, 10):
            store.append(labels_of([("__name__", name), *labels.items()]), (T0 + at) * 1000, per_second * at)
    value = Engine(store).instant(render(query, named_for(ROW, WHO, port_name)), T0 + 120)
    assert isinstance(value, Vector)
    assert len(value.samples) <= 1
    return value.samples[0].value if value.samples else None


def nginx(status: str, rate: float, **labels: str) -> Series:
    """Requests as ingress-nginx counts them."""
    known = {"namespace": "my-shop", "ingress": "edge", "canary": "my-shop-cart-web-canary-80", "status": status}
    return "nginx_ingress_controller_requests", known | labels, rate


def traefik(code: str, rate: float, service: str = "my-shop-edge-cart-web-80-canary") -> Series:
    """Requests as Traefik counts them."""
    labels = {"service": f"{service}@kubernetesingressnginx", "code": code, "method": "GET"}
    return "traefik_service_requests_total", labels, rate


@pytest.mark.parametrize(
    ("series", "want"),
    [
        ([nginx("200", 3), nginx("404", 0.6), nginx("500", 0.4)], 90.0),
        ([traefik("200", 9), traefik("503", 1)], 90.0),
        ([nginx("200", 9), traefik("500", 1)], 90.0),
        ([nginx("200", 0), traefik("200", 9), traefik("500", 1)], 90.0),
        ([nginx("500", 2)], 0.0),
        ([traefik("502", 2)], 0.0),
        ([traefik("200", 0), traefik("502", 2)], 0.0),
        ([], None),
        ([nginx("200", 9), nginx("500", 9, canary="my-shop-other-canary-80")], 100.0),
        ([nginx("200", 9, canary="my-shop-other-canary-80")], None),
        ([nginx("200", 5, canary=""), traefik("200", 5, "my-shop-edge-cart-web-80")], None),
    ],
)
def test_success_on_either_controller(series: list[Series], want: float | None) -> None:
    """Both are added up; all failing is 0 %; without the canary's own series there is nothing."""
    assert ask(ROW.success, series) == (None if want is None else pytest.approx(want))


def test_no_requests_at_all_is_not_a_number() -> None:
    """Series that stand still judge nothing: the provider reads it as no values."""
    value = ask(ROW.success, [nginx("200", 0), traefik("200", 0)])
    assert value is not None
    assert value != value


@pytest.mark.parametrize(
    "service",
    [
        "my-shop-edge-cart-web-80",
        "my-shop-edge-cart-web-api-80-canary",
        "my-shop-edge-cart-80-canary",
        "my-shop-edge-other-80-canary",
        "my-shop-other-cart-web-80-canary",
        "our-my-shop-edge-cart-web-80-canary",
        "shop-edge-cart-web-80-canary",
        "my-shop-edge-cart-web-80-canary-canary",
    ],
)
def test_traffic_of_others_is_not_judged(service: str) -> None:
    """Neither the primary's, nor another Service's, Ingress's or namespace's."""
    assert ask(ROW.success, [traefik("500", 9, service), traefik("200", 1)]) == 100.0


@pytest.mark.parametrize("port", ["80", "9898", "http-web"])
def test_ports_by_number_or_by_the_name_of_the_service(port: str) -> None:
    """An Ingress may name its port either way, dashes included."""
    assert ask(ROW.success, [traefik("200", 1, f"my-shop-edge-cart-web-{port}-canary")], "http-web") == 100.0


@pytest.mark.parametrize(
    ("series", "want"),
    [
        ([nginx("200", 9, canary=""), nginx("500", 1, canary=""), nginx("500", 9)], 90.0),
        ([traefik("200", 8, "my-shop-edge-cart-web-80"), traefik("500", 2, "my-shop-edge-cart-web-80")], 80.0),
        ([traefik("200", 8, "my-shop-edge-cart-web-80"), traefik("500", 2)], 100.0),
        ([nginx("200", 9), traefik("200", 9)], None),
    ],
)
def test_the_primary_is_the_main_ingress(series: list[Series], want: float | None) -> None:
    """What is asked beside a value that fails: the same without the series of the canary."""
    asked = of_primary(ROW, WHO, "cart-primary")
    assert asked is not None
    assert ask(asked[0].success, series) == (None if want is None else pytest.approx(want))


def test_other_namespaces_on_nginx_are_not_judged() -> None:
    """The namespace label is the canary's."""
    assert ask(ROW.success, [nginx("500", 9, namespace="other"), nginx("200", 1)]) == 100.0


def test_mean_duration_on_either_controller() -> None:
    """Milliseconds, weighted by requests."""
    mine, theirs = nginx("200", 0)[1], traefik("200", 0)[1]
    family, family_t = "nginx_ingress_controller_response_duration_seconds", "traefik_service_request_duration_seconds"
    on_nginx = [(f"{family}_sum", mine, 0.3), (f"{family}_count", mine, 3)]
    on_traefik = [(f"{family_t}_sum", theirs, 0.5), (f"{family_t}_count", theirs, 1)]
    assert ask(ROW.duration, on_nginx) == pytest.approx(100.0)
    assert ask(ROW.duration, on_traefik) == pytest.approx(500.0)
    assert ask(ROW.duration, on_nginx + on_traefik) == pytest.approx(200.0)
    assert ask(ROW.duration, []) is None


@pytest.mark.parametrize(
    ("series", "silent"),
    [
        ([], 0),
        ([nginx("200", 1, ingress="other")], 1),
        ([traefik("200", 1, "a-other-b-80")], 1),
        ([nginx("200", 1, namespace="ingress-nginx", exported_namespace="my-shop")], 2),
        ([nginx("200", 1, canary="")], 3),
        ([traefik("200", 1, "my-shop-edge-cart-web-80")], 3),
        ([nginx("200", 0)], None),
        ([traefik("200", 0)], None),
    ],
)
def test_which_clue_finds_nothing(series: list[Series], silent: int | None) -> None:
    """Not scraped, never visited, other labels, canary not visited; and none of these."""
    found = [at for at, clue in enumerate(ROW.clues) if ask(clue.query, series) is None]
    assert (found[0] if found else None) == silent
