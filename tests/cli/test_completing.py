"""Completion from a cluster, the plugin of kubectl, and what commands import before they run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest
from click.shell_completion import ShellComplete

from pyflagger.cli.completing import METADATA, NO_FILES, cobra
from pyflagger.cli.main import COMMANDS, COMPLETING, PLUGIN, main
from pyflagger.cli.people import Commands

NAMES = {
    "/apis/flagger.app/v1beta1/namespaces/shop/canaries": ("cart", "web"),
    "/apis/flagger.app/v1beta1/namespaces/default/canaries": ("podinfo",),
    "/api/v1/namespaces": ("default", "shop"),
}
HOOKS = [{"name": "approve", "type": "confirm-promotion"}, {"name": "load", "type": "rollout"}, {"name": "plain"}]


def record(canary: str, number: int) -> dict[str, Any]:
    """The metadata of a record."""
    labels = {"flagger.app/number": str(number)}
    return {"metadata": {"name": f"{canary}-{number}", "labels": labels, "ownerReferences": [{"name": canary}]}}


ANSWERS: dict[str, Any] = {
    **{path: {"items": [{"metadata": {"name": name}} for name in found]} for path, found in NAMES.items()},
    "/apis/flagger.app/v1alpha1/namespaces/shop/canaryreleases": {
        "items": [record("cart", 41), record("cart", 42), record("web", 7)]
    },
    "/apis/flagger.app/v1beta1/namespaces/shop/canaries/cart": {"spec": {"analysis": {"webhooks": HOOKS}}},
    "/apis/flagger.app/v1beta1/namespaces/shop/canaries/web": {"spec": {}},
}


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cluster on loopback that lists names, and a kubeconfig with two contexts."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = ANSWERS.get(self.path.partition("?")[0])
            assert self.headers["Accept"] == METADATA or "items" not in (found or {})
            body = orjson.dumps(found or {})
            self.send_response(200 if found else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    path = tmp_path / "config"
    path.write_text(CONFIG.replace("PORT", str(server.server_port)))
    monkeypatch.setenv("KUBECONFIG", str(path))
    yield path
    server.shutdown()
    server.server_close()


CONFIG = """
apiVersion: v1
kind: Config
current-context: prod
clusters: [{name: here, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: ann, user: {token: secret}}]
contexts:
- {name: prod, context: {cluster: here, user: ann, namespace: shop}}
- {name: staging, context: {cluster: here, user: ann}}
"""


@pytest.mark.parametrize(
    "typed, offered",
    [
        ("get ", {"cart", "web"}),
        ("get w", {"web"}),
        ("explain -n default ", {"podinfo"}),
        ("wait --context staging ", {"podinfo"}),
        ("logs -n nowhere ", set()),
        ("undo cart ", {"41", "42"}),
        ("undo cart.shop 4", {"41", "42"}),
        ("undo web ", {"7"}),
        ("gate open cart ", {"approve"}),
        ("gate close web ", set()),
        ("list -n s", {"shop"}),
        ("events --context ", {"prod", "staging"}),
        ("get --kubeconfig /no/such/file --context ", set()),
        ("get --kubeconfig /no/such/file ", set()),
    ],
)
def test_values_from_the_cluster(
    typed: str, offered: set[str], kubeconfig: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the flags before. What cannot be had is nothing, without a word."""
    *words, last = typed.split(" ")
    completion = ShellComplete(Commands(COMMANDS), {}, "flagger", COMPLETING)
    assert {item.value for item in completion.get_completions(words, last)} == offered
    assert capfd.readouterr() == ("", "")


def test_kubectl_asks_for_completions(kubeconfig: Path) -> None:
    """In cobra's protocol: values, help after a tab, and a directive."""
    cli = Commands(COMMANDS, PLUGIN)
    assert cobra(cli, PLUGIN, ["get", "c"]) == ["cart", NO_FILES]
    assert cobra(cli, PLUGIN, ["wai"]) == [f"wait\t{COMMANDS['wait'][1]}", NO_FILES]
    assert cobra(cli, PLUGIN, ["lint", ""]) == [NO_FILES]


@pytest.mark.parametrize(
    "argv, status, said",
    [
        (["list", "--nope"], 2, "Try `kubectl flagger list --help`."),
        (["-n", "shop"], 2, "No such option '-n'"),
        ([], 0, "Usage: kubectl flagger [OPTIONS] COMMAND"),
        (["help", "get"], 0, "Usage: kubectl flagger get [OPTIONS] NAME"),
    ],
)
def test_the_plugin_uses_its_name(
    argv: list[str], status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In usage texts; and a flag starts no operator."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/kubectl-flagger", *argv])
    assert main() == status
    out, err = capsys.readouterr()
    assert said in out + err


READING = ("list", "get", "explain", "wait", "events", "logs", "version", "promote", "gate", "actions")


@pytest.mark.parametrize("name", READING)
def test_what_completion_imports(name: str) -> None:
    """Neither aiohttp nor pydantic: each takes as long as a completion may."""
    code = f"import sys, importlib; importlib.import_module({COMMANDS[name][0]!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "pydantic", "rich", "kubernetes_asyncio"} & set(done.stdout.split())


def test_version_asks_no_cluster_for_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--client`, and `flagger --version`. Without a cluster the rest is an error in one line."""
    monkeypatch.setenv("KUBECONFIG", "/no/such/file")
    for words in (["version", "--client"], ["--version"]):
        assert main(words) == 0
        out, err = capsys.readouterr()
        assert out.startswith("Flagger version ") and not err
    assert main(["version"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("Flagger version ") and err.startswith("flagger version: kubeconfig /no/such/file")


def test_a_reader_that_goes_away() -> None:
    """`flagger list | head`: the end is silent, with the status of SIGPIPE."""
    code = """if True:
        import click, sys
        from pyflagger.cli.cluster import finished
        async def work():
            while True:
                print("a line", flush=True)
        with click.Context(click.Command("list")):
            sys.exit(finished(work()))
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"a line\n"
    process.stdout.close()
    assert process.stderr is not None and process.stderr.read() == b"" and process.wait() == 141
    process.stderr.close()


def test_a_list_over_the_brief_connection(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is one line, without advice that is meant for the operator."""
    assert main(["list", "-n", "nowhere"]) == 1
    assert capsys.readouterr().err.endswith("Ask for the right, or choose a namespace with -n.\n")
    assert main(["list", "--request-timeout", "soon"]) == 2
