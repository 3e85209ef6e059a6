"""One check of a share of bad requests against a limit: the probabilities of its outcomes.

The number of requests in a window is random. With `n` requests on average, the bad ones are Poisson(n p) and the good
ones Poisson(n (1 - p)), independent of each other. A fixed number of requests would be far too kind: at 100 requests,
0.5 % bad ones and a limit of 1 %, a check fails with 9 % instead of 22 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyflagger.foresight.poisson import Below, masses


@dataclass(frozen=True, slots=True)
class Odds:
    """Probabilities of the outcomes of one check. Otherwise it passes.

    `none`: without data, or with too few samples. `error`: the query fails. `edge`: the share is exactly the limit.
    That passes, but a provider's rounding may put it just over.
    """

    bad: float
    none: float = 0.0
    error: float = 0.0
    edge: float = 0.0

    @property
    def passed(self) -> float:
        """The probability that it passes."""
        return max(0.0, 1.0 - self.bad - self.none - self.error)


def odds(n: float, p: float, limit: float, *, least: int = 0, errors: float = 0.0) -> Odds:
    """The odds of a check with `n` requests on average and a share `p` of bad ones; more than `limit` fails.

    `least`: fewer requests than this are too few. `errors`: the share of queries that fail.
    """
    bad, edge = _over(n, p, limit, max(1, least))
    none, asked = Below(n)(max(1, least)), 1.0 - errors
    return Odds(bad * asked, none * asked, errors, edge * asked)


def _over(n: float, p: float, limit: float, least: int) -> tuple[float, float]:
    """P(share > limit) and P(share = limit), with at least `least` requests."""
    good, over, edge = Below(n * (1 - p)), 0.0, 0.0
    first, terms = masses(n * p)
    for bad, mass in enumerate(terms, first):
        bound = needed(bad, limit)
        floor = good(max(0, least - bad))
        over += mass * max(0.0, good(bound) - floor)
        if bad and bound < math.inf and _whole(bad, limit) and bad + bound >= least:
            edge += mass * (good(bound + 1) - good(bound))
    return over, edge


def needed(bad: int, limit: float) -> float:
    """How many good requests beside `bad` ones keep the share within the limit."""
    if limit < 0:
        return math.inf
    if bad == 0 or limit >= 1:
        return 0
    return math.inf if limit == 0 else math.ceil(_ratio(bad, limit) * (1 - 1e-12) - 1e-9)


def _ratio(bad: int, limit: float) -> float:
    return bad * (1 - limit) / limit


def _whole(bad: int, limit: float) -> bool:
    ratio = _ratio(bad, limit)
    return abs(ratio - round(ratio)) <= 1e-12 * ratio + 1e-9
