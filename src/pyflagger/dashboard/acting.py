"""The handlers that ask the operator for something: act pages and their documents. Part of `server` unless read-only.

A request is a CanaryAction that the user creates with the user's own rights: the API server decides whether the user
may. Each page asks it first, by a dry run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from pyflagger.api import actions
from pyflagger.api.actions import Action, ActionSpec, written
from pyflagger.api.durations import parse
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.forms import FORMS, checked, spec_of, wrong
from pyflagger.dashboard.guard import same
from pyflagger.dashboard.problems import Refused, refused
from pyflagger.dashboard.rendering import rendered
from pyflagger.dashboard.visit import Visit, visit_of
from pyflagger.dashboard.watching import Opened, Sight
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import ACTIONS
from pyflagger.objects import Obj, part
from pyflagger.seeing import documents, raw
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.requests import gates, meaning, request_of, weight

FIELD_MANAGER = "flagger-dashboard"
WAIT_SECONDS_MAX = 30.0
POLL_SECONDS = 0.5
NO_KIND = "this cluster has no CanaryAction definition, so it takes no requests"

Open = Callable[[web.Request], Awaitable[Opened]]


class Acting:
    """The handlers. `opened` finds the canary of a path."""

    def __init__(self, clock: Clock, opened: Open) -> None:
        self._clock, self._opened = clock, opened

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""
        page, one = "/c/{ns}/{name}", "/api/v1/namespaces/{ns}/canaries/{name}/actions"
        return [
            web.get(page + "/act/{verb}", self._page),
            web.post(page + "/act/{verb}", self._act),
            web.get(page + "/requests/{request}", self._request),
            web.post(one, self._create),
        ]

    # Pages ----------------------------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        """What will happen, and whether the API server lets the user ask for it."""
        opened, verb, visit = await self._opened(request), _verb(request), visit_of(request)
        sight = _sight(opened)
        allowed, text = await self._verdict(visit, verb, request.query, sight, opened.now)
        return self._form(visit, sight, verb, request.query, allowed=allowed, verdict=text)

    def _form(
        self,
        visit: Visit,
        sight: Sight,
        verb: str,
        given: Mapping[str, str],
        *,
        allowed: bool,
        verdict: str,
        status: int = 200,
    ) -> web.Response:
        shown = {"verb": verb, "form": FORMS[verb], "view": sight.view, "weight": weight(sight.view)}
        more = {"gates": clean(gates(sight.look.canary)), "token": visit.token, "given": given, "by": visit.who.user}
        told = {"effect": clean(_effect(verb, sight, given)), "allowed": allowed, "verdict": clean(verdict)}
        page = rendered("act.html", site=visit.site, stream="", **told, **shown, **more)
        return web.Response(status=status, text=page, content_type="text/html")

    async def _verdict(
        self, visit: Visit, verb: str, given: Mapping[str, str], sight: Sight, now: float
    ) -> tuple[bool, str]:
        """The API server's answer to a dry run of the request."""
        if sight.view.operator.foreign:
            return False, "Flagger runs this canary, and takes no requests."
        try:
            filled = {"reason": "dry run", "weight": "0", "gate": "-", **{k: v for k, v in given.items() if v}}
            spec = spec_of(verb, filled, sight.view, _user(visit), now)
            await self._post(visit, sight, spec, dry_run=True)
        except Refused as error:
            return False, error.problem.text
        return True, "The API server accepts this request from you."

    async def _act(self, request: web.Request) -> web.Response:
        """Create the request, then show what becomes of it."""
        given = {name: str(value) for name, value in (await request.post()).items()}
        visit = visit_of(request)
        _check_token(given.get("token", ""), visit.token)
        opened, verb = await self._opened(request), _verb(request)
        sight = _sight(opened)
        try:
            spec = spec_of(verb, given, sight.view, _user(visit), opened.now)
            made = await self._post(visit, sight, spec, dry_run=False)
        except Refused as error:
            return self._form(visit, sight, verb, given, allowed=True, verdict=error.problem.text, status=error.status)
        row = sight.view.canary
        where = f"/c/{row.namespace}/{row.name}/requests/{made['metadata']['name']}"
        return web.Response(status=303, headers={"Location": where})

    async def _request(self, request: web.Request) -> web.Response:
        """What became of a request. The page loads itself again until the operator has decided."""
        visit, sight = visit_of(request), _sight(await self._opened(request))
        found = await self._read(visit, sight, request.match_info["request"])
        shown = clean(request_of(found))
        return web.Response(
            text=rendered("request.html", site=visit.site, stream="", view=sight.view, asked=shown),
            content_type="text/html",
        )

    async def _read(self, visit: Visit, sight: Sight, name: str) -> Obj:
        """A request of this canary. Raises Refused."""
        row = sight.view.canary
        try:
            found = await _client(visit).call("GET", ACTIONS.path(row.namespace, name))
        except ApiError as error:
            raise refused(error) from error
        if raw.text(part(found, "spec"), "canary") != row.name:
            text = f"{row.name} has no request {name}"
            raise Refused(404, Problem(Fault.MANIFEST, text, "Go back to the canary."))
        return found

    # Documents ------------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        """`spec` without canary and by. `?dryRun=All`: only ask the API server. `?wait=10s`: for the operator."""
        visit = visit_of(request)
        if visit.formed:
            _check_token(request.headers.get("X-Flagger-Token", ""), visit.token)
        if request.content_type != "application/json":
            raise Refused(415, Problem(Fault.MANIFEST, "the body is not of the type application/json"))
        sight = _sight(await self._opened(request))
        dry_run, wait = request.query.get("dryRun") == "All", _wait(request.query.get("wait", ""))
        body = await _body(request)
        fields = {"via": "api", **body, "canary": sight.view.canary.name, "by": _user(visit)}
        made = await self._post(visit, sight, checked(fields), dry_run=dry_run)
        if wait and not dry_run:
            made = await self._decided(visit, sight, made, wait)
        state = raw.text(part(made, "status"), "state")
        if state in ("Refused", "Expired"):
            text = raw.text(part(made, "status"), "text")
            code = raw.text(part(made, "status"), "code")
            raise Refused(409, Problem(Fault.MANIFEST, f"{code}: {text}" if code else text))
        return web.Response(status=201, body=orjson.dumps(documents.plain(made)), content_type="application/json")

    async def _decided(self, visit: Visit, sight: Sight, made: Obj, seconds: float) -> Obj:
        """The request once the operator has decided, or as it is when the time is over."""
        end = self._clock.monotonic() + seconds
        while not part(made, "status").get("state") and self._clock.monotonic() < end:
            await self._clock.sleep(POLL_SECONDS)
            made = await self._read(visit, sight, made["metadata"]["name"])
        return made

    # The request ----------------------------------------------------------------------------------------------------

    async def _post(self, visit: Visit, sight: Sight, spec: ActionSpec, *, dry_run: bool) -> Obj:
        """Create the request with the user's rights. Raises Refused."""
        row = sight.view.canary
        if sight.view.operator.foreign:
            raise Refused(409, Problem(Fault.CLUSTER, "Flagger runs this canary, and takes no requests"))
        visit.allowance.take()
        obj = actions.rendered(row.name, row.namespace, row.uid, written(spec))
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        try:
            return await _client(visit).call("POST", ACTIONS.path(row.namespace), obj, query=query)
        except NotFound as error:
            todo = "Install it: kubectl apply -k kustomize/crds"
            raise Refused(409, Problem(Fault.CLUSTER, NO_KIND, todo)) from error
        except Forbidden as error:
            todo = "Ask for a RoleBinding to the ClusterRole flagger-act."
            raise Refused(403, Problem(Fault.CLUSTER, error.problem.text, todo)) from error
        except ApiError as error:
            raise refused(error) from error


def _client(visit: Visit) -> Client:
    """The connection with the user's rights. Without one, there are no such routes."""
    assert visit.client is not None
    return visit.client


def _user(visit: Visit) -> str:
    if not visit.who.user:
        text = "the API server does not say who you are, so nothing can be asked for"
        raise Refused(403, Problem(Fault.CLUSTER, text, "Use the command line with --by."))
    return visit.who.user


def _verb(request: web.Request) -> str:
    verb = request.match_info["verb"]
    if verb not in FORMS:
        raise Refused(404, Problem(Fault.MANIFEST, f"there is no action {verb[:40]}", "Go back to the canary."))
    return verb


def _sight(opened: Opened) -> Sight:
    assert opened.sight is not None
    return opened.sight


def _effect(verb: str, sight: Sight, given: Mapping[str, str]) -> str:
    """What a form would do, as far as it is filled, in a sentence without a subject."""
    number, gate = given.get("weight", ""), given.get("gate", "") or "below"
    if verb == Action.WEIGHT and not (number.isascii() and number.isdigit()):
        return f"changes the canary's weight from {weight(sight.view)} to the number below, at once"
    spec = FORMS[verb].spec
    asked = ActionSpec.model_construct(
        action=spec["action"], full="full" in spec, gate=gate, weight=int(number[:9]) if number.isdigit() else None
    )
    return meaning(asked, sight.view)


def _check_token(given: str, token: str) -> None:
    if not same(given, token):
        todo = "Reload the page, and send the form again."
        raise Refused(403, Problem(Fault.MANIFEST, "the form is not of this session", todo))


async def _body(request: web.Request) -> Mapping[str, Any]:
    try:
        found = orjson.loads(await request.read())
    except ValueError as error:
        raise wrong("the body is no JSON") from error
    if not isinstance(found, dict):
        raise wrong("the body is no object")
    return found


def _wait(text: str) -> float:
    try:
        return min(WAIT_SECONDS_MAX, parse(text)) if text else 0.0
    except ValueError as error:
        raise wrong(f"wait={text[:40]} is no duration such as 10s") from error
