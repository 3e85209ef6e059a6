"""The operator's command line: Go's manners, the reference's names and defaults."""

from __future__ import annotations

import pytest

from pyflagger.goflags import BadFlag, shown
from pyflagger.operator.options import FLAGS, WITHOUT_EFFECT, Options, parse, usage, without_effect


@pytest.mark.parametrize(
    ("argv", "attribute", "value"),
    [
        (["-mesh-provider", "nginx"], "mesh_provider", "nginx"),
        (["-mesh-provider=nginx"], "mesh_provider", "nginx"),
        (["--mesh-provider", "nginx"], "mesh_provider", "nginx"),
        (["--ingress-class=a=b"], "ingress_class", "a=b"),
        (["-log-level=WARN"], "log_level", "warn"),
        (["-mesh-provider=smi:istio"], "mesh_provider", "smi:istio"),
        (["-metrics-server="], "metrics_server", ""),
        (["-port=65535"], "port", 65535),
        (["-dashboard-url=https://flagger.example.com/"], "dashboard_url", "https://flagger.example.com"),
        (["-dashboard-url", "https://[fd00::1]:8443"], "dashboard_url", "https://[fd00::1]:8443"),
        (["-enable-leader-election"], "enable_leader_election", True),
        (["-enable-config-tracking=false"], "enable_config_tracking", False),
        (["-enable-config-tracking=f"], "enable_config_tracking", False),
        (["-port", "18080"], "port", 18080),
        (["-selector-labels", " app , name"], "selector_labels", ("app", "name")),
        (["-include-label-prefix="], "include_label_prefix", ()),
        (["-min-interval", "1m30s"], "min_interval", 90.0),
        (["-release-history=0"], "release_history", 0),
        (["-publish-settings=false"], "publish_settings", False),
        (["-release-history", "50"], "release_history", 50),
        (["-port=1", "-port=2"], "port", 2),
    ],
)
def test_values_are_read_as_go_does(argv: list[str], attribute: str, value: object) -> None:
    """One or two dashes, a value behind `=` or as the next word; the last one counts."""
    assert getattr(parse(argv, {}), attribute) == value


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["-mesh-providr", "nginx"], "not defined: -mesh-providr"),
        (["-port", "http"], "not a whole number"),
        (["-port"], "needs a value"),
        (["nginx"], "unexpected argument 'nginx'"),
        (["-"], "unexpected argument"),
        (["-enable-leader-election=maybe"], "not a boolean"),
        (["-min-interval", "10"], "not a duration"),
        (
            ["-log-level=loud"],
            "'loud' for -log-level: is not supported .use debug, info, warning, warn, error, fatal or panic",
        ),
        (["-zap-encoding=xml"], "'xml' for -zap-encoding: is not supported .use json or console"),
        (["-mesh-provider=nope"], "'nope' for -mesh-provider: is not a known traffic provider. Use one of: .*nginx"),
        (["-mesh-provider="], "-mesh-provider: is not a known traffic provider"),
        (["-port=65536"], "'65536' for -port: is not a port .use 0 to 65535"),
        (["-port=-1"], "not a port"),
        (["-metrics-server=prometheus:9090"], "-metrics-server: is not a URL such as http://prometheus:9090"),
        (["-selector-labels", " , "], "at least one label"),
        (["-dashboard-url=http://flagger.example.com"], "is not the address of a dashboard such as https://"),
        (["-dashboard-url=http://localhost:8490"], "is not the address of a dashboard such as https://"),
        (["-dashboard-url=flagger.example.com"], "is not the address of a dashboard such as https://"),
        (["-dashboard-url=https://flagger.example.com/releases"], "is not the address of a dashboard"),
        (["-dashboard-url=https://ann:pass@flagger.example.com"], "is not the address of a dashboard"),
        (['-dashboard-url=https://a.example/?x="><b>'], "more than a scheme, a host and a port"),
        (["-release-history=51"], "'51' for -release-history: must be from 0 to 50"),
        (["-release-history=-1"], "must be from 0 to 50"),
        (["-release-history=all"], "not a whole number"),
        (["-kubeconfig-service-mesh=/x"], "does not support a second cluster yet"),
    ],
)
def test_a_wrong_command_line_says_which_flag_and_why(argv: list[str], complaint: str) -> None:
    """No default is used in its place."""
    with pytest.raises(BadFlag, match=complaint):
        parse(argv, {})


def test_a_boolean_does_not_swallow_the_next_word() -> None:
    """`-enable-leader-election -port 1` is two flags."""
    options = parse(["-enable-leader-election", "-port", "1"], {})
    assert options.enable_leader_election
    assert options.port == 1


def test_the_environment_wins_when_it_is_not_empty() -> None:
    """As the reference does it; an empty variable does not count."""
    assert parse(["-event-webhook=http://a"], {"EVENT_WEBHOOK_URL": "http://b"}).event_webhook == "http://b"
    assert parse(["-event-webhook=http://a"], {"EVENT_WEBHOOK_URL": ""}).event_webhook == "http://a"


def test_defaults_are_the_reference_s() -> None:
    """A bare `flagger` means what it always did."""
    options = parse([], {})
    assert options == Options(log_level="debug")
    assert (options.mesh_provider, options.metrics_server) == ("istio", "http://prometheus:9090")


def test_logging_flags_of_the_reference_are_accepted() -> None:
    """Charts pass them; they mean nothing here."""
    assert parse(["-v=4", "-logtostderr", "-alsologtostderr=true", "-stderrthreshold", "2"], {}).port == 8080


def test_ignored_flags_are_named() -> None:
    """Each flag on the command line that flagger accepts and ignores, once; klog's too, and no default."""
    argv = ["-threadiness=4", "-v", "4", "-port=1", "-v=5", "-legacy_stderr_threshold_behavior"]
    argv += ["-alsologtostderrthreshold=2", "-kubeconfig-qps=1", "-namespace=threadiness"]
    parse(argv, {})
    named = ("threadiness", "v", "legacy_stderr_threshold_behavior", "alsologtostderrthreshold", "kubeconfig-qps")
    assert without_effect(argv) == named
    assert without_effect([]) == ()
    assert {"control-loop-interval", "kubeconfig-burst", "zap-replace-globals"} < WITHOUT_EFFECT


def test_defaults_are_shown_as_they_are_taken() -> None:
    """What the help text shows can be given back, and means the default."""
    for flag in FLAGS:
        if shown(flag):
            assert getattr(parse([], {}), flag.attribute, flag.default) == flag.default
            assert flag.read(shown(flag)) == flag.default, flag.name
    text = usage()
    assert "(default 10s)" in text and "(default app,name,app.kubernetes.io/name)" in text
    assert "(default 100)" in text and "(default true)" in text and "10.0" not in text


def test_usage_names_every_flag() -> None:
    """`-help` is complete."""
    text = usage()
    assert not [flag.name for flag in FLAGS if f"-{flag.name}\n" not in text]


ALERTS = (
    *("slack-url", "slack-token", "slack-proxy-url", "slack-user", "slack-channel"),
    *("msteams-url", "msteams-proxy-url", "cluster-name"),
)


@pytest.mark.parametrize("name", ALERTS)
def test_settings_of_alerts(name: str) -> None:
    """By flag, and by the variable, which wins."""
    flag = next(flag for flag in FLAGS if flag.name == name)
    assert getattr(Options(), flag.attribute) == flag.default
    assert getattr(parse([f"-{name}=x"], {}), flag.attribute) == "x"
    if flag.env:
        assert getattr(parse([f"-{name}=x"], {flag.env: "y"}), flag.attribute) == "y"
