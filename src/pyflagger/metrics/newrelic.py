"""New Relic's Insights query API, for MetricTemplates of type `newrelic`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    Exchange,
    NoValues,
    ProviderError,
    Question,
    Settings,
    ask,
    is_number,
    json_object,
    needed,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

ADDRESS = "https://insights-api.newrelic.com"
_NOT_NEWRELIC = "The server at this address does not speak the Insights query API. Check the address of your region."


class NewRelic:
    """One New Relic account. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        account, key = (needed(settings, name) for name in ("newrelic_account_id", "newrelic_query_key"))
        self._url = parse_address(settings.address or ADDRESS).join(f"/v1/accounts/{quote(account, safe='')}/query")
        self._headers = (*with_authorization(settings.headers, ""), ("X-Query-Key", key))
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The one number of the one result."""
        answer = yield from ask(self._request(question))
        results = json_object(answer, _NOT_NEWRELIC).get("results")
        if not isinstance(results, list):
            raise ProviderError("answer has no list of results", _NOT_NEWRELIC)
        if len(results) != 1 or not isinstance(results[0], dict):
            raise NoValues()
        return _number(results[0])

    def online(self) -> Exchange[None]:
        """The key may query the account."""
        yield from ask(self._request(Question("SELECT * FROM Metric")))

    def _request(self, question: Question) -> HttpRequest:
        nrql = f"{question.text.strip()} SINCE {int(question.interval)} seconds ago"
        return HttpRequest("GET", f"{self._url}?{urlencode({'nrql': nrql})}", self._headers, verify=self._verify)


def _number(result: dict[str, Any]) -> float:
    """`result`, or else the only numeric field, as of average() or count(). Raises NoValues."""
    found = [result["result"]] if "result" in result else list(result.values())
    numbers = [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) != 1 or not is_number(numbers[0]):
        raise NoValues()
    return float(numbers[0])
