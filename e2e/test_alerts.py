"""Alerts of whole releases: each receiver gets each alert once, also when the operator is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from e2e.apps import IMAGE, app, canary, settings
from e2e.environment import Environment, until
from e2e.planted import TOKEN, secret
from e2e.twins import Twins, provider, rule, twins
from pyflagger.objects import Obj

WHERE = {
    "slack": "/slack",
    "msteams": "/teams",
    "discord": "/discord",
    "rocket": "/rocket",
    "gchat": "/gchat",
    "webhook": "/webhook",
    "pagerduty": "/pagerduty",
    "opsgenie": "/opsgenie",
    "grafana": "/root",
}
"""The path of each receiver's address."""

TEXTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "slack": ("/slack", lambda body: str(body["attachments"][0]["text"])),
    "msteams": ("/teams", lambda body: str(body["attachments"][0]["content"]["body"][1]["text"])),
    "discord": ("/discord/slack", lambda body: str(body["attachments"][0]["text"])),
    "rocket": ("/rocket", lambda body: str(body["attachments"][0]["text"])),
    "gchat": ("/gchat", lambda body: inner(body["cards"][0]["sections"][0]["widgets"][0]["textParagraph"]["text"])),
    "webhook": ("/webhook", lambda body: str(body["data"]["message"])),
    "pagerduty": ("/pagerduty", lambda body: str(body["payload"]["summary"]).partition(": ")[2]),
    "opsgenie": ("/opsgenie", lambda body: str(body["description"])),
    "grafana": ("/root/api/annotations", lambda body: str(body["text"]).splitlines()[0].partition(": ")[2]),
}
"""Where each receiver's alerts arrive, and the text of an alert in them."""

FIRST = "New Deployment detected, initialization completed."
NEW = "New revision detected, progressing canary analysis."
DONE = "Canary analysis completed successfully, promotion finished."
BAD = "Failed checks threshold reached 2"
WAITS = "Canary is waiting for approval."
WORDS = "{{ severity }}: {{ text }}\n{{ oldImage }} → {{ newImage }}\n{{ reason }}"


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Twins]:
    """All of them; what they got is in `alerts.json` and `mails.txt` of the test's folder afterwards."""
    with twins() as made:
        yield made
    (tmp_path / "alerts.json").write_text(json.dumps(made.got, indent=1))
    (tmp_path / "mails.txt").write_text("\n\n".join(f"{mail}\n{mail.get_content()}" for mail in made.mails))


def inner(html: str) -> str:
    """The text of a paragraph."""
    return html.partition("<strong>")[2].partition("</strong>")[0]


def texts(got: Twins) -> dict[str, list[str]]:
    """What each receiver got, in order."""
    found = {kind: [text(body) for body in got.at(path)] for kind, (path, text) in TEXTS.items()}
    return found | {"email": [str(mail.get_content()).splitlines()[0] for mail in got.mails]}


def sent(env: Environment, got: Twins, wanted: list[str]) -> None:
    """Wait until every receiver has as many alerts as wanted and the Canary says so; they are those, in order."""

    def all_there() -> bool:
        there = min(len(each) for each in texts(got).values())
        return there >= len(wanted) and condition(env) == ("True", "Sent")

    until(all_there, lambda: f"{texts(got)} {env.status('shop')}", 30)
    assert texts(got) == dict.fromkeys((*TEXTS, "email"), wanted)


def condition(env: Environment) -> tuple[str, str]:
    """Status and reason of the condition `Alerted`."""
    conditions = env.status("shop").get("conditions") or ()
    return next(((one["status"], one["reason"]) for one in conditions if one["type"] == "Alerted"), ("", ""))


def shop(got: Twins, *alerts: Obj, **gates: Obj) -> Obj:
    """A Canary of `shop` that asks the gate `checks` in each round, and the given gates."""
    hooks = [{"name": name, "type": name, "url": f"{got.web}/gate/{name}", **more} for name, more in gates.items()]
    checks = {"name": "checks", "type": "rollout", "url": f"{got.web}/gate/checks"}
    analysis = {"threshold": 2, "webhooks": [checks, *hooks], "alerts": list(alerts)}
    return canary("shop", "kubernetes", analysis=analysis)


def released(env: Environment, tag: str, phase: str) -> None:
    """A release to its end."""
    env.kubectl("set", "image", "deployment/shop", f"web={IMAGE}:{tag}")
    until(lambda: env.status("shop").get("phase") == "Progressing", lambda: env.said("shop"), 30)
    env.wait("shop", phase)


def test_every_receiver_gets_every_alert_once(
    env: Environment, receivers: Twins, figure: Callable[[str], None]
) -> None:
    """A good and a bad release. The operator is killed in between; two receivers refuse some requests at first."""
    operator = env.operator("-min-interval", "1s", "-cluster-name", "twins")
    for kind, path in WHERE.items():
        name = f"receiver-{kind}"
        env.apply(secret(name, address=receivers.web + path, token=TOKEN), provider(kind, secretRef={"name": name}))
    mail = {"address": f"smtp://{receivers.mail}?tls=none", "channel": "a@x.example", "username": "f@x.example"}
    env.apply(provider("email", **mail))
    receivers.busy |= {"/slack": 2, "/opsgenie": 1}
    env.apply(settings("shop"), app("shop"), shop(receivers, *(rule(kind) for kind in (*WHERE, "email"))))
    env.wait("shop", "Initialized")
    sent(env, receivers, [FIRST])
    released(env, "6.0.1", "Succeeded")
    sent(env, receivers, [FIRST, NEW, DONE])
    operator.stop(SIGKILL)
    operator.start()
    until(operator.ready, operator.tail, 30)
    receivers.closed.add("checks")
    released(env, "6.0.2", "Failed")
    sent(env, receivers, [FIRST, NEW, DONE, NEW, BAD])
    counts = [line for line in operator.page("/metrics").splitlines() if line.startswith("flagger_alerts_total{")]
    assert len(counts) == len(WHERE) + 1 and all('"sent"' in line and line.endswith(" 2.0") for line in counts), counts
    assert env.refused() == []
    figure(f"alerts: {len(receivers.got) + len(receivers.mails)} to {len(WHERE) + 1} receivers, none lost or doubled")


def test_gates_and_severities(env: Environment, receivers: Twins) -> None:
    """A muted gate sends nothing; a receiver of errors gets only the rollback, in its own words; one refuses."""
    env.operator("-min-interval", "1s")
    for kind, path in (("webhook", "/webhook"), ("rocket", "/gone")):
        env.apply(provider(kind, address=receivers.web + path))
    env.apply(provider("slack", address=f"{receivers.web}/slack", template=WORDS))
    gates: dict[str, Obj] = {"confirm-rollout": {}, "confirm-promotion": {"muteAlert": True}}
    alerts = (rule("webhook", "warn"), rule("slack", "error"), rule("rocket"))
    receivers.closed |= {"confirm-rollout", "confirm-promotion"}
    env.apply(settings("shop"), app("shop"), shop(receivers, *alerts, **gates))
    env.wait("shop", "Initialized")
    env.kubectl("set", "image", "deployment/shop", f"web={IMAGE}:6.0.1")
    env.wait("shop", "Waiting")
    until(lambda: len(receivers.at("/webhook")) == 1)
    receivers.closed.remove("confirm-rollout")
    env.wait("shop", "WaitingPromotion")
    receivers.closed.remove("confirm-promotion")
    env.wait("shop", "Succeeded")
    receivers.closed.add("checks")
    released(env, "6.0.2", "Failed")
    until(lambda: receivers.at("/slack"))
    until(lambda: condition(env) == ("True", "Dropped"), lambda: f"{env.status('shop')}")
    got = texts(receivers)
    assert got["webhook"] == [WAITS, BAD]
    (text,) = got["slack"]
    first, images, reason = text.splitlines()
    assert (first, images) == (f"error: {BAD}", f"{IMAGE}:6.0.1 → {IMAGE}:6.0.2")
    assert reason.startswith("Halt") and "checks" in reason
    assert receivers.at("/gone") and "dropped after 1 attempt" in env.kubectl("events", "--for", "alertprovider/rocket")


def test_the_receiver_of_the_flags(env: Environment, receivers: Twins) -> None:
    """-slack-url, with user, channel and the name of the cluster, for a Canary without alerts."""
    flags = ("-slack-url", f"{receivers.web}/slack", "-slack-channel", "releases", "-slack-user", "bot")
    env.operator("-min-interval", "1s", "-cluster-name", "twins", *flags)
    env.apply(settings("shop"), app("shop"), shop(receivers))
    env.wait("shop", "Initialized")
    released(env, "6.0.1", "Succeeded")
    until(lambda: len(receivers.at("/slack")) >= 3 and condition(env) == ("True", "Sent"))
    got = receivers.at("/slack")
    assert [body["attachments"][0]["text"] for body in got] == [FIRST, NEW, DONE]
    assert {(body["channel"], body["username"]) for body in got} == {("releases", "bot")}
    assert [one["value"] for body in got for one in body["attachments"][0]["fields"][:1]] == ["twins"] * 3


def test_a_sample(env: Environment, receivers: Twins) -> None:
    """`flagger alerts test`, with what it prints and its exit status."""
    env.apply(provider("webhook", address=f"{receivers.web}/webhook"), provider("slack", address=f"{receivers.web}/x"))
    assert sampled(env, "webhook") == (0, f"AlertProvider webhook.{env.namespace}: the receiver accepted the sample\n")
    assert [body["data"]["message"] for body in receivers.at("/webhook")] == [
        "This is a test of flagger. No release has changed."
    ]
    status, said = sampled(env, "slack")
    assert status == 1 and "unauthorized: error response: Status 404" in said
    status, said = sampled(env, "nothing")
    assert status == 1 and f"AlertProvider nothing.{env.namespace} not found" in said


def sampled(env: Environment, name: str) -> tuple[int, str]:
    """Exit status and output of `flagger alerts test`."""
    command = [sys.executable, "-m", "pyflagger.cli.main", "alerts", "test", name, "-n", env.namespace]
    command += ["--kubeconfig", str(env.stage.kubeconfig)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout
