"""Which requests go through a proxy, with the rules of Go programs for HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""

from __future__ import annotations

import pytest

from pyflagger.operator.process.proxies import Proxies


@pytest.mark.parametrize(
    ("no", "url", "direct"),
    [
        ("", "http://a.example/", False),
        ("", "https://a.example/", True),
        ("", "http://localhost:8080/", True),
        ("", "http://127.9.9.9/", True),
        ("", "http://[::1]/", True),
        ("*", "http://a.example/", True),
        ("a.example", "http://a.example/", True),
        ("a.example", "http://b.a.example/", True),
        ("a.example", "http://ba.example/", False),
        (".a.example", "http://b.a.example/", True),
        (".a.example", "http://a.example/", False),
        ("*.a.example", "http://b.a.example/", True),
        ("x, A.Example ", "http://a.example./", True),
        ("a.example:81", "http://a.example/", False),
        ("a.example:81", "http://a.example:81/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://a.example/", False),
        ("10.1.2.3", "http://10.1.2.3:99/", True),
        ("fd00::/8", "http://[fd00::1]/", True),
    ],
)
def test_which_hosts_are_direct(no: str, url: str, direct: bool) -> None:
    """NO_PROXY: domains with all below them, addresses, networks, ports, everything."""
    assert (Proxies({"http": "proxy:3128", "no": no}).of(url) is None) == direct


def test_a_proxy_without_a_scheme() -> None:
    """`proxy:3128` means http."""
    assert Proxies({"http": "proxy:3128"}).of("http://a.example/") == "http://proxy:3128"
    assert Proxies({"http": "https://proxy:3128"}).of("http://a.example/") == "https://proxy:3128"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_proxies_of_the_environment(environment: pytest.MonkeyPatch) -> None:
    """They are read when nothing is given."""
    environment.setenv("HTTPS_PROXY", "http://proxy:1")
    environment.setenv("NO_PROXY", "b.example")
    proxies = Proxies()
    assert proxies.of("https://a.example/") == "http://proxy:1"
    assert proxies.of("https://b.example/") is None
    assert proxies.of("http://a.example/") is None


def test_the_environment_is_read_once(environment: pytest.MonkeyPatch) -> None:
    """Later changes, and settings that are given, do not mix with it."""
    environment.setenv("HTTP_PROXY", "http://proxy:1")
    proxies, given = Proxies(), {"no": "a.example"}
    environment.setenv("HTTP_PROXY", "http://proxy:2")
    assert proxies.of("http://a.example/") == "http://proxy:1"
    assert Proxies(given).of("http://b.example/") is None
    assert given == {"no": "a.example"}


def test_what_is_no_url() -> None:
    """The caller gets a ValueError, not a direct connection."""
    with pytest.raises(ValueError, match="IPv6"):
        Proxies({"http": "proxy:3128"}).of("http://[::1/")
