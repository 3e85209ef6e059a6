"""The conformance checks of metric providers: what the operator relies on for every provider.

`check_metric_provider(factory, scene)` runs every check and raises one exception that lists all failures. The docstring
of each check says what goes wrong for users when the check fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from pyflagger.metrics.base import (
    TEXT_MAX,
    Exchange,
    Factory,
    MetricError,
    NoValues,
    Provider,
    ProviderError,
    Question,
    Settings,
)
from pyflagger.testing.router import NotConforming
from pyflagger.wire import FailureKind, HttpAnswer, HttpFailure, HttpRequest, secrets_of

T = TypeVar("T")
Reply = HttpAnswer | HttpFailure

REQUESTS_MAX = 64
"""The maximum number of requests for one query."""

STATUSES = (301, 400, 401, 403, 404, 429, 500, 503)
PAGE = b"<!doctype html><html><title>Sign in</title></html>"
ECHO_MAX = 1 << 20


@dataclass(frozen=True)
class MetricScene:
    """A provider at work: its settings, a query, and recorded answers.

    `good` are the answers to the requests of one query, in order, which give `value`. `empty` are those of a query that
    finds nothing. `online` answers a probe. Put credentials of at least 4 characters into the Secret of `settings`.
    """

    settings: Settings
    query: str
    good: tuple[HttpAnswer, ...]
    value: float
    empty: tuple[HttpAnswer, ...]
    online: tuple[HttpAnswer, ...] = (HttpAnswer(200, b"{}"),)
    question: Question = field(default_factory=lambda: Question("", 60.0, 1_700_000_000.0))

    def asked(self) -> Question:
        """The question with the query."""
        return replace(self.question, text=self.query)


def check_metric_provider(make: Factory, scene: MetricScene) -> tuple[str, ...]:
    """Run the checks of a metric provider and return their names. Raises NotConforming."""
    made, failures = [], []
    for check in METRIC_CHECKS:
        name = check.__name__.removeprefix("_").replace("_", " ")
        made.append(name)
        try:
            check(make, scene)
        except Exception as error:
            failures.append((name, str(error) or type(error).__name__))
    if failures:
        raise NotConforming(tuple(failures))
    return tuple(made)


# Checks -------------------------------------------------------------------------------------------------------------


def _returns_the_value(make: Factory, scene: MetricScene) -> None:
    """A wrong number promotes a bad release or rolls a good one back."""
    value, _ = _play(make(scene.settings).query(scene.asked()), scene.good)
    assert isinstance(value, float) and math.isfinite(value), f"query() returns {value!r}, not a finite float"
    assert value == scene.value, f"query() returns {value}, not {scene.value}"


def _finds_no_values_in_an_empty_answer(make: Factory, scene: MetricScene) -> None:
    """A number for no data is judged. Another error counts as a failure of the metric system."""
    with _raises(NoValues, "an empty answer"):
        _play(make(scene.settings).query(scene.asked()), scene.empty)


def _asks_the_same_again(make: Factory, scene: MetricScene) -> None:
    """Results of a provider that reads a clock, draws random numbers or keeps state cannot be repeated."""
    provider = make(scene.settings)
    first, second = (_play(provider.query(scene.asked()), scene.good)[1] for _ in range(2))
    assert first == second, "a second query with the same question sends other requests"
    third = _play(make(scene.settings).query(scene.asked()), scene.good)[1]
    assert first == third, "another provider with the same settings sends other requests"


def _asks_only_its_address(make: Factory, scene: MetricScene) -> None:
    """Credentials must not reach a server that the template does not name."""
    if not scene.settings.address:
        return
    own = urlsplit(scene.settings.address).netloc.rpartition("@")[2]
    for request in _requests(make, scene):
        place = urlsplit(request.url).netloc
        assert request.cluster or place == own, f"a request goes to {place}, but the address is {own}"


def _obeys_insecure_skip_verify(make: Factory, scene: MetricScene) -> None:
    """TLS certificates are verified unless the template says otherwise."""
    for request in _requests(make, scene):
        assert request.verify or not scene.settings.verify, "a request does not verify certificates"
    for request in _requests(make, replace(scene, settings=replace(scene.settings, verify=False))):
        assert not request.verify or request.cluster or request.auth, "a request ignores insecureSkipVerify"


def _sends_the_headers_of_the_template(make: Factory, scene: MetricScene) -> None:
    """Tenants and proxies need them."""
    headers = {**scene.settings.headers, "X-Kit": ("one", "two")}
    for request in _requests(make, replace(scene, settings=replace(scene.settings, headers=headers))):
        sent = [value for name, value in request.headers if name.lower() == "x-kit"]
        assert request.cluster or sent == ["one", "two"], f"header X-Kit has the values {sent}, not one and two"


def _lets_flagger_hide_its_credentials(make: Factory, scene: MetricScene) -> None:
    """flagger removes from texts only the credentials that it recognizes in a request."""
    for request in _requests(make, scene):
        known = secrets_of(request)
        shown = f"{request.url} {dict(request.headers)} {request.body!r}"
        for key, raw in (scene.settings.secret or {}).items():
            text = raw.decode("utf-8", "replace").strip()
            hidden = any(text in secret for secret in known)
            assert len(text) < 4 or text not in shown or hidden or key in _NAMES, (
                f"flagger cannot hide {key}: put it into an Authorization header, or into `secrets` of the request"
            )


_NAMES = frozenset({"username", "org", "project", "database"})
"""Keys of Secrets that are no credentials."""


def _keeps_credentials_out_of_its_texts(make: Factory, scene: MetricScene) -> None:
    """Events and conditions are public."""
    for reply in (HttpAnswer(401, b"who?"), HttpAnswer(200, PAGE), HttpFailure("connect", "refused")):
        for error in _errors(make(scene.settings), scene, reply):
            for key, raw in (scene.settings.secret or {}).items():
                text = raw.decode("utf-8", "replace").strip()
                assert len(text) < 4 or key in _NAMES or text not in error.problem.text + error.problem.todo, (
                    f"an error shows {key}"
                )


def _reports_each_status(make: Factory, scene: MetricScene) -> None:
    """A refusal must not be a value, nor "no values": the user looks for the cause in the wrong place."""
    for status in STATUSES:
        for error in _errors(make(scene.settings), scene, HttpAnswer(status, b"told by the server")):
            assert isinstance(error, ProviderError), f"status {status} is {type(error).__name__}"
            assert error.problem.text and error.problem.todo, f"the error for status {status} lacks text or advice"


def _reports_each_failure(make: Factory, scene: MetricScene) -> None:
    """A request without an answer is thrown into the exchange as HttpFailure."""
    for kind in get_args(FailureKind):
        for error in _errors(make(scene.settings), scene, HttpFailure(kind, f"failure of kind {kind}")):
            assert isinstance(error, ProviderError), f"failure {kind} is {type(error).__name__}"
            assert kind in error.problem.text, f"the error does not say what failed: {error.problem.text}"


def _rejects_answers_of_another_kind(make: Factory, scene: MetricScene) -> None:
    """A sign-in page, half of an answer, or the answer of another system is never a value."""
    half = scene.good[-1].body[: len(scene.good[-1].body) // 2]
    other = b'{"what": ["is", {"this": null}]}'
    for body in (PAGE, half, other, b"\0\xff", b"[" * 10_000):
        answers = (*scene.good[:-1], HttpAnswer(200, body))
        with _raises(MetricError, f"the body {body[:40]!r}"):
            _play(make(scene.settings).query(scene.asked()), answers)


def _bounds_its_texts(make: Factory, scene: MetricScene) -> None:
    """A text goes into Events and conditions, which the API server bounds."""
    for status in (200, 500):
        with suppress(MetricError):
            answers = (*scene.good[:-1], HttpAnswer(status, b"x" * ECHO_MAX))
            _play(make(scene.settings).query(scene.asked()), answers)
    for error in _errors(make(scene.settings), scene, HttpAnswer(500, b"x" * ECHO_MAX)):
        size = len(error.problem.text)
        assert size <= 2 * TEXT_MAX, f"the text of an error has {size} characters, more than {2 * TEXT_MAX}"


def _rejects_settings_that_cannot_work(make: Factory, scene: MetricScene) -> None:
    """Settings are wrong before a request is sent. Errors other than ProviderError are reported as bugs."""
    bad = [replace(scene.settings, headers={"a b": ("x",)}), replace(scene.settings, secret={"other": b"x"})]
    bad += [replace(scene.settings, address=text) for text in ("nowhere", "ftp://x")]
    for settings in bad:
        with suppress(MetricError):
            next(make(settings).query(scene.asked()))


def _ends_when_it_is_closed(make: Factory, scene: MetricScene) -> None:
    """flagger closes an exchange when it shuts down. A request at that time would never be sent."""
    exchange = make(scene.settings).query(scene.asked())
    next(exchange)
    exchange.close()


def _probes(make: Factory, scene: MetricScene) -> None:
    """The probe accepts a good answer, and raises ProviderError for refused credentials."""
    provider = make(scene.settings)
    value, asked = _play(provider.online(), scene.online)
    assert value is None, f"online() returns {value!r}, not None"
    if asked:
        with _raises(ProviderError, "refused credentials"):
            _play(provider.online(), (HttpAnswer(401, b"who?"),))


Check = Callable[[Factory, MetricScene], None]
METRIC_CHECKS: tuple[Check, ...] = (
    _returns_the_value,
    _finds_no_values_in_an_empty_answer,
    _asks_the_same_again,
    _asks_only_its_address,
    _obeys_insecure_skip_verify,
    _sends_the_headers_of_the_template,
    _lets_flagger_hide_its_credentials,
    _keeps_credentials_out_of_its_texts,
    _reports_each_status,
    _reports_each_failure,
    _rejects_answers_of_another_kind,
    _bounds_its_texts,
    _rejects_settings_that_cannot_work,
    _ends_when_it_is_closed,
    _probes,
)


# Playing the other side ---------------------------------------------------------------------------------------------


def _play(exchange: Exchange[T], replies: tuple[Reply, ...]) -> tuple[T, list[HttpRequest]]:
    """Run an exchange on these replies, the last one repeated. Returns its result and its requests."""
    asked: list[HttpRequest] = []
    try:
        request = next(exchange)
        while True:
            asked.append(request)
            assert len(asked) <= REQUESTS_MAX, f"one query sends more than {REQUESTS_MAX} requests"
            reply = replies[min(len(asked), len(replies)) - 1]
            request = exchange.throw(reply) if isinstance(reply, HttpFailure) else exchange.send(reply)
    except StopIteration as stop:
        return stop.value, asked


def _requests(make: Factory, scene: MetricScene) -> list[HttpRequest]:
    provider = make(scene.settings)
    asked = _play(provider.query(scene.asked()), scene.good)[1]
    return [*asked, *_play(provider.online(), scene.online)[1]]


def _errors(provider: Provider, scene: MetricScene, reply: Reply) -> Iterator[MetricError]:
    """The error of the query for a reply to each of its requests."""
    for at in range(len(scene.good)):
        try:
            value, _ = _play(provider.query(scene.asked()), (*scene.good[:at], reply))
        except MetricError as error:
            yield error
        else:
            raise AssertionError(f"query() returns {value} for {_described(reply)}")


def _described(reply: Reply) -> str:
    return f"failure {reply.kind}" if isinstance(reply, HttpFailure) else f"status {reply.status}"


class _raises:
    """A context that demands an error, and lets all others through."""

    def __init__(self, kind: type[MetricError], about: str) -> None:
        self._kind, self._about = kind, about

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            raise AssertionError(f"query() accepts {self._about}; it must raise {self._kind.__name__}")
        if isinstance(error, MetricError) and not isinstance(error, self._kind):
            raise AssertionError(f"{self._about} is {type(error).__name__}, not {self._kind.__name__}: {error}")
        return isinstance(error, self._kind)
