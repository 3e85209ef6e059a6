"""The conformance checks of notifiers: what the operator relies on for every receiver of alerts.

`check_notifier(factory, settings, accepted)` sends alerts to a scripted receiver and raises one exception that lists
all failures. The docstring of each check says what goes wrong for users when the check fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pyflagger.alerts.base import SEVERITIES, Alert, AlertError, Factory, Notifier, Outcome, Settings
from pyflagger.testing.router import NotConforming
from pyflagger.wire import FailureKind, HttpAnswer, HttpFailure, HttpRequest

REQUESTS_MAX = 8
SECONDS_MAX = 10.0
BYTES_MAX = 1 << 20
TEXT = "kit-text: Failed checks threshold reached 2"
SAMPLE = Alert("error", TEXT, "kit-canary", "kit-space", "kit-id", 1_767_323_045.0, (("Target", "kit-target"),))
HOSTILE = ("", '"quotes" \\ and\nlines\t\x00', "<b>&amp;</b>", "\U0001f680 日本", "half \ud83d", "x" * 100_000)
PAGE = b"<!DOCTYPE html><html><title>Sign in</title></html>"

Answer = HttpAnswer | HttpFailure


@dataclass(frozen=True, slots=True)
class Kit:
    """What the checks use."""

    factory: Factory
    settings: Settings
    accepted: HttpAnswer

    def notifier(self) -> Notifier:
        """A fresh notifier."""
        return self.factory(self.settings)

    def send(self, alert: Alert = SAMPLE, answer: Answer | None = None) -> list[HttpRequest]:
        """The requests of an alert, each with this answer. Raises what the notifier raises."""
        requests: list[HttpRequest] = []
        exchange = self.notifier().send(alert)
        answer = answer or self.accepted
        try:
            request = next(exchange)
            while len(requests) < REQUESTS_MAX:
                requests.append(request)
                request = exchange.throw(answer) if isinstance(answer, HttpFailure) else exchange.send(answer)
        except StopIteration:
            return requests
        raise AssertionError(f"one alert takes more than {REQUESTS_MAX} requests")

    def error(self, answer: Answer) -> AlertError:
        """The AlertError for an answer."""
        shown = answer.summary() if isinstance(answer, HttpAnswer) else f"{answer.kind}: {answer}"
        try:
            self.send(answer=answer)
        except AlertError as error:
            return error
        except Exception as error:
            raise AssertionError(f"for {shown!r}, send() raises {type(error).__name__}, not AlertError") from error
        raise AssertionError(f"for {shown!r}, send() returns as if the receiver had accepted the alert")


def check_notifier(factory: Factory, settings: Settings, accepted: HttpAnswer | None = None) -> tuple[str, ...]:
    """Run the checks of a notifier and return their names. Raises NotConforming.

    `settings` must work. `accepted` is the receiver's answer to an accepted alert.
    """
    kit, made, failures = Kit(factory, settings, accepted or HttpAnswer(200, b"ok")), [], []
    for check in NOTIFIER_CHECKS:
        name = check.__name__.removeprefix("_").replace("_", " ")
        made.append(name)
        try:
            check(kit)
        except Exception as error:
            failures.append((name, str(error) or type(error).__name__))
    if failures:
        raise NotConforming(tuple(failures))
    return tuple(made)


def _sends_something(kit: Kit) -> None:
    """A notifier without a request sends no alert."""
    requests = kit.send()
    assert requests, "send() yields no request"
    for request in requests:
        assert request.url.startswith(("http://", "https://")), f"the URL {request.url!r} is not absolute"


def _says_what_happened(kit: Kit) -> None:
    """The receiver must see the text of the alert and the Canary that it is about."""
    said = "\n".join(text for request in kit.send() for text in _texts(request))
    for what in (TEXT, "kit-canary", "kit-space"):
        assert what in said, f"{what!r} is not in the body of a request"


def _takes_every_severity(kit: Kit) -> None:
    """A Canary sends info, warn and error, with and without fields."""
    for severity in SEVERITIES:
        kit.send(replace(SAMPLE, severity=severity))
        kit.send(replace(SAMPLE, severity=severity, fields=(), cluster="kit-cluster"))


def _takes_every_text(kit: Kit) -> None:
    """Texts contain errors of other programs: quotes, markup, new lines, emoji, megabytes."""
    for text in HOSTILE:
        kit.send(replace(SAMPLE, text=text))


def _sends_the_same_again(kit: Kit) -> None:
    """A repeated alert must be equal, so that the receiver can merge it: no clock and no random numbers."""
    assert kit.send() == kit.send(), "two requests for one alert differ"


def _is_bounded(kit: Kit) -> None:
    """A receiver that hangs or answers without end must not hold up the next alert."""
    for request in kit.send():
        assert request.timeout <= SECONDS_MAX, f"timeout is {request.timeout:g} s; use at most {SECONDS_MAX:g} s"
        assert request.max_bytes <= BYTES_MAX, f"max_bytes is {request.max_bytes}; use at most {BYTES_MAX}"


def _follows_no_redirect(kit: Kit) -> None:
    """A redirected POST becomes a GET: the receiver answers 200, and the alert is lost."""
    assert all(request.redirects == 0 for request in kit.send()), "set redirects=0"
    assert not kit.error(HttpAnswer(302, b"", {"location": "http://kit.example/"})).retriable


def _verifies_certificates(kit: Kit) -> None:
    """The token must not reach a server that only claims to be the receiver."""
    assert all(request.verify for request in kit.send()), "a request has verify=False"


def _keeps_the_token_out_of_the_url(kit: Kit) -> None:
    """URLs are written to the logs of proxies."""
    token = kit.settings.token
    if token:
        assert all(token not in request.url for request in kit.send()), "the token is in the URL of a request"


def _reads_a_rejection(kit: Kit) -> None:
    """flagger must not count a rejected alert as sent, and must not repeat what can never succeed."""
    for status in (400, 401, 403, 404):
        error = kit.error(HttpAnswer(status, b"no"))
        assert not error.retriable, f"status {status} has the outcome {error.outcome}, which flagger retries"


def _reads_an_overload(kit: Kit) -> None:
    """429 and 5xx pass: flagger tries again, after the time in Retry-After."""
    error = kit.error(HttpAnswer(429, b"slow", {"retry-after": "7"}))
    _is_outcome(error, "limited", "status 429")
    assert error.retry_after == "7", f"retry_after is {error.retry_after!r}; pass the header Retry-After on"
    for status in (500, 502, 503):
        _is_outcome(kit.error(HttpAnswer(status, b"down")), "failed", f"status {status}")


def _reads_a_web_page(kit: Kit) -> None:
    """A login page or a proxy answers 200 with HTML: the alert has not arrived."""
    _is_outcome(kit.error(HttpAnswer(200, PAGE)), "unreadable", "an HTML page")


def _reads_a_failed_connection(kit: Kit) -> None:
    """Each failure of the network becomes an AlertError, and the ones that pass are retried."""
    kinds: dict[FailureKind, Outcome | None] = {
        "timeout": "timeout",
        "connect": "unreachable",
        "tls": None,
        "too-large": None,
        "malformed": None,
        "redirects": None,
    }
    for kind, outcome in kinds.items():
        error = kit.error(HttpFailure(kind, "kit"))
        if outcome:
            _is_outcome(error, outcome, f"a failure of kind {kind}")
        assert bool(outcome) == error.retriable, f"a failure of kind {kind} has the outcome {error.outcome}"


def _explains_its_errors(kit: Kit) -> None:
    """A dropped alert is an Event: it says what happened and what to do, without the token."""
    for status in (400, 401, 500):
        error = kit.error(HttpAnswer(status, b"no"))
        assert error.text and error.todo, f"the error for status {status} has no text or no todo"
        token = kit.settings.token
        assert not token or token not in error.text + error.todo, "the token is in the text of an error"


def _rejects_settings_that_cannot_work(kit: Kit) -> None:
    """A typing error in a Secret must be reported as such, not as an error of flagger."""
    for address in ("", "not a url", "ftp://kit.example/", "http://"):
        settings = replace(kit.settings, address=address)
        try:
            kit.factory(settings)
        except AlertError as error:
            assert error.outcome == "misconfigured", f"for address {address!r}, the outcome is {error.outcome}"
        except Exception as error:
            raise AssertionError(f"for address {address!r}, the factory raises {type(error).__name__}") from error
        else:
            assert not address, f"the factory accepts the address {address!r}"


NOTIFIER_CHECKS: tuple[Callable[[Kit], None], ...] = (
    _sends_something,
    _says_what_happened,
    _takes_every_severity,
    _takes_every_text,
    _sends_the_same_again,
    _is_bounded,
    _follows_no_redirect,
    _verifies_certificates,
    _keeps_the_token_out_of_the_url,
    _reads_a_rejection,
    _reads_an_overload,
    _reads_a_web_page,
    _reads_a_failed_connection,
    _explains_its_errors,
    _rejects_settings_that_cannot_work,
)


def _is_outcome(error: AlertError, wanted: Outcome, what: str) -> None:
    assert error.outcome == wanted, f"{what} has the outcome {error.outcome}; use {wanted}"


def _texts(request: HttpRequest) -> Iterator[str]:
    """The texts of a body: those of its JSON, or else the body."""
    body = (request.body or b"").decode("utf-8", "replace")
    try:
        yield from _leaves(json.loads(body))
    except ValueError:
        yield body


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    else:
        yield str(value)
