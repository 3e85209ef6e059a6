"""How a kubeconfig is read: its files, its plug-ins, and again once the API server no longer knows its user."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pyflagger.clock import LoopClock, SystemClock
from pyflagger.kube.brief import BriefTransport
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.kubeconfig import RENEWED_SECONDS_MIN, Access, Choice, Login, NoCluster, access, read
from pyflagger.kube.protocol import ApiRequest, TransportError
from pyflagger.kube.reach import Endpoint, Person, configured, find, own, reach

FIRST = Access("https://api.example", True, "", "", "", "Bearer first")


def kubeconfig(at: Path, server: str = "https://api.example:6443/", cluster: Any = None, user: Any = None) -> str:
    """A file with one context."""
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    (at / "config").write_text(json.dumps(made))
    return str(at / "config")


def plugin(at: Path) -> dict[str, Any]:
    """A user whose token is another one each time that it is asked for: one more letter."""
    script = at / "plugin.py"
    script.write_text(
        "import json, pathlib\n"
        f"at = pathlib.Path({str(at / 'asked')!r})\n"
        "at.write_text((at.read_text() if at.exists() else '') + 'x')\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',\n"
        "                  'status': {'token': at.read_text()}}))\n"
    )
    words = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)]}
    return {"exec": words}


def certificate(at: Path, names: str = "subjectAltName=DNS:me") -> None:
    """One of its own making, and its key."""
    words = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=me -addext {names}"
    files = ("-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run(["openssl", *words.split(), *files], cwd=at, check=True, capture_output=True)


@asynccontextmanager
async def served(answer: Callable[[web.Request], Awaitable[web.Response]], tls: Any = None) -> AsyncIterator[int]:
    """A server that answers every request so; its port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def _ok(_: web.Request) -> web.Response:
    return web.json_response({})


class Reading:
    """Counts how often the file is read; `answers` are what it says then, an exception among them."""

    def __init__(self, *answers: Access | NoCluster) -> None:
        self.answers, self.paths = list(answers), list[str]()

    async def __call__(self, path: str) -> Access:
        self.paths.append(path)
        await asyncio.sleep(1)
        answer = self.answers.pop(0)
        if isinstance(answer, NoCluster):
            raise answer
        return answer


@pytest.mark.looptime
async def test_a_refused_user_is_asked_for_anew_once_a_minute_at_most() -> None:
    """All calls of then wait for the one answer; without a refusal nothing is read, however long it takes."""
    clock = LoopClock()
    read = Reading(Access(**{**_fields(FIRST), "authorization": "Bearer second"}))
    login = Login("file", FIRST, clock, read)
    await clock.sleep(3600)
    assert await login.headers() == {"Authorization": "Bearer first"} and read.paths == []
    login.refused()
    both = await asyncio.gather(login.headers(), login.headers())
    assert both == [{"Authorization": "Bearer second"}] * 2 and read.paths == ["file"]
    login.refused()
    assert await login.headers() == {"Authorization": "Bearer second"} and read.paths == ["file"]


@pytest.mark.looptime
async def test_a_file_that_is_of_no_use_any_more() -> None:
    """Each call of then fails and says why; it is read again after a minute."""
    clock = LoopClock()
    read = Reading(NoCluster("kubeconfig file: gone"), FIRST)
    login = Login("file", FIRST, clock, read)
    await clock.sleep(RENEWED_SECONDS_MIN)
    login.refused()
    with pytest.raises(TransportError, match="kubeconfig file: gone"):
        await login.headers()
    assert await login.headers() == {"Authorization": "Bearer first"} and len(read.paths) == 1
    await clock.sleep(RENEWED_SECONDS_MIN)
    await login.headers()
    assert len(read.paths) == 2


@pytest.mark.looptime
async def test_a_user_without_a_name() -> None:
    """One with a certificate, or nobody, has no header."""
    login = Login("file", Access("http://api", True, "", "", "", ""), LoopClock(), Reading())
    assert await login.headers() == {}


def _fields(found: Access) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Access.__slots__}


@pytest.mark.looptime
async def test_credentials_that_cannot_be_read_are_no_answer() -> None:
    """Such as a pod's token whose file is away for a moment: a call and a watch fail as when the server is away."""

    async def gone() -> dict[str, str]:
        raise FileNotFoundError("token")

    transport = AiohttpTransport(Endpoint("http://api.invalid", headers=gone))
    with pytest.raises(TransportError, match="token"):
        await transport.call(ApiRequest("GET", "/"))
    with pytest.raises(TransportError, match="token"):
        async with transport.stream(ApiRequest("GET", "/")):
            pass
    await transport.close()


# The program ----------------------------------------------------------------------------------------------------------


@pytest.mark.real
async def test_files_beside_it_are_read_with_it(tmp_path: Path) -> None:
    """Paths are those of the file's folder; what comes back are texts, which make a TLS context."""
    certificate(tmp_path)
    user = {"client-certificate": "cert.pem", "client-key": "key.pem"}
    path = kubeconfig(tmp_path, cluster={"certificate-authority": "cert.pem"}, user=user)
    found = await access(path)
    pem, key = (tmp_path / "cert.pem").read_text(), (tmp_path / "key.pem").read_text()
    assert found == Access("https://api.example:6443", True, pem, pem, key, "", context="here")
    endpoint = await find(path, "", SystemClock())
    assert endpoint.tls is not None and endpoint.tls.verify_mode is ssl.CERT_REQUIRED
    assert [each["subject"] for each in endpoint.tls.get_ca_certs()] == [((("commonName", "me"),),)]
    assert (await find(path, "https://elsewhere/", SystemClock())).url == "https://elsewhere"


@pytest.mark.real
@pytest.mark.parametrize(
    ("user", "header"),
    [({"token": "t0"}, "Bearer t0"), ({"username": "me", "password": "pw"}, "Basic bWU6cHc="), ({}, "")],
)
async def test_who_one_is(user: dict[str, str], header: str, tmp_path: Path) -> None:
    """A token, a name and a password, or nobody; a server whose certificate nobody is to look at."""
    found = await access(kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True}, user=user))
    assert found == Access("https://api.example:6443", False, "", "", "", header, context="here")


@pytest.mark.real
@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [", "while parsing"), ("{}", "current-context"), (None, "current-context"), ("[1]", "")],
)
async def test_a_file_that_is_none(text: str | None, told: str, tmp_path: Path) -> None:
    """One line that names the file and what is wrong with it."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NoCluster) as raised:
        await access(str(path))
    said = str(raised.value)
    assert said.startswith(f"kubeconfig {path}: ") and told in said and "\n" not in said and "Traceback" not in said


@pytest.mark.real
async def test_a_server_under_another_name(tmp_path: Path) -> None:
    """`tls-server-name`: its certificate is held to that name, whatever the URL says; without it, it is refused."""
    certificate(tmp_path, "subjectAltName=DNS:api.internal")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with served(_ok, tls) as port:
        cluster = {"certificate-authority": "cert.pem"}
        for name, fits in (("api.internal", True), ("api.example", False), ("", False)):
            more = {"tls-server-name": name} if name else {}
            path = kubeconfig(tmp_path, server=f"https://127.0.0.1:{port}", cluster={**cluster, **more})
            transport = AiohttpTransport(await find(path, "", SystemClock()))
            if fits:
                assert (await transport.call(ApiRequest("GET", "/"))).status == 200
                async with transport.stream(ApiRequest("GET", "/")) as stream:
                    assert stream.status == 200
            else:
                with pytest.raises(TransportError, match="certificate"):
                    await transport.call(ApiRequest("GET", "/"))
            await transport.close()


@pytest.mark.real
async def test_a_server_behind_a_proxy(tmp_path: Path) -> None:
    """`proxy-url`: calls and watches go there, and nobody looks the server up."""
    asked: list[str] = []

    async def pass_on(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        return web.json_response({})

    async with served(pass_on) as port:
        cluster = {"proxy-url": f"http://127.0.0.1:{port}"}
        path = kubeconfig(tmp_path, server="http://api.nowhere.invalid:6443", cluster=cluster)
        transport = AiohttpTransport(await find(path, "", SystemClock()))
        assert (await transport.call(ApiRequest("GET", "/version"))).status == 200
        async with transport.stream(ApiRequest("GET", "/watch")) as stream:
            assert stream.status == 200
        await transport.close()
    assert asked == ["http://api.nowhere.invalid:6443/version", "http://api.nowhere.invalid:6443/watch"]


@pytest.mark.real
async def test_a_plugin_is_asked_again_when_its_token_is_refused(tmp_path: Path) -> None:
    """By a server that knows only its second token: the call after the refusal has it."""

    async def answer(request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == "Bearer xx"
        return web.json_response({}, status=200 if known else 401)

    class Late(SystemClock):
        """A clock on which each look is a minute after the last one."""

        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            return self.looks * RENEWED_SECONDS_MIN

    async with served(answer) as port:
        path = kubeconfig(tmp_path, server=f"http://127.0.0.1:{port}", user=plugin(tmp_path))
        transport = AiohttpTransport(await find(path, "", Late()))
        found = [(await transport.call(ApiRequest("GET", "/"))).status for _ in range(3)]
        assert found == [401, 200, 200] and (tmp_path / "asked").read_text() == "xx"
        async with transport.stream(ApiRequest("GET", "/")) as stream:
            assert stream.status == 200
        await transport.close()


def several(at: Path, **more: Any) -> str:
    """A file with two clusters, users and contexts; the current context is `here`."""
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "there", "context": {"cluster": "d", "user": "v"}},
        ],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example"}} for name in "cd"],
        "users": [{"name": name, "user": {"token": name}} for name in "uv"],
        "current-context": "here",
        **more,
    }
    (at / "config").write_text(json.dumps(made))
    return str(at / "config")


@pytest.mark.real
@pytest.mark.parametrize(
    "choice, url, user, context, namespace",
    [
        (Choice(), "c", "u", "here", "shop"),
        (Choice(context="there"), "d", "v", "there", ""),
        (Choice(cluster="d"), "d", "u", "here", "shop"),
        (Choice(user="v"), "c", "v", "here", "shop"),
        (Choice("there", "c", "u"), "c", "u", "there", ""),
    ],
)
async def test_another_context_cluster_or_user(
    choice: Choice, url: str, user: str, context: str, namespace: str, tmp_path: Path
) -> None:
    """As kubectl's flags choose them."""
    found = await read(several(tmp_path), choice)
    assert (found.url, found.authorization) == (f"https://{url}.example", f"Bearer {user}")
    assert (found.context, found.namespace) == (context, namespace)


@pytest.mark.real
@pytest.mark.parametrize("choice", [Choice(context="nope"), Choice(cluster="nope")])
async def test_a_choice_that_the_file_does_not_have(choice: Choice, tmp_path: Path) -> None:
    """The text names the file and the missing name. No context is needed to choose a cluster and a user."""
    with pytest.raises(NoCluster, match=r"kubeconfig .*nope"):
        await read(several(tmp_path), choice)
    path = several(tmp_path, **{"current-context": ""})
    assert (await read(path, Choice(cluster="d", user="u"))).url == "https://d.example"
    with pytest.raises(NoCluster, match="no current-context"):
        await read(path)


def test_whether_anything_names_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag, the variable, the file of the home directory, or a pod with an account."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    assert not configured("") and configured("a-file")
    monkeypatch.setattr("pyflagger.kube.reach.ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert not configured("")
    (tmp_path / "token").touch()
    assert configured("")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert configured("")


async def test_a_person_without_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to set is said in kubectl's words."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NoCluster, match="set --kubeconfig or the variable KUBECONFIG"):
        await reach(Person(), SystemClock())


@pytest.mark.real
async def test_a_person_acts_as_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without flags the file is that of the variable or of the home directory; groups are one header each."""
    seen: list[list[tuple[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append([(name, value) for name, value in request.headers.items() if name.startswith("Impersonate")])
        return web.json_response({})

    async with served(answer) as port:
        (tmp_path / ".kube").mkdir()
        kubeconfig(tmp_path / ".kube", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        reached = await reach(Person(impersonated="ann", groups=("a", "b")), SystemClock())
        assert (reached.context, reached.namespace) == ("here", "default")
        transport = AiohttpTransport(reached.endpoint)
        try:
            await transport.call(ApiRequest("GET", "/api"))
        finally:
            await transport.close()
    assert seen == [[("Impersonate-User", "ann"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")]]


async def test_the_account_of_a_pod_and_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One endpoint proves the account, the other nothing; a kubeconfig is not used in place of a pod."""
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoCluster, match="no pod with a service account"):
        own(SystemClock())
    certificate(tmp_path)
    (tmp_path / "cert.pem").rename(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("mine")
    monkeypatch.setattr("pyflagger.kube.reach.ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    account, nobody = own(SystemClock())
    assert await account.headers() == {"Authorization": "Bearer mine"} and await nobody.headers() == {}
    assert account.url == nobody.url == "https://10.0.0.1:443" and nobody.tls is account.tls
    assert nobody.tls and nobody.tls.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("kind", [AiohttpTransport, BriefTransport])
async def test_credentials_of_a_request(kind: type[AiohttpTransport | BriefTransport]) -> None:
    """They go with that request and with no other of the same connection."""
    seen: list[list[str]] = []

    async def answer(request: web.Request) -> web.Response:
        names = ("Authorization", "Impersonate-Group", "Cookie")
        seen.append([value for name in names for value in request.headers.getall(name, [])])
        found = web.json_response({})
        found.set_cookie("who", "a")
        return found

    async with served(answer) as port:
        transport = kind(Endpoint(f"http://127.0.0.1:{port}"))
        given = (("Authorization", "Bearer a"), ("Impersonate-Group", "b"), ("Impersonate-Group", "c"))
        for headers in (given, (), (("Authorization", "Bearer d"),)):
            await transport.call(ApiRequest("GET", "/api", headers=headers))
        await transport.close()
    assert seen == [["Bearer a", "b", "c"], [], ["Bearer d"]]
