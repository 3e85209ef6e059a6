"""Any HTTP server, by CloudEvents 1.0 in structured mode."""

from __future__ import annotations

from urllib.parse import quote

from pyflagger.alerts.base import Alert, Exchange, Settings, bearer, parsed, post
from pyflagger.api.durations import precise_stamp

EVENT_TYPE = "app.flagger.canary.alert"


class Webhook:
    """One webhook. A token goes into `Authorization: Bearer`. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        parsed(settings.address)
        self._settings = settings

    def send(self, alert: Alert) -> Exchange[None]:
        """Post an event. A receiver that knows its `id` already may ignore it."""
        space, name = quote(alert.namespace, safe=""), quote(alert.name, safe="")
        event = {
            "specversion": "1.0",
            "id": alert.id,
            "source": f"/apis/flagger.app/v1beta1/namespaces/{space}/canaries/{name}",
            "type": EVENT_TYPE,
            "subject": f"{alert.namespace}/{alert.name}",
            "time": precise_stamp(alert.time),
            "severity": alert.severity,
            "datacontenttype": "application/json",
            "data": {
                "name": alert.name,
                "namespace": alert.namespace,
                "cluster": alert.cluster,
                "severity": alert.severity,
                "message": alert.text,
                "fields": dict(alert.fields),
                **({"link": alert.about.link} if alert.about.link else {}),
            },
        }
        headers = bearer(self._settings.token)
        yield from post(self._settings.address, event, headers, "application/cloudevents+json")
