"""Users that a proxy names in headers: who may name whom, and what the API server is asked."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from dashboard.clustering import ACCOUNT, ACT, OWN, URL, bearing, in_cluster
from dashboard.test_acting import asked
from dashboard.test_incluster import CANARY, jwt, two
from dashboard.test_incluster_acting import PAUSE, form
from pyflagger.dashboard.credentials import BESIDE, EXTRA, NAMING, check_unasked, end_of, is_proxy, named, proxied
from pyflagger.dashboard.problems import Refused

PROXY = proxied("X-Forwarded-User,X-Forwarded-Groups", "10.1.0.0/16, fd00::/8")
ACCOUNT_OF_A_PROXY = OWN | {("create", "subjectaccessreviews", "*")}


def headers(**given: str) -> CIMultiDictProxy[str]:
    """Headers; underscores are dashes."""
    return CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in given.items()}))


@pytest.mark.parametrize(
    ("names", "networks", "wrong"),
    [("X-User", "", "need each other"), ("", "10.0.0.0/8", "need each other"), ("X-User", "0.0.0.0/0", "every address"),
     ("X-User", "::/0", "every address"), ("X-User", "10.0.0.1/8", "host bits"), ("X-User", "proxy", "IPv4"),
     ("X User", "10.0.0.0/8", "cannot name"), (",X-Groups", "10.0.0.0/8", "cannot name"),
     ("Authorization", "10.0.0.0/8", "cannot name"), ("Cookie", "10.0.0.0/8", "cannot name"),
     ("X-User,x-user", "10.0.0.0/8", "one header"), ("X-User", "10.0.0.0/8,", "IPv4")],
)  # fmt: skip
def test_flags(names: str, networks: str, wrong: str) -> None:
    """Both or none, and no network of all addresses."""
    with pytest.raises(ValueError, match=wrong):
        proxied(names, networks)
    assert proxied("", "") is None


@pytest.mark.parametrize("name", sorted(NAMING) + [f"{each}scopes" for each in EXTRA])
def test_headers_that_nobody_trusts(name: str) -> None:
    """400 for each header in which proxies name users, in any case, with a text that names it."""
    for given in (name, name.upper()):
        with pytest.raises(Refused, match=name) as error:
            check_unasked(headers(**{given: "root"}), None, "10.1.2.3")
        assert error.value.status == 400
    check_unasked(headers(Authorization="Bearer x", X_Forwarded_For="1.2.3.4"), None, "10.1.2.3")


@pytest.mark.parametrize(
    ("peer", "proxy"),
    [("10.1.2.3", True), ("10.2.0.1", False), ("::ffff:10.1.2.3", True), ("::ffff:10.2.0.1", False), ("fd00::7", True),
     ("fe80::1", False), ("", False), ("proxy", False), ("10.1.2.3, 10.1.2.4", False)],
)  # fmt: skip
def test_proxies(peer: str, proxy: bool) -> None:
    """By the address of the connection."""
    assert PROXY and is_proxy(peer, PROXY) is proxy


@pytest.mark.parametrize(
    ("token", "end"),
    [(jwt(exp=12), 12.0), (jwt(exp=1.5), 1.5), (jwt(sub="a"), None), (jwt(exp="soon"), None), (jwt(exp=True), None),
     ("opaque", None), ("a.b.c", None), ("..", None), ("a.e30.c", None), ("a.W10.c", None)],
)  # fmt: skip
def test_the_end_of_a_token(token: str, end: float | None) -> None:
    """As the token says, if it says so."""
    assert end_of(token) == end


@pytest.mark.parametrize("name", sorted(BESIDE))
def test_headers_that_come_with_the_user(name: str) -> None:
    """A trusted proxy may send them, and they count for nothing. From elsewhere they are refused."""
    given = headers(**{"X-Forwarded-User": "ann", name: "root@example.com"})
    assert PROXY
    check_unasked(given, PROXY, "10.1.2.3")
    assert named(given, PROXY, "10.1.2.3").user == "ann"
    for trusted, peer in ((PROXY, "10.2.0.1"), (None, "10.1.2.3")):
        with pytest.raises(Refused) as error:
            check_unasked(given, trusted, peer)
        assert error.value.status == 400
    with pytest.raises(Refused):
        check_unasked(headers(**{"X-Forwarded-User": "ann", "Impersonate-User": "root"}), PROXY, "10.1.2.3")


@pytest.mark.looptime
async def test_a_user_that_a_proxy_names() -> None:
    """The API server is asked about the user, and everything is done as the user; nobody can log in."""
    scene = await two()
    async with in_cluster(scene, PROXY, **{ACCOUNT: ACCOUNT_OF_A_PROXY}) as shown:
        shown.browser.peer = "10.1.2.3"
        ann = {"X_Forwarded_User": "ann", "X_Forwarded_Groups": "dev, sre"}
        who = (await shown.get("/api/v1/whoami", **ann)).json
        assert (who["user"], who["groups"], who["mode"]) == ("ann", ["dev", "sre"], "headers")
        rows = (await shown.get("/api/v1/canaries", **ann)).json["items"]
        assert [each["name"] for each in rows] == ["shop"]
        answer = await shown.browser.post(PAUSE, await form(shown.browser, **ann), **ann)
        assert answer.status == 303 and (await asked(scene))[0]["spec"]["by"] == "ann"
        assert ("ann", "create", "canaryactions", "test") in shown.cluster.asked
        assert (await shown.get("/login", **ann)).status == 404
        assert (await shown.get("/c/other/cart", **ann)).status == 404
        assert (await shown.browser.post(PAUSE, {"token": "x"}, **ann)).status == 403
        viv = {"X_Forwarded_User": "viv"}
        stolen = await form(shown.browser, **ann)
        assert (await shown.browser.post(PAUSE, stolen, **viv)).status == 403


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("peer", "given", "status"),
    [("10.1.2.3", {}, 401), ("10.2.2.3", {}, 401), ("10.2.2.3", {"X_Forwarded_User": "ann"}, 400),
     ("10.1.2.3", {"X_Forwarded_Groups": "dev"}, 401), ("10.1.2.3", {"X_Remote_User": "ann"}, 400),
     ("10.1.2.3", {"X_Forwarded_User": "ann", "Impersonate_User": "root"}, 400),
     ("10.1.2.3", {"X_Forwarded_User": "ann", **bearing("t-all")}, 400),
     ("10.1.2.3", {"X_Forwarded_User": "system:admin"}, 400), ("10.1.2.3", {"X_Forwarded_User": ""}, 400),
     ("10.1.2.3", {"X_Forwarded_User": "ann", "X_Forwarded_Groups": "dev,system:masters"}, 400),
     ("10.1.2.3", {"X_Forwarded_User": "ann", "X_Forwarded_Groups": ",".join(map(str, range(300)))}, 400),
     ("10.1.2.3", {"X_Forwarded_User": "ann", "Origin": "https://evil.example"}, 403),
     ("10.1.2.3", {"X_Forwarded_User": "ann", "Host": "evil.example"}, 421)],
)  # fmt: skip
async def test_forged_headers(peer: str, given: dict[str, str], status: int) -> None:
    """From others than the proxy, beside other proofs, and names of Kubernetes itself: nothing is asked for them."""
    async with in_cluster(await two(), PROXY, **{ACCOUNT: ACCOUNT_OF_A_PROXY}) as shown:
        shown.browser.peer = peer
        for path in ("/", "/api/v1/canaries", CANARY):
            assert (await shown.browser.get(path, **given)).status == status
        assert {user for user, *_ in shown.cluster.asked} == {ACCOUNT}
        assert not any("subjectaccess" in resource for _, _, resource, _ in shown.cluster.asked)


@pytest.mark.looptime
async def test_headers_where_users_have_tokens() -> None:
    """400 beside the best token, and the login too."""
    async with in_cluster(await two(), ann=ACT) as shown:
        for path in ("/", "/login", "/api/v1/canaries"):
            answer = await shown.get(path, "t-ann", X_Forwarded_User="root")
            assert answer.status == 400 and "x-forwarded-user" in answer.text
        assert (await shown.browser.post("/login", {"bearer": "t-ann"}, X_Forwarded_User="a", Origin=URL)).status == 400
