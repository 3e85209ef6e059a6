"""Task type `concord`: run a flow of a Concord server as a test.

Pure. The runner waits for the result. Concord's processes end as FINISHED, FAILED, CANCELLED or TIMED_OUT.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.wire import HttpAnswer, HttpRequest

from .metadata import BadTask, base_url, positive, required
from .remote import REQUEST_WITHIN, Failed, Remote, Unusable, document

REQUIRED = ("server", "org", "project", "repo", "entrypoint", "apiKeyPath", "endpoint")
INTERVAL, WITHIN = 5, 30
"""Default seconds between polls, and until the process must have finished."""

_ARGUMENT = "arguments."
_FAILED = {"FAILED": "failed", "CANCELLED": "was cancelled", "TIMED_OUT": "timed out"}


def read(metadata: Mapping[str, str]) -> tuple[str, Remote]:
    """The text of the task, for logs and `-allowed-commands`, and the test. Raises BadTask."""
    server, org, project, repo, entrypoint, key_path, endpoint = required("concord", metadata, REQUIRED)
    url = f"{base_url(server)}/api/v1/process"
    if "arguments.endpoint" in metadata:
        raise BadTask("arguments.endpoint cannot be set: set endpoint")
    fields = {"org": org, "project": project, "repo": repo, "entryPoint": entrypoint, "arguments.endpoint": endpoint}
    fields |= {key: value for key, value in metadata.items() if key.startswith(_ARGUMENT)}
    within = positive(metadata, "pollTimeout", WITHIN)
    remote = Remote(
        name="concord",
        start=_form(url, fields),
        started=_started,
        poll=lambda instance: HttpRequest("GET", f"{url}/{instance}", timeout=REQUEST_WITHIN),
        ended=_ended,
        stop=lambda instance: HttpRequest("DELETE", f"{url}/{instance}"),
        interval=positive(metadata, "pollInterval", INTERVAL),
        within=within,
        overdue=f"concord process timed out, after {within} seconds",
        key_path=key_path,
    )
    return f"{url} {org} {project} {repo} {entrypoint}", remote


def _form(url: str, fields: Mapping[str, str]) -> HttpRequest:
    """The fields as multipart/form-data. A name or value that contains the boundary is an error of the caller."""
    boundary = "flagger-7d1b0c5e9a2f4863"
    lines = []
    for name, value in fields.items():
        if boundary in name + value or any(one in '"\r\n' for one in name):
            raise BadTask(f"{name!r} cannot be sent to concord as a form field")
        lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", value]
    body = "\r\n".join([*lines, f"--{boundary}--", ""]).encode()
    headers = (("Content-Type", f"multipart/form-data; boundary={boundary}"),)
    return HttpRequest("POST", url, headers, body, timeout=REQUEST_WITHIN, redirects=0)


def _started(answer: HttpAnswer) -> str:
    instance = document("concord", answer).get("instanceId")
    if not isinstance(instance, str) or not instance.replace("-", "").isalnum():
        raise Unusable(f"concord did not start a process: {answer.summary(200)}")
    return instance


def _ended(instance: str, answer: HttpAnswer) -> str | None:
    status = document("concord", answer).get("status")
    if status in _FAILED:
        raise Failed(f"concord instanceID: {instance} {_FAILED[status]}")
    return "FINISHED" if status == "FINISHED" else None
