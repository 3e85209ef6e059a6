"""States 27 to 42: checks of the new version fail, have no data, or cannot be asked."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from explain.corpus import Act, State
from explain.shop import Shop, promoted
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from stage import manifests
from stage.stage import vector
from stage.trouble import Answer, body, nothing, value

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
SLOW = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}}
TYPO = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1000}, "query": "rate(htpp_errors[1m])"}
BARE = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}}
LOOKED_UP = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1000}, "templateRef": {"name": "errors"}}
GATE = {"name": "ask", "type": "confirm-traffic-increase", "url": "http://gate.test/ask"}
PARSE = b'{"status":"error","errorType":"bad_data","error":"1:8: parse error: unexpected character"}'
EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'


def failing(answers: Answer, *metrics: Obj, **analysis: Any) -> Act:
    """A release whose first round fails."""

    async def made(shop: Shop) -> None:
        more = {"metrics": list(metrics)} if metrics else {}
        await shop.begin(analysis=manifests.analysis(**more, **analysis))
        await shop.release("2")
        await shop.until("Progressing")
        shop.answers = answers
        for _ in range(60):
            if await shop.halted():
                return
            await shop.passes(1)

    return made


async def closed(shop: Shop) -> None:
    """A gate is closed after the first step, and the checks are bad."""
    await shop.begin(analysis=manifests.analysis(webhooks=[GATE]))
    await shop.release_until("canaryWeight", 25)
    shop.answers = shut
    await shop.passes(12)


async def recovered(shop: Shop) -> None:
    """Checks pass again."""
    shop.answers = nothing
    await promoted(shop)


def silent(*, passing: int) -> Answer:
    """No data for each check. Of the queries that look for the reason, so many find series."""
    asked = 0

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        nonlocal asked
        if "/api/v1/query" not in request.url or "vector%28" in request.url:
            return None
        asked = 0 if "status%21" in request.url or "htpp" in request.url else asked + 1
        return HttpAnswer(200, vector("1") if 0 < asked <= passing else EMPTY)

    return answer


def sick(canary: str, primary: str) -> Answer:
    """Other values for the canary than for the primary, whose series have no `canary` label."""

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        of_primary = quote('canary=""') in request.url
        return await value(primary if of_primary else canary)(request)

    return answer


async def refused(request: HttpRequest) -> HttpAnswer | None:
    """No metric server runs."""
    if "/api/v1/query" not in request.url:
        return None
    raise HttpFailure("connect", "GET http://prometheus/api/v1/query: connection refused")


async def shut(request: HttpRequest) -> HttpAnswer | None:
    """The gate is closed, and the checks are bad."""
    if "gate.test" in request.url:
        return HttpAnswer(403, b"no")
    return await sick("50", "100")(request)


async def unusable(shop: Shop) -> None:
    """A metric with nothing to ask."""
    await shop.begin()
    await shop.stage.patch("Canary", "shop", {"spec": {"analysis": {"metrics": [BARE]}}})
    await shop.release("2")
    await shop.passes(25)


async def without_template(shop: Shop) -> None:
    """A metric refers to a MetricTemplate that does not exist."""
    await shop.begin(analysis=manifests.analysis(metrics=[LOOKED_UP]))
    await shop.release("2")
    await shop.passes(10)


async def without_secret(shop: Shop) -> None:
    """The MetricTemplate refers to a Secret that does not exist."""
    await shop.begin(analysis=manifests.analysis(metrics=[LOOKED_UP]))
    await shop.stage.create(template(secretRef={"name": "token"}))
    await shop.release("2")
    await shop.passes(10)


async def with_template(shop: Shop) -> None:
    """Somebody creates the MetricTemplate."""
    await shop.stage.create(template())
    await promoted(shop)


async def with_secret(shop: Shop) -> None:
    """Somebody creates the Secret."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"token": "dA=="}}
    await shop.stage.create(secret)
    await promoted(shop)


async def usable(shop: Shop) -> None:
    """Somebody gives the metric a query."""
    await shop.stage.patch("Canary", "shop", {"spec": {"analysis": {"metrics": [{**BARE, "query": "vector(1)"}]}}})
    await promoted(shop)


def template(**provider: Any) -> Obj:
    """A MetricTemplate."""
    asks = {"type": "prometheus", "address": "http://prometheus", **provider}
    spec = {"provider": asks, "query": "errors"}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": "errors"}, "spec": spec}


STATES = (
    State(27, failing(sick("93.1", "99.98")), "metric-bad", "the primary had 99.98% in the same window, so it is the",
          "Correct the new version", recovered, "success rate 93.10% < 99%", quick=True),
    State(28, failing(sick("612", "90"), SLOW), "metric-bad", "is 612ms, at most 500ms", "Correct the new version",
          recovered, "request duration 612ms > 500ms"),
    State(29, failing(sick("93.1", "94")), "metric-bad", "the primary had 94% in the same window, so it is not only",
          "Check what both versions use", recovered, "success rate 93.10% < 99%"),
    State(30, closed, "metric-bad", "is 50%", "Correct the new version", recovered,
          "success rate 50.00% < 99%"),
    State(32, failing(silent(passing=1)), "no-data", "not receiving traffic", "received no requests", recovered,
          "no values found", quick=True),
    State(33, failing(silent(passing=3)), "no-data", "not receiving traffic", "none reached the canary", recovered,
          "no values found"),
    State(34, failing(silent(passing=2)), "no-data", "not receiving traffic", "exported_namespace", recovered,
          "no values found"),
    State(35, failing(silent(passing=0), TYPO), "no-data", "no values found for metric: errors", "Try the query",
          recovered, "no values found for metric: errors"),
    State(36, failing(value("NaN")), "no-data", "not", "", recovered, "no values found"),
    State(37, failing(refused), "provider-away", "connection refused", "Check that the metrics server is reachable",
          recovered, "connection refused"),
    State(38, failing(body(401, b"no token")), "provider-error", "401", "", recovered, "401"),
    State(39, failing(body(400, PARSE)), "query-wrong", "1:8: parse error", "query", recovered, "parse error"),
    State(40, unusable, "metric-unusable", "(errors) has no query", "Add a query or a templateRef", usable,
          "has no query"),
    State(41, without_template, "template-missing", 'metrictemplate.flagger.app "errors" not found',
          "Create the MetricTemplate", with_template, "not found"),
    State(42, without_secret, "secret-missing", 'secrets "token" not found', "Create the Secret", with_secret,
          "not found"),
)  # fmt: skip


# Comparisons --------------------------------------------------------------------------------------------------------

COMPARED = {**RATE, "compare": {"warmUp": "1s"}}


def counts(bad: int) -> Answer:
    """So many failures in 100 requests of the canary, beside 9 in 900 of the primary, in each unit."""
    rows = {"canary all": 100, "canary good": 100 - bad, "primary all": 900, "primary good": 891}

    async def answer(request: HttpRequest) -> HttpAnswer | None:
        if "/api/v1/query_range" not in request.url and not request.body:
            return None
        asked = parse_qs(request.body.decode() if request.body else urlsplit(request.url).query)
        end = float(asked["end"][0])
        result = [{"metric": {"what": name}, "values": [[end, str(number)]]} for name, number in rows.items()]
        data = {"resultType": "matrix", "result": result}
        return HttpAnswer(200, json.dumps({"status": "success", "data": data}).encode())

    return answer


async def more_evidence(shop: Shop) -> None:
    """The next units speak for the canary."""
    shop.answers = counts(0)
    await promoted(shop)


MORE = (
    State(27, failing(counts(6), COMPARED), "inconclusive", "until there is more evidence", "flagger promote",
          more_evidence, "is worse than 1.25 times the primary's"),
)  # fmt: skip
"""A check of another kind."""
