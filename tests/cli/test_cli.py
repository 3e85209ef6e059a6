"""The command line: what is dispatched where, `crds`, `lint`, and what the sandbox's and the demo's flags mean."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import structlog
import yaml
from click.shell_completion import ShellComplete

from pyflagger import __version__, logs
from pyflagger.cli import demo, lint, run, sandbox
from pyflagger.cli.demo.scenario import UnknownScenario, load, names
from pyflagger.cli.demo.views import Lines, check, line, summary
from pyflagger.cli.demo.visitors import Tally
from pyflagger.cli.main import COMMANDS, COMPLETING, SERVICES, command_line, main
from pyflagger.cli.people import Commands
from pyflagger.cli.signals import Interrupted, interruptible
from pyflagger.cli.stage import Broken, while_whole
from pyflagger.operator.options import parse
from pyflagger_sandbox.cluster import replaceable
from pyflagger_sandbox.trouble import MissingExtra

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command is named."""
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_without_a_word_the_operator_runs() -> None:
    """As the reference does, in a pod or not; a person at a terminal outside of a pod gets help."""
    assert command_line([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == ["run"]
    assert command_line([], {}) == ["run"]
    assert command_line([], {}, terminal=True) == ["--help"]
    assert command_line([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, terminal=True) == ["run"]


@pytest.mark.parametrize("argv, words", [(["help"], ["--help"]), (["help", "lint"], ["lint", "--help"]),
                                         (["-h"], ["--help"]), (["--version"], ["--version"]),
                                         (["-version"], ["run", "-version"]), (["lint", "a"], ["lint", "a"]),
                                         (["-port", "1"], ["run", "-port", "1"])])  # fmt: skip
def test_what_the_first_words_mean(argv: list[str], words: list[str]) -> None:
    """`help COMMAND` is `COMMAND --help`; a flag means the operator."""
    assert command_line(argv, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == words


@pytest.mark.parametrize(
    "argv, said",
    [
        (["sandbox", "-mesh-provider", "nope"], ("--mesh-provider", "'nope' is not a known traffic provider", "nginx")),
        (["sandbox", "-log-level=loud"], ("'--log-level': 'loud' is not one of 'debug'",)),
        (["sandbox", "-min-interval=soon"], ("'soon' is not a duration such as 10s",)),
        (["sandbox", "more"], ("unexpected extra argument (more)",)),
        (["demo", "green"], ("unknown scenario 'green' (use nginx-canary,",)),
        (["demo", "--jsno"], ("No such option '--jsno'", "--json")),
        (["lint"], ("Missing argument",)),
        (["crds", "now"], ("unexpected extra argument (now)",)),
        (["help", "nothing"], ("No such command 'nothing'",)),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_one_line(
    argv: list[str], said: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the flag and what it takes; where to read more comes after it; the status is 2."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    first, hint = err.splitlines()
    assert not out and all(text in first for text in said) and hint.startswith("Try `flagger")


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in SERVICES])
def test_a_command_is_listed_as_it_describes_itself(command: str) -> None:
    """The table needs no import of the module, so it could say something else."""
    found = Commands(COMMANDS).get_command(click.Context(click.Command("x")), command)
    assert found is not None and found.help


@pytest.mark.parametrize("typed, offered", [("", set(COMMANDS)), ("sandbox --no", {"--no-operator"}),
                                            ("sandbox --mesh-provider lin", {"linkerd"}),
                                            ("demo ga", {"gates", "gatewayapi"}),
                                            ("completion z", {"zsh"})])  # fmt: skip
def test_a_shell_completes(
    typed: str, offered: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, options, and the values that are known."""
    *words, last = typed.split(" ")
    completion = ShellComplete(Commands(COMMANDS), {}, "flagger", COMPLETING)
    assert {item.value for item in completion.get_completions(words, last)} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It calls `flagger` with the variable that `main` looks for."""
    assert main(["completion", shell]) == 0
    assert f"{COMPLETING}={shell}_complete" in capsys.readouterr().out


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_never_load_what_only_people_use(service: str) -> None:
    """Their memory is what a cluster pays for."""
    code = f"import sys, pyflagger.cli.main as m; m.main(['{service}', '-help']); print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the list of known ones, and status 2."""
    assert main(["relase"]) == 2
    assert "'relase'" in capsys.readouterr().err


def test_a_leading_flag_means_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The image's entry point takes the reference's command line."""
    assert main(["-version"]) == 0
    assert capsys.readouterr().out == f"Flagger version {__version__} revision  unknown\n"
    assert main(["-no-such-flag"]) == 2
    said = capsys.readouterr().err
    assert said == "flagger run: flag provided but not defined: -no-such-flag. Try `flagger run -help`.\n"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "loadtester"])
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` prints something and ends well."""
    assert main([command, "--help"]) == 0
    assert command in capsys.readouterr().out


def test_the_operator_says_when_there_is_no_cluster(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what to give, and status 1."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    assert main(["run"]) == 1
    assert "set -kubeconfig or -master" in capsys.readouterr().err


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_kubeconfig_that_is_missing_is_named(
    by_variable: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what named it; nothing is said of other ways to a cluster."""
    monkeypatch.setenv("KUBECONFIG", "/no/such/one:/nor/this" if by_variable else "")
    assert main(["run"] if by_variable else ["run", "-kubeconfig=/no/such/one"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("flagger run: kubeconfig /no/such/one") and "does not exist: correct" in line
    assert ("the variable KUBECONFIG" if by_variable else "-kubeconfig") in line


def test_the_first_line_says_what_runs() -> None:
    """Version, API server, provider, metrics server, namespace and leader election, without passwords and tokens."""
    stream, before = io.StringIO(), structlog.get_config()
    options = parse(["-mesh-provider=nginx", "-metrics-server=http://me:secret@prom:9090/x", "-namespace=shop"], {})
    try:
        logs.configure("info", "json", stream)
        run.announce(options, "https://10.0.0.1:6443/secret")
    finally:
        structlog.configure(**before)
    line = json.loads(stream.getvalue())
    assert line["msg"] == f"Starting flagger version {__version__} revision unknown mesh provider nginx"
    assert (line["version"], line["apiServer"]) == (__version__, "https://10.0.0.1:6443")
    assert (line["metricsServer"], line["namespace"]) == ("http://prom:9090", "shop")
    assert (line["meshProvider"], line["leaderElection"], line["port"]) == ("nginx", False, 8080)
    assert "secret" not in stream.getvalue()


def test_the_definitions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Five documents of YAML."""
    assert main(["crds"]) == 0
    kinds = [doc["spec"]["names"]["kind"] for doc in yaml.safe_load_all(capsys.readouterr().out)]
    assert kinds == ["Canary", "MetricTemplate", "AlertProvider", "CanaryRelease", "CanaryAction"]
    assert main(["crds", "more"]) == 2


# lint ---------------------------------------------------------------------------------------------------------------


def linted(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Status and lines."""
    file = tmp_path / "some.yaml"
    file.write_text(text)
    status = lint.main([str(file)])
    return status, capsys.readouterr().out.splitlines()


CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize(
    "case, change, told",
    [
        ("target-port-without-name.yaml", ("", ""), "no container of deployment web.nameless has a port named http"),
        ("renamed-port.yaml", ("", ""), ""),
        ("renamed-port.yaml", ("{name: http, containerPort", "{name: web, containerPort"), "has a port named http"),
        ("selector-of-two-labels.yaml", ("", ""), ""),
        ("selector-of-two-labels.yaml", ("instance: east", "instance: west"), "have these labels as well"),
    ],
)
def test_what_would_lead_visitors_astray(
    case: str, change: tuple[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The target in the same files has the ports that the Canary names, and labels that nobody else has."""
    status, lines = linted(tmp_path, (CASES / case).read_text().replace(*change), capsys)
    assert bool(status) is bool(told) and all(told in line for line in lines if "note:" not in line)


def example(name: str) -> str:
    """A file of the NGINX example."""
    return (EXAMPLES / "nginx" / name).read_text()


def test_the_example_is_right_but_for_its_load_test(capsys: pytest.CaptureFixture[str]) -> None:
    """Its load test goes past the ingress, which is a note and no error."""
    assert lint.main([str(path) for path in sorted((EXAMPLES / "nginx").glob("*.yaml"))]) == 0
    (said,) = capsys.readouterr().out.splitlines()
    assert "note: webhook load-test calls podinfo-canary directly" in said


@pytest.mark.parametrize("folder", sorted(path.parent for path in EXAMPLES.glob("*/canary.yaml")), ids=lambda p: p.name)
def test_every_example_passes_our_own_lint(folder: Path) -> None:
    """A user who copies one starts without an error."""
    assert lint.main([str(folder)]) == 0


def test_a_wrong_port_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Ingress sends to the container's port: both ports are named."""
    both = f"{example('canary.yaml')}\n---\n{example('ingress.yaml').replace('number: 80', 'number: 9898')}"
    status, lines = linted(tmp_path, both, capsys)
    assert status == 1
    assert "sends to port 9898 of service podinfo, but spec.service.port is 80" in lines[0]


@pytest.mark.parametrize(
    "right, wrong, path",
    [
        ("stepWeight: 5", "stepWeight: 500", "spec.analysis.stepWeight"),
        ("interval: 10s", "interval: ten", "spec.analysis.interval"),
        ("type: pre-rollout", "type: prerollout", "spec.analysis.webhooks[0].type"),
        ("provider: nginx", "provider: ngnix", "spec.provider"),
        ("kind: Deployment", "kind: Pod", "spec.targetRef"),
    ],
)
def test_a_slip_is_told_with_its_path(
    right: str, wrong: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, and a line with file, object and path."""
    status, lines = linted(tmp_path, example("canary.yaml").replace(right, wrong, 1), capsys)
    assert status == 1
    assert any("some.yaml: Canary test/podinfo" in said and path in said for said in lines), lines


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file and broken YAML: one line, status 1; no file at all: status 2."""
    assert lint.main([str(tmp_path / "missing.yaml")]) == 1
    assert "missing.yaml" in capsys.readouterr().err
    status, _ = linted(tmp_path, "a: [", capsys)
    assert status == 1
    assert lint.main([]) == 2


ALIASES = "\n".join(["a0: &a0 [x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))])


@pytest.mark.parametrize(
    ("bomb", "said"),
    [
        ("[" * 3000, "is nested too deeply"),
        (f"{ALIASES}\nkind: Canary\nmetadata: {{name: a}}\nspec: {{analysis: *a11}}", ""),
        ("!!python/object/apply:os.system ['exit 1']", "could not determine a constructor"),
    ],
    ids=["deep", "aliases", "tag"],
)
def test_files_that_are_meant_to_hurt(bomb: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, in no time: pull requests are linted before anybody has read them."""
    file = tmp_path / "bomb.yaml"
    file.write_text(f"apiVersion: flagger.app/v1beta1\n{bomb}\n" if "kind" in bomb else bomb)
    assert lint.main([str(file)]) == 1
    told = capsys.readouterr()
    assert said in told.err and len(told.out + told.err) < 20_000


def test_lists_and_strangers_are_looked_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A `List` is taken apart; objects of other groups and empty documents are none of our business."""
    stranger = {"apiVersion": "example.com/v1", "kind": "Canary", "metadata": {"name": "other"}, "spec": {}}
    ours = yaml.safe_load(example("canary.yaml").replace("stepWeight: 5", "stepWeight: 500"))
    listed = {"apiVersion": "v1", "kind": "List", "items": [stranger, ours, "text"]}
    status, lines = linted(tmp_path, yaml.safe_dump(listed) + "\n---\n", capsys)
    assert status == 1
    assert not any("other" in said for said in lines)


# sandbox and demo ---------------------------------------------------------------------------------------------------


def read(argv: list[str]) -> sandbox.Asked:
    """What a command line of `flagger sandbox` asks for. Raises click.UsageError."""
    return sandbox.asked(**sandbox.command.make_context("flagger sandbox", argv).params)


def test_the_sandbox_reads_its_flags(tmp_path: Path) -> None:
    """Defaults are those of the docs; each flag does what it says."""
    asked = read([])
    assert asked.options is not None
    assert (asked.options.mesh_provider, asked.options.min_interval) == ("nginx", 10.0)
    assert (asked.setup.prometheus, asked.setup.kubeconfig, asked.as_json) == ("embedded", None, False)
    asked = read(["--json", f"--kubeconfig={tmp_path}/c", "--min-interval", "1s", "-mesh-provider=kubernetes"])
    assert asked.options is not None
    assert (asked.options.mesh_provider, asked.options.min_interval) == ("kubernetes", 1.0)
    assert asked.setup.kubeconfig == tmp_path / "c"
    assert read(["-no-operator"]).options is None
    with pytest.raises(click.UsageError, match="soon"):
        read(["-min-interval=soon"])


def test_a_missing_part_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra the commands say what to install."""

    async def missing(asked: object) -> int:
        raise MissingExtra("traefik is not installed: pip install 'pyflagger[sandbox]'")

    monkeypatch.setattr(sandbox, "serve", missing)
    assert main(["sandbox"]) == 1
    said = capsys.readouterr().err
    assert "pip install 'pyflagger[sandbox]'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("argv, scenario", [([], "nginx-canary"), (["gates"], "gates"), (["gates", "--json"], "gates"),
                                            (["--json", "gates"], "gates"), (["--json"], "nginx-canary"),
                                            (["--prometheus", "auto", "--json"], "nginx-canary"),
                                            (["--prometheus", "auto", "--json", "gates"], "gates"),
                                            (["gates", "--prometheus", "auto", "--json"], "gates")])  # fmt: skip
def test_the_scenario_may_stand_anywhere(argv: list[str], scenario: str) -> None:
    """Before or behind the flags; the default is the NGINX canary."""
    asked = demo.command.make_context("flagger demo", argv).params
    assert asked["scenario"].name == scenario
    assert asked["json"] == ("--json" in argv)
    assert asked["prometheus"] == ("auto" if "auto" in argv else "embedded")


def test_two_scenarios_are_one_too_many() -> None:
    """The second one is named."""
    with pytest.raises(click.UsageError, match="blue-green"):
        demo.command.make_context("flagger demo", ["gates", "blue-green"])


def test_every_scenario_can_be_loaded() -> None:
    """Each has releases and visitors, and plays in one namespace; an unknown one is refused with the list."""
    assert names()[0] == "nginx-canary"
    for name in names():
        scenario = load(name)
        assert len(scenario.releases) >= 1
        assert scenario.visitors and scenario.about
        assert scenario.deployment["metadata"]["namespace"] == scenario.namespace
        assert scenario.host == "podinfo.local"
        assert scenario.releases[0].revision == "6.0.1"
    with pytest.raises(UnknownScenario, match="blue-green"):
        load("green-blue")


def test_scenarios_are_valid_canaries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the demo applies passes its own linter."""
    for name in names():
        scenario = load(name)
        status, lines = linted(tmp_path, yaml.safe_dump_all([*scenario.objects, scenario.canary]), capsys)
        assert status == 0, lines


def test_shares_are_counted_by_settled_weight() -> None:
    """What was sent before a weight had settled counts for the whole, not for the weight."""
    tally = Tally()
    for weight, failed, canary in [(None, False, True), (10, False, True), (10, False, False), (10, True, False)]:
        tally.add("all", weight, failed, canary)
    assert tally.all.document() == {"total": 4, "failed": 1, "canary": 2}
    assert tally.weights[10].total == 3
    assert tally.weights[10].share == 33.3


def test_records_as_lines() -> None:
    """Each kind of record has its line."""
    passed = {"kind": "check", "name": "errors", "value": 0.5, "min": None, "max": 1.0, "passed": True, "text": ""}
    passed["unit"] = ""
    assert check(passed) == "errors 0.50 (≤ 1) passed"
    assert check({**passed, "unit": "ms"}) == "errors 0.50 ms (≤ 1 ms) passed"
    assert check({**passed, "value": None, "text": "no values found", "passed": False}).endswith("(≤ 1) FAILED")
    hook = {"kind": "check", "name": "gate", "hook": "rollback", "passed": False, "text": "403"}
    assert check(hook) == "gate (rollback) FAILED 403"
    news = {"kind": "event", "type": "Normal", "reason": "Release", "revision": "2", "message": "good"}
    assert "--- release 2: good" in line(news)
    requests = {"total": 10, "failed": 0, "canary": 4}
    release = {"revision": "2", "outcome": "Failed", "expected": "Succeeded", "seconds": 3, "requests": requests}
    text = "\n".join(summary([{**release, "shares": [{"weight": 40, "percent": 40.0, "requests": 10}]}]))
    assert "✗ (expected Succeeded) 2: Failed after 3 s; 10 requests" in text
    assert "at weight  40: 40 % of 10 requests" in text
    (said, *_) = summary([{**release, "expected": "Failed", "shares": []}])[1:]
    assert said.startswith("✓ 2: Failed, as expected, after 3 s; 10 requests")


def test_plain_lines_leave_out_what_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A status once, a reason once it stands, traffic when it moved by more than chance."""
    status = {"t": 1.0, "kind": "status", "phase": "Progressing", "weight": 10, "iterations": 0, "failed": 0}
    count = {"t": 2.0, "kind": "traffic", "weight": 10, "total": 100, "failed": 0, "visitors": {"all": 10.0}}
    view = Lines()
    for record in (
        {**status, "reason": ""},
        {**status, "reason": "held"},
        count,
        {**count, "visitors": {"all": 14.0}},
        {**count, "visitors": {"all": 9.0}},
        {**count, "visitors": {"all": 40.0}},
        {**count, "visitors": {"all": 41.0}, "failed": 2},
        {**count, "visitors": {"all": 42.0}, "failed": 1},
        {**status, "failed": 1, "reason": ""},
        {**status, "failed": 1, "reason": "held"},
    ):
        view.show(record)
    told = [row.split("s  ", 1)[1] for row in capsys.readouterr().out.splitlines()]
    assert told == [
        "status   Progressing, weight 10",
        "waits    held",
        "traffic  100 requests, 0 failed; answered by the canary: all 14 %",
        "traffic  100 requests, 0 failed; answered by the canary: all 40 %",
        "traffic  100 requests, 2 failed; answered by the canary: all 41 %",
        "status   Progressing, weight 10, failed checks 1",
    ]


def test_a_sandbox_that_breaks_says_so_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of its processes ended: everything else is taken down, and the text is on standard error."""
    down: list[str] = []

    class Falling:
        """A cluster whose ingress ends at once."""

        kubeconfig, api, ingress, metrics, proxy = Path("k"), "a", "i", "m", "p"

        async def broken(self) -> str:
            return "Traefik ended with status -9"

    @asynccontextmanager
    async def staged(*_: object) -> AsyncIterator[Any]:
        try:
            yield SimpleNamespace(cluster=Falling(), operator="")
        finally:
            down.append("all")

    monkeypatch.setattr(sandbox, "staged", staged)
    assert sandbox.main(["-json", "-no-operator"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("flagger sandbox: Traefik ended with status -9\n") and '"ingress": "i"' in said.out
    assert down == ["all"]


async def test_what_is_under_way_ends_with_the_sandbox() -> None:
    """Work that is not done is cancelled and waited for; work that is done gives what it gives."""
    ended, told = asyncio.Event(), asyncio.Queue[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def quick() -> int:
        return 7

    cluster: Any = SimpleNamespace(broken=told.get)
    assert await while_whole(quick(), cluster) == 7
    told.put_nowait("prometheus ended")
    with pytest.raises(Broken, match="prometheus ended\nThe sandbox has stopped"):
        await while_whole(work(), cluster)
    assert ended.is_set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_what_runs_and_waits_until_it_has_cleaned_up(number: int) -> None:
    """Whatever it was doing; a second signal does not cut the cleaning up short."""
    before = signal.signal(number, signal.SIG_DFL)  # Under nohup the end of the terminal would be nothing.
    steps: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("begun")
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)
            steps.append("done")

    with pytest.raises(Interrupted) as caught:
        await interruptible(work())
    signal.signal(number, before)
    assert caught.value.number == number
    assert steps == ["begun", "done"]


async def test_what_is_not_interrupted_gives_what_it_has() -> None:
    """Its value, or its own error."""

    async def value() -> int:
        return 7

    async def fails() -> None:
        raise MissingExtra("no")

    assert await interruptible(value()) == 7
    with pytest.raises(MissingExtra):
        await interruptible(fails())


@pytest.mark.parametrize("text, may", [("", True), ("current-context: flagger-sandbox\n", True),
                                       ("current-context: production\n", False)])  # fmt: skip
def test_a_kubeconfig_of_somebody_else_is_not_written_over(text: str, may: bool, tmp_path: Path) -> None:
    """Only one that a sandbox left behind, or an empty one."""
    file = tmp_path / "config"
    assert replaceable(file)
    file.write_text(text)
    assert replaceable(file) is may
