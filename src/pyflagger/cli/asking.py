"""What every command that steers a release does: read the canary, confirm, create a request, wait for its answer.

It imports the read model and the models of the API when a command runs: completion has no time for them.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pyflagger.api.durations import epoch_or_none, show, stamp
from pyflagger.api.settings import features_of
from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.completing import names
from pyflagger.cli.listing import rendered as formatted
from pyflagger.cli.people import Duration
from pyflagger.cli.single import Seen, key_of, seen
from pyflagger.cli.text import say, screen
from pyflagger.kube.client import ApiError, Client, Forbidden, NotFound
from pyflagger.kube.errors import Unreachable
from pyflagger.kube.resources import ACTIONS
from pyflagger.objects import Key, Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import CanaryView

if TYPE_CHECKING:
    from pyflagger.api.actions import ActionSpec

FIELD_MANAGER = "flagger-cli"
"""Not `kubectl…`: Flux removes the fields of managers with such a name."""

NOTE_SECONDS = 5.0
"""The time without an answer after which a person learns that no operator has taken the request."""

WAIT_SECONDS = 10.0
EXPIRES_SECONDS_MAX = 86400.0
REFUSED, UNANSWERED, UNSUPPORTED, EXPIRED = 3, 4, 5, 6
STATES = {"Done": 0, "Refused": REFUSED, "Expired": EXPIRED}
FEATURE = "actions"
"""The feature of the operator, as it publishes it."""

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Manner(NamedTuple):
    """How a request is made: the options that all of these commands share. Durations in seconds.

    `wait`: for the answer of the operator; 0: not at all. `expires`: after its creation.
    """

    reason: str = ""
    by: str = ""
    revision: str = ""
    expires: float = 600.0
    wait: float = WAIT_SECONDS
    dry_run: bool = False
    yes: bool = False
    output: str | None = None


class Ask(NamedTuple):
    """What is asked for: the fields of the request that are of this action, by their names in JSON.

    `grave`: it needs a reason and a confirmation, `reasoned`: a reason. `any_revision`: it is for the revision that
    is there when the operator takes it, because it moves no traffic. `lasting`: seconds until the end of a pause.
    """

    spec: Mapping[str, Any]
    grave: bool = False
    reasoned: bool = False
    any_revision: bool = False
    lasting: float | None = None


def asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument NAME and the options of every command that creates a request; it gets them as `manner`."""

    @wraps(function)
    def run(
        *args: Any,
        reason: str,
        by: str,
        revision: str,
        expires: float,
        wait: float,
        dry_run: str,
        yes: bool,
        output: str | None,
        **more: Any,
    ) -> Any:
        manner = Manner(reason, by, revision, expires, wait, dry_run == "server", yes, output)
        return function(*args, manner=manner, **more)

    for option in reversed(OPTIONS):
        run = option(run)
    return run


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument NAME. It precedes the other arguments, so it is added last."""
    return click.argument("name", shell_complete=names)(function)


OPTIONS = (
    click.option("-m", "--reason", default="", show_default=False, help="why; Events, alerts and the history show it"),
    click.option("--by", default="", show_default=False, help="who asks; default: the user that the API server knows"),
    click.option(
        "--revision", default="", show_default=False, help="refused if the target has another revision by then"
    ),
    click.option("--expires", type=Duration(), default="10m", help="the operator takes it within this time, or never"),
    click.option("--wait", type=Duration(), default="10s", help="how long to wait for the answer; 0: not at all"),
    click.option(
        "--dry-run", type=click.Choice(("none", "server")), default="none", help="server: only check rights and rules"
    ),
    click.option("-y", "--yes", is_flag=True, help="do not ask for confirmation"),
    click.option("-o", "--output", type=click.Choice(("json", "yaml", "name")), help="print the request in this form"),
)


async def ask(cluster: Cluster, name: str, what: Ask, manner: Manner) -> int:
    """Ask the operator. Returns the exit status. Raises Wrong and ApiErrors."""
    key = key_of(name, cluster.namespace)
    asked = _asked(key, what, manner)
    _check(asked, what, manner)
    found = await seen(cluster, name)
    asked = _timed(asked, what, manner, found)
    if reason := _untaken(key, found):
        raise Wrong(f"{reason}. {by_hand(asked, found)}".strip(), UNSUPPORTED)
    if what.grave and not (manner.yes or manner.dry_run):
        _confirm(cluster, key, asked, found.view)
    asked = asked.model_copy(update={"by": manner.by or await whoami(cluster.client)})
    made = await create(cluster, found, asked, dry_run=manner.dry_run)
    head = f"{verb(asked)} {key}"
    if manner.dry_run:
        return _told(made, manner, f"{head}: the API server would accept the request (dry run)", 0)
    if not manner.wait:
        return _told(made, manner, f"{head}: asked for by the request {made['metadata']['name']}", 0)
    return _answer(head, await _answered(cluster, made, manner.wait), manner)


def _asked(key: Key, what: Ask, manner: Manner) -> ActionSpec:
    """The request as far as the command line says it. Raises Wrong."""
    from pyflagger.api.actions import REASON_MAX, ActionSpec, one_line

    reason = one_line(manner.reason)[:REASON_MAX]
    fields = {"canary": key.name, "by": manner.by or "-", "reason": reason, "via": "cli", **what.spec}
    try:
        return ActionSpec.model_validate({name: value for name, value in fields.items() if value != ""})
    except ValueError as error:
        raise Wrong(f"the request is invalid: {error}", 2) from error


def _untaken(key: Key, found: Seen) -> str:
    """Why no operator would take a request, as far as the status and the settings of the operator say it; or empty."""
    if found.view.operator.foreign:
        return f"{key} is run by Flagger, which takes no requests"
    state = features_of(found.look.settings.get("features", "")).get(FEATURE, "on")
    return "" if state == "on" else f"the operator of {key} takes no requests ({state.rstrip('. ')})"


def verb(asked: ActionSpec) -> str:
    """The action, or `promote-full`."""
    from pyflagger.api import actions

    return actions.verb(asked)


def _check(asked: ActionSpec, what: Ask, manner: Manner) -> None:
    """Raises Wrong where the command line alone is enough to refuse."""
    if (what.grave or what.reasoned) and not asked.reason:
        raise Wrong(f"{verb(asked)} needs a reason: say why with -m", 2)
    if not 1 <= manner.expires <= EXPIRES_SECONDS_MAX:
        raise Wrong(f"--expires {show(manner.expires)}: choose a time from 1s to {show(EXPIRES_SECONDS_MAX)}", 2)
    if what.grave and not (manner.yes or manner.dry_run or terminal()):
        raise Wrong(f"{verb(asked)} needs a confirmation, and there is no terminal: add -y", 2)
    if asked.until and epoch_or_none(asked.until) is None:
        raise Wrong(f"--until {asked.until}: write a time such as 2026-05-31T14:00:00Z", 2)


def _timed(asked: ActionSpec, what: Ask, manner: Manner, found: Seen) -> ActionSpec:
    """The request with its times, by the server's clock, and the revision that it is for. Raises Wrong."""
    now, current = found.look.now, "" if what.any_revision else found.view.target.revision or ""
    end = epoch_or_none(asked.until) if asked.until else None
    if end is not None and end <= now:
        raise Wrong(f"--until {asked.until}: this time is over; the server's clock says {stamp(now)}", 2)
    until = {} if what.lasting is None else {"until": stamp(now + what.lasting)}
    update = {"revision": manner.revision or current, "expires": stamp(now + manner.expires)}
    return asked.model_copy(update={**update, **until})


# Before --------------------------------------------------------------------------------------------------------------


def terminal() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """A person's answer. Ctrl-C raises click.Abort: the handler of asyncio would wait for the answer first."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, err=True)
    finally:
        signal.signal(signal.SIGINT, before)


def _confirm(cluster: Cluster, key: Key, asked: ActionSpec, view: CanaryView) -> None:
    from pyflagger.seeing.requests import meaning, running, weight

    old, new = running(view)
    facts = {
        "Context": cluster.context or "-",
        "Namespace": key.namespace,
        "Canary": f"{key.name}, {view.canary.phase or 'new'}, weight {weight(view)} %",
        "Images": f"{old} (primary), {new} (target)",
        "Effect": meaning(asked, view),
    }
    question = "\n".join(clean(f"{name:<10} {value}") for name, value in facts.items())
    if not confirmed(f"{question}\n{verb(asked)} {key}?"):
        raise Wrong("not confirmed: nothing was asked for", 2)


async def whoami(client: Client) -> str:
    """The name that the API server has for this user. Raises Wrong."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        found = await client.call("POST", REVIEW, body)
    except (NotFound, Forbidden) as error:
        raise Wrong(f"the API server does not say who you are ({error}): set --by", 1) from error
    user = raw.text(part(part(found, "status"), "userInfo"), "username")
    if not user:
        raise Wrong("the API server does not know your name: set --by")
    return user


# The request ----------------------------------------------------------------------------------------------------------


async def create(cluster: Cluster, found: Seen, asked: ActionSpec, *, dry_run: bool = False) -> Obj:
    """Create the request. Raises Wrong and ApiErrors."""
    from pyflagger.api.actions import rendered, written

    key = Key(found.view.canary.namespace, found.view.canary.name)
    query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
    obj = rendered(key.name, key.namespace, found.view.canary.uid, written(asked))
    try:
        return await cluster.client.call("POST", ACTIONS.path(key.namespace), obj, query=query)
    except NotFound as error:
        raise Wrong(f"{NO_KIND}. {by_hand(asked, found)}".strip(), UNSUPPORTED) from error
    except Forbidden as error:
        raise Wrong(_forbidden(error, key.namespace, asked.by)) from error
    except Unreachable as error:
        raise Wrong(f"{error}; whether the request exists is not known: see `flagger actions {key.name}`") from error
    except asyncio.CancelledError:
        print(f"interrupted: the request may exist: see `flagger actions {key.name}`", file=sys.stderr)
        raise


NO_KIND = "this cluster has no CanaryAction definition, so it takes no requests: kubectl apply -k kustomize/crds"


def _forbidden(error: ApiError, namespace: str, user: str) -> str:
    """The API server's words, and what to ask for if the role is missing. A policy says that itself."""
    text = error.problem.text.rstrip(". ")
    if "ValidatingAdmissionPolicy" in text:
        return text
    name = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")
    _, account, rest = user.partition("system:serviceaccount:")
    subject = f"--serviceaccount={rest}" if account else f"--user={user}"
    command = ["kubectl", "create", "rolebinding", f"flagger-act-{name}", "--clusterrole=flagger-act", subject]
    return f"{text}. Ask for the right: {shlex.join([*command, '-n', namespace])}"


def by_hand(asked: ActionSpec, found: Seen) -> str:
    """What a person can do without a request, empty if there is nothing. flagger never does it by itself."""
    head, target = found.view.canary, found.view.target
    canary = f"canary {head.name}"
    retried = {"template": {"metadata": {"annotations": {"retried-at": stamp(found.look.now)}}}}
    ways: dict[str, tuple[str, Obj]] = {
        "pause": (canary, {"suspend": True}),
        "resume": (canary, {"suspend": False}),
        "promote-full": (canary, {"skipAnalysis": True}),
        "retry": (f"{target.kind.lower()} {target.name}", retried),
    }
    if verb(asked) not in ways:
        return ""
    what, changed = ways[verb(asked)]
    command = shlex.join(["kubectl", "patch", *what.split(), "-n", head.namespace, "--type=merge"])
    way = f"{command} -p {shlex.quote(json.dumps({'spec': changed}))}"
    return f"By hand: {way} (if Git manages the object, change it there: Git reverts the patch)"


# The answer -----------------------------------------------------------------------------------------------------------


async def _answered(cluster: Cluster, made: Obj, seconds: float) -> Obj:
    """The request once the operator has decided, or as it is when the time is over. Raises Wrong."""
    try:
        return await _decided(cluster, made, seconds)
    except asyncio.CancelledError:
        print(f"interrupted: the request {made['metadata']['name']} stands", file=sys.stderr)
        raise


async def _decided(cluster: Cluster, made: Obj, seconds: float) -> Obj:
    from pyflagger.seeing.follow import Follower, Selected

    meta, clock = made["metadata"], cluster.clock
    what, begin, noted = Selected(ACTIONS, meta["namespace"], meta["name"]), clock.monotonic(), False
    follower = Follower(cluster.client, clock)
    try:
        await follower.follow(what)
        while True:
            if isinstance(follower.refusal(what), Forbidden):
                return made
            stored = next(iter(follower.objects(what)), None)
            if stored is None:
                raise Wrong(f"the request {meta['name']} was deleted before the operator took it")
            passed = clock.monotonic() - begin
            if part(stored, "status").get("state") or passed >= seconds:
                return stored
            if passed >= NOTE_SECONDS and not noted:
                noted = True
                print(f"No operator has taken the request yet. {_until(stored)}", file=sys.stderr)
            await follower.change((seconds if noted else min(seconds, NOTE_SECONDS)) - passed)
    finally:
        await follower.stop()


def _until(made: Obj) -> str:
    return f"It expires at {raw.text(part(made, 'spec'), 'expires')}."


def _answer(head: str, found: Obj, manner: Manner) -> int:
    """Print the answer of the operator. Returns the exit status."""
    status, name = part(found, "status"), found["metadata"]["name"]
    state, text = raw.text(status, "state"), raw.text(status, "text")
    if state == "Done":
        return _told(found, manner, f"{head}: {text or 'the operator acts on it'}", 0)
    if state in STATES:
        return _told(found, manner, f"{head}: {state.lower()}: {text}", STATES[state])
    what = f"no operator has answered within {show(manner.wait)}; the request {name} stands. {_until(found)}"
    return _told(found, manner, f"{head}: {what}", UNANSWERED)


def _told(found: Obj, manner: Manner, text: str, status: int) -> int:
    """Print the request as asked for, or the text: on stderr if the request was not carried out."""
    if manner.output == "name":
        print(f"canaryaction.flagger.app/{found['metadata'].get('name', '')}")
    elif manner.output:
        print(formatted(found, manner.output))
    if status:
        print(clean(text), file=sys.stderr)
    elif not manner.output:
        say(clean(text), screen())
    return status
