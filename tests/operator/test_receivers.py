"""The receivers of a canary, by its analysis or by the flags, and what keeps one from being reached."""

from __future__ import annotations

from functools import partial
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from alerts.receiver import alert
from pyflagger import plugins
from pyflagger.alerts.base import AlertError, Settings
from pyflagger.alerts.registry import load_plugins
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.parse import parse_canary
from pyflagger.operator.alerting.receivers import Receiver, Receivers, flag_problems, flagged, provided, secrets_in
from pyflagger.operator.options import Options
from stage.manifests import analysis, canary


def made(*rules: dict[str, Any], **spec: Any) -> Any:
    """A Canary with these alerts."""
    obj = canary("shop", analysis=analysis(alerts=list(rules)), **spec)
    return parse_canary({**obj, "metadata": {"name": "shop", "namespace": "test"}})


def rule(name: str, severity: str | None = "info", **ref: str) -> dict[str, Any]:
    """An entry of `analysis.alerts`."""
    return {"name": name, "providerRef": {"name": name, **ref}} | ({"severity": severity} if severity else {})


def receivers(spec: Any = None, secret: Any = None, **options: Any) -> Receivers:
    """Receivers of one AlertProvider `p` and one Secret."""

    def provider(ref: Any) -> Any:
        return None if spec is None else {"metadata": {"name": ref.name, "namespace": ref.namespace}, "spec": spec}

    async def read(namespace: str, name: str) -> Any:
        return secret

    return Receivers(Options(**options), provider, read)


SEVERITIES = ("info", "warn", "error")


@pytest.mark.parametrize(
    ("least", "sent"),
    [("info", SEVERITIES), (None, SEVERITIES), ("", SEVERITIES), ("warn", SEVERITIES[1:]), ("error", SEVERITIES[2:])],
)
def test_severities(least: str | None, sent: tuple[str, ...]) -> None:
    """From the given one upwards. None means info."""
    given = rule("p", None) if least is None else {**rule("p"), "severity": least}
    (one,) = receivers().of(made(given))
    assert tuple(each for each in SEVERITIES if one.wants(each)) == sent  # type: ignore[arg-type]


def test_the_receivers_of_a_canary() -> None:
    """In order, each once, in the canary's namespace unless they name another; the flags' only without any."""
    both = receivers(slack_url="https://s/x")
    given = made(rule("a"), rule("b", namespace="ops"), rule("a"), rule("a", "error"))
    assert both.of(given) == (provided("test", "a"), provided("ops", "b"), provided("test", "a", "error"))
    assert both.of(made()) == (Receiver("-slack-url"),) and both.kind(both.of(made())[0]) == "slack"
    assert receivers().of(made()) == ()
    assert receivers().kind(Receiver("-slack-url")) == "unknown"


def test_the_receiver_of_the_flags() -> None:
    """Microsoft Teams replaces Slack; white space around a value is none of it."""
    slack = {"slack_url": " https://s/x\n", "slack_token": "t\n", "slack_channel": "c", "slack_proxy_url": "http://p"}
    assert flagged(Options(**slack)) == (
        "-slack-url",
        "slack",
        Settings("https://s/x", "t", "c", "flagger"),
        "http://p",
    )
    assert flagged(Options(**slack, msteams_url="https://m/x", msteams_proxy_url="http://q")) == (
        "-msteams-url",
        "msteams",
        Settings("https://m/x"),
        "http://q",
    )
    assert flagged(Options()) is None


PROVIDER = provided("test", "p")
SPEC = {"type": "webhook", "address": "https://w/x"}
REFERS = {"type": "webhook", "secretRef": {"name": "s"}}
WRONG: dict[str, tuple[Any, Any, str, str]] = {
    "no provider": (None, None, "misconfigured", "AlertProvider p.test not found"),
    "an invalid one": ({"type": 5}, None, "misconfigured", "spec.type"),
    "an unknown type": ({**SPEC, "type": "pigeon"}, None, "misconfigured", "unknown alert provider pigeon"),
    "no Secret": (REFERS, None, "misconfigured", "Secret s not found"),
    "a Secret that may not be read": (REFERS, Problem(Fault.CLUSTER, "403 Forbidden"), "failed", "403 Forbidden"),
    "a wrong key": (REFERS, {"adress": b"https://w/x"}, "misconfigured", "there is no address"),
    "a Secret of another purpose": (
        {**REFERS, "address": "https://attacker.example/"},
        {"token": b"of a service account"},
        "misconfigured",
        "there is no address",
    ),
    "bytes": (REFERS, {"address": b"\xff\xfe"}, "misconfigured", "the key address of the Secret is not plain text"),
    "two lines": (REFERS, {"address": b"https://w/x", "token": b"a\nb"}, "misconfigured", "the key token"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_keeps_a_receiver_from_being_reached(case: str) -> None:
    """The text says which object to correct."""
    spec, secret, outcome, text = WRONG[case]
    with pytest.raises(AlertError) as caught:
        await receivers(spec, secret).reach(PROVIDER)
    assert caught.value.outcome == outcome and text in caught.value.text


async def test_the_flags_name_no_receiver() -> None:
    """A receiver that was stored by a process with other flags."""
    with pytest.raises(AlertError, match="there is no -slack-url"):
        await receivers().reach(Receiver("-slack-url"))
    assert (await receivers(slack_url="https://s/x").reach(Receiver("-slack-url"))).proxy == ""


def test_types_for_metrics() -> None:
    """That of the provider, if it can be read."""
    assert receivers(SPEC).kind(PROVIDER) == "webhook"
    assert receivers().kind(PROVIDER) == "unknown"


async def test_a_notifier_of_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its type; one that is broken is named."""
    points = [
        EntryPoint("mine", "pyflagger.alerts.webhook:Webhook", "pyflagger.alerts"),
        EntryPoint("broken", "nowhere_at_all:Thing", "pyflagger.alerts"),
        EntryPoint("odd", "pyflagger.alerts.registry:GROUP", "pyflagger.alerts"),
        EntryPoint("raises", "builtins:open", "pyflagger.alerts"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == "pyflagger.alerts" else [])
    plugins.installed.cache_clear()
    try:
        load_plugins()
        exchange = (await receivers({**SPEC, "type": "mine"}).reach(PROVIDER)).notifier.send(alert())
        assert (await plugins.answered(partial(next, exchange))).url == SPEC["address"]
        for kind, outcome, text in (
            ("broken", "misconfigured", "nowhere_at_all"),
            ("odd", "misconfigured", "it is not a factory"),
            ("raises", "failed", "alert provider raises, settings()"),
        ):
            with pytest.raises(AlertError, match=text.replace("(", r"\(").replace(")", r"\)")) as caught:
                await receivers({**SPEC, "type": kind}).reach(PROVIDER)
            assert caught.value.outcome == outcome
    finally:
        plugins.installed.cache_clear()


def test_what_no_text_may_contain() -> None:
    """Of both URLs: the login, the path and its long parts, the query and its values. Short texts are no secrets."""
    url = "https://me:pass@h/services/T1/B0001-long?sig=signature&a=b"
    assert secrets_in(Settings(url, "token"), "http://you:word@p") == {
        *("token", "me:pass", "pass", "/services/T1/B0001-long", "services", "B0001-long"),
        *("sig=signature&a=b", "signature", "you:word", "word"),
    }
    assert secrets_in(Settings("https://[broken")) == {"https://[broken"}
    assert secrets_in(Settings("smtp://mail.example:25?tls=none")) == frozenset()


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({}, ()),
        ({"slack_url": "https://s/x"}, ()),
        ({"msteams_url": "https://m/x"}, ()),
        (
            {"slack_url": "https://s/x", "msteams_url": "https://m/x"},
            ("-msteams-url replaces -slack-url: Slack gets no alerts",),
        ),
        ({"slack_url": "my-secret"}, ("-slack-url: the address is not a URL. ",)),
        (
            {"slack_url": "https://slack.com/api/chat.postMessage", "slack_token": "t"},
            ("-slack-url: chat.postMessage of Slack needs a channel. ",),
        ),
    ],
)
async def test_problems_of_the_flags(options: dict[str, str], problems: tuple[str, ...]) -> None:
    """They are logged at the start, not when the first alert is lost."""
    found = await flag_problems(Options(**options))
    assert len(found) == len(problems) and "my-secret" not in str(found)
    assert all(text.startswith(wanted) for text, wanted in zip(found, problems, strict=True)), found
