"""The kit for metric providers: ours pass, and each way of being broken is caught and named."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyflagger.metrics.base import (
    Exchange,
    NoValues,
    ProviderError,
    Question,
    Settings,
    ask,
    json_object,
    needed,
)
from pyflagger.metrics.registry import provider_for
from pyflagger.metrics.web import Web
from pyflagger.testing import METRIC_CHECKS, MetricScene, NotConforming, check_metric_provider
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

SECRET = "hunter2-a9"


def body(value: Any) -> tuple[HttpAnswer, ...]:
    """One answer."""
    return (HttpAnswer(200, value.encode() if isinstance(value, str) else json.dumps(value).encode()),)


def scene(
    query: str, good: Any, empty: Any, secret: dict[str, str], address: str = "http://metrics:80/x"
) -> MetricScene:
    """A scene whose value is 7."""
    settings = Settings(address, secret={key: text.encode() for key, text in secret.items()})
    return MetricScene(settings, query, body(good), 7.0, body(empty))


VECTOR: dict[str, Any] = {"data": {"resultType": "vector", "result": [{"value": [1, "7"]}]}}
TABLE = "#datatype,string,long,double\n#group,false,false,false\n#default,_result,,\n,result,table,_value\n,,0,7\n"
EVENTS = 'event: data\ndata: {"data": [{"tsId": "A", "value": 7}]}\n\n'
SCENES = {
    "prometheus": replace(
        scene("up", VECTOR, {"data": {"resultType": "vector", "result": []}}, {"token": SECRET}),
        online=body({"data": {"resultType": "vector", "result": [{"value": [1, "1"]}]}}),
    ),
    "datadog": scene(
        "avg:x{*}",
        {"series": [{"pointlist": [[1000, 7]]}]},
        {"series": []},
        {"datadog_api_key": SECRET, "datadog_application_key": SECRET},
    ),
    "dynatrace": scene("x", {"result": [{"data": [{"values": [7]}]}]}, {"result": []}, {"dynatrace_token": SECRET}),
    "graphite": replace(
        scene("target=x", [{"datapoints": [[7, 1]]}], [], {"username": "user", "password": SECRET}), online=body([])
    ),
    "newrelic": scene(
        "SELECT 1",
        {"results": [{"result": 7}]},
        {"results": []},
        {"newrelic_account_id": "42", "newrelic_query_key": SECRET},
    ),
    "influxdb": replace(scene("buckets()", TABLE, "", {"token": SECRET, "org": "acme"}), online=body("")),
    "splunk": scene("x", EVENTS, EVENTS.replace("7", "null"), {"sf_token_key": SECRET}),
    "web": scene("$.rate", {"rate": 7}, {}, {"X-Login": SECRET}),
    "externalmetrics": scene("shop/m", {"items": [{"value": "7"}]}, {"items": []}, {"token": SECRET}),
    "stackdriver": scene(
        "fetch x",
        {"timeSeriesData": [{"pointData": [{"values": [{"doubleValue": 7}]}]}]},
        {},
        {"project": "acme"},
        "https://monitoring-acme.googleapis.com",
    ),
    "keptn": scene("keptnmetric/shop/lag", {"status": {"value": "7"}}, {"status": {"value": "NaN"}}, {}, ""),
}
CLOUDWATCH = scene(
    '[{"id": "e1"}]', {"MetricDataResults": [{"Values": [7]}]}, {"MetricDataResults": []}, {}, "http://metrics:80"
)
SCENES["cloudwatch"] = replace(CLOUDWATCH, settings=replace(CLOUDWATCH.settings, region="eu-west-1"))


@pytest.mark.parametrize("kind", SCENES)
def test_ours_conform(kind: str) -> None:
    """Every built-in provider passes every check."""
    factory = provider_for(kind)
    assert callable(factory)
    assert len(check_metric_provider(factory, SCENES[kind])) == len(METRIC_CHECKS)


class Toy:
    """A provider as plugins are: `{"value": 7}` of one address, with a token."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.token = settings, needed(settings, "token")

    def request(self, question: Question) -> HttpRequest:
        """The request of a query."""
        theirs = tuple((name, value) for name, values in self.settings.headers.items() for value in values)
        headers = (*theirs, ("Authorization", f"Bearer {self.token}"))
        return HttpRequest("GET", f"{self.settings.address}/{question.text}", headers, verify=self.settings.verify)

    def value(self, answer: HttpAnswer) -> float:
        """The value of an answer."""
        found = json_object(answer, "Check the address.")
        if "value" not in found:
            raise ProviderError("the answer has no value", "Check the address.")
        if found["value"] is None:
            raise NoValues()
        return float(found["value"])

    def query(self, question: Question) -> Exchange[float]:
        """One request."""
        answer = yield from ask(self.request(question))
        return self.value(answer)

    def online(self) -> Exchange[None]:
        """Any answer of success."""
        yield from ask(self.request(Question("")))


TOY = MetricScene(
    Settings("http://metrics:80/x", secret={"token": SECRET.encode()}),
    "x",
    body({"value": 7}),
    7.0,
    body({"value": None}),
)


class Zero(Toy):
    """Takes nothing for 0."""

    def value(self, answer: HttpAnswer) -> float:
        return float(json_object(answer, "").get("value") or 0)


class Text(Toy):
    """Returns a text."""

    def value(self, answer: HttpAnswer) -> Any:
        return str(super().value(answer))


class Double(Toy):
    """Returns another number."""

    def value(self, answer: HttpAnswer) -> float:
        return 2 * super().value(answer)


class Counting(Toy):
    """Keeps state between queries."""

    _seen = itertools.count()

    def request(self, question: Question) -> HttpRequest:
        return super().request(Question(f"{question.text}?at={next(self._seen)}"))


class Elsewhere(Toy):
    """Sends the token to another server."""

    def request(self, question: Question) -> HttpRequest:
        return replace(super().request(question), url="https://collector.example.com/x")


class Trusting(Toy):
    """Verifies no certificate."""

    def request(self, question: Question) -> HttpRequest:
        return replace(super().request(question), verify=False)


class Strict(Toy):
    """Ignores insecureSkipVerify."""

    def request(self, question: Question) -> HttpRequest:
        return replace(super().request(question), verify=True)


class Headless(Toy):
    """Forgets the headers of the template."""

    def request(self, question: Question) -> HttpRequest:
        return replace(super().request(question), headers=super().request(question).headers[-1:])


class InTheQuery(Toy):
    """Puts the token where flagger does not look for it."""

    def request(self, question: Question) -> HttpRequest:
        request = super().request(question)
        return replace(request, url=f"{request.url}?t={self.token}", headers=request.headers[:-1])


class Talkative(Toy):
    """Shows the token in an error."""

    def query(self, question: Question) -> Exchange[float]:
        try:
            return (yield from super().query(question))
        except ProviderError as error:
            raise ProviderError(f"{error} with {self.token}", "Check it.") from error


class Blind(Toy):
    """Looks at no status."""

    def query(self, question: Question) -> Exchange[float]:
        try:
            answer = yield self.request(question)
        except HttpFailure as failure:
            raise ProviderError(str(failure), "Check it.") from failure
        return 7.0 if answer.status != 200 else self.value(answer)


class Surprised(Toy):
    """Knows no failures."""

    def query(self, question: Question) -> Exchange[float]:
        answer = yield self.request(question)
        if answer.status != 200:
            raise ProviderError(f"Status {answer.status}", "Check it.")
        return self.value(answer)


class Silent(Toy):
    """Gives no advice."""

    def query(self, question: Question) -> Exchange[float]:
        try:
            return (yield from super().query(question))
        except ProviderError as error:
            raise ProviderError(str(error)) from error


class Confused(Toy):
    """Takes a refusal for no values."""

    def query(self, question: Question) -> Exchange[float]:
        try:
            return (yield from super().query(question))
        except ProviderError as error:
            raise NoValues(str(error)) from error


class Lenient(Toy):
    """Takes the first digit or 0, whatever it is."""

    def value(self, answer: HttpAnswer) -> float:
        if b"null" in answer.body:
            raise NoValues()
        digits = [char for char in answer.text() if char.isdigit()]
        return float(digits[0]) if digits else 0.0


class Quoting(Surprised):
    """Quotes whole answers."""

    def query(self, question: Question) -> Exchange[float]:
        try:
            answer = yield self.request(question)
        except HttpFailure as failure:
            raise ProviderError(str(failure), "Check it.") from failure
        if answer.status != 200:
            raise ProviderError(f"Status {answer.status}: {answer.body.decode()}", "Check it.")
        return self.value(answer)


class Fragile(Toy):
    """Breaks on settings instead of refusing them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.token = settings, (settings.secret or {})["token"].decode()


class Clinging(Toy):
    """Asks once more when it is closed."""

    def query(self, question: Question) -> Exchange[float]:
        try:
            return (yield from super().query(question))
        except GeneratorExit:
            yield self.request(question)
            raise


class Restless(Toy):
    """Never ends."""

    def query(self, question: Question) -> Exchange[float]:
        while True:
            yield from ask(self.request(question))


class Credulous(Toy):
    """Is online whatever is answered."""

    def online(self) -> Exchange[None]:
        yield self.request(Question(""))


BROKEN: dict[type[Toy], str] = {
    Zero: "finds no values in an empty answer",
    Text: "returns the value",
    Double: "returns the value",
    Counting: "asks the same again",
    Elsewhere: "asks only its address",
    Trusting: "obeys insecure skip verify",
    Strict: "obeys insecure skip verify",
    Headless: "sends the headers of the template",
    InTheQuery: "lets flagger hide its credentials",
    Talkative: "keeps credentials out of its texts",
    Blind: "reports each status",
    Surprised: "reports each failure",
    Silent: "reports each status",
    Confused: "reports each status",
    Lenient: "rejects answers of another kind",
    Quoting: "bounds its texts",
    Fragile: "rejects settings that cannot work",
    Clinging: "ends when it is closed",
    Restless: "returns the value",
    Credulous: "probes",
}


def test_the_toy_conforms() -> None:
    """What is broken below is broken in one way."""
    assert len(check_metric_provider(Toy, TOY)) == len(METRIC_CHECKS)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_what_is_broken_is_caught(broken: type[Toy]) -> None:
    """By the check of its name."""
    with pytest.raises(NotConforming) as caught:
        check_metric_provider(broken, TOY)
    assert BROKEN[broken] in {name for name, _ in caught.value.failures}, caught.value


def test_the_example_of_the_docs_conforms() -> None:
    """The page's code runs as it is."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text()
    section = page.partition("## Writing a metric provider")[2].partition("\n## ")[0]
    code = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    ") or not line)
    names: dict[str, Any] = {}
    exec(code, names)
    names["test_it_conforms"]()


def test_web_is_a_plugin_like_any_other() -> None:
    """The kit takes the class itself."""
    assert check_metric_provider(Web, SCENES["web"])
