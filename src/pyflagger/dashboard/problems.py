"""Errors as answers: a page for people, `application/problem+json` for programs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pyflagger.api.facts import Fault, Problem
from pyflagger.kube.errors import ApiError, Forbidden, Invalid, NotFound
from pyflagger.seeing.cleaning import clean


class Refused(Exception):
    """A request that gets no answer. `status` is the HTTP status."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.text)
        self.status, self.problem = status, problem


def refused(error: ApiError) -> Refused:
    """The answer to an error of the API server: 404, 403 with its words, or 503 while it is away."""
    if isinstance(error, NotFound):
        return Refused(404, error.problem)
    if isinstance(error, Forbidden):
        return Refused(403, Problem(Fault.CLUSTER, error.problem.text, "Ask for the right."))
    if isinstance(error, Invalid):
        return Refused(422, Problem(Fault.MANIFEST, error.problem.text, "Go back and correct it."))
    todo = "Check that the API server is reachable, then reload."
    return Refused(503, Problem(Fault.CLUSTER, error.problem.text, todo))


def title(status: int) -> str:
    """The name of a status."""
    return HTTPStatus(status).phrase


def document(error: Refused) -> dict[str, Any]:
    """The body of a problem, as RFC 9457 has it, with whose fault it is and what to do."""
    problem = error.problem
    return {
        "type": "about:blank",
        "title": title(error.status),
        "status": error.status,
        "detail": clean(problem.text),
        "fault": str(problem.fault),
        "todo": clean(problem.todo),
    }
