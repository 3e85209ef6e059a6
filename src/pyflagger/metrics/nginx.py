"""The built-in checks of provider `nginx`: ingress-nginx, or Traefik reading its annotations.

Their series share no labels, so the queries add both up. A cluster that migrates from one controller to the other is
measured by all of its traffic. Imported only by `builtin`.
"""

from __future__ import annotations

from pyflagger.metrics.dialect import Clue, Counter, Dialect, rate, scraped

_REQUESTS, _SECONDS = "nginx_ingress_controller_requests", "nginx_ingress_controller_response_duration_seconds"
_REQUESTS_T, _SECONDS_T = "traefik_service_requests_total", "traefik_service_request_duration_seconds"

_INGRESS = 'ingress="{{ ingress }}"'
# Several canaries may share an Ingress. ingress-nginx names a canary's backend after namespace, Service and port.
_OWN = 'canary!="", canary=~"{{ namespace }}-{{ service }}-canary-.+"'
_CANARY = f'namespace="{{{{ namespace }}}}", {_INGRESS}, {_OWN}'

# Traefik names a canary's backend after namespace, Ingress, Service and port of the main Ingress, joined by dashes. All
# of these may hold dashes, so the port is a number or this Service's own name for it: any name would also match a
# longer Service name with its port.
_INGRESS_T = 'service=~".+-{{ ingress }}-.+@kubernetesingressnginx"'
_CANARY_T = (
    'service=~"{{ namespace }}-{{ ingress }}-{{ service }}-([0-9]+|{{ variables.port_name }})'
    '-canary@kubernetesingressnginx"'
)


def _both(name: str, name_on_traefik: str, good: tuple[str, str] = ("", "")) -> str:
    return rate(f"{name}{{{_CANARY}{good[0]}}}", f"{name_on_traefik}{{{_CANARY_T}{good[1]}}}")


def _found(labels: str, labels_on_traefik: str) -> str:
    return f"count({_REQUESTS}{{{labels}}} or {_REQUESTS_T}{{{labels_on_traefik}}})"


_ALL = _both(_REQUESTS, _REQUESTS_T)
_GOOD = _both(_REQUESTS, _REQUESTS_T, (', status!~"5.*"', ', code!~"5.."'))

NGINX = Dialect(
    name="nginx",
    success=f"({_GOOD} or {_ALL} * 0) / {_ALL} * 100",
    requests=_ALL,
    duration=(
        f"{_both(f'{_SECONDS}_sum', f'{_SECONDS_T}_sum')} / {_both(f'{_SECONDS}_count', f'{_SECONDS_T}_count')} * 1000"
    ),
    counters=(Counter(_REQUESTS, _CANARY, 'status!~"5.*"'), Counter(_REQUESTS_T, _CANARY_T, 'code!~"5.."')),
    buckets=((f"{_SECONDS}_bucket", _CANARY), (f"{_SECONDS_T}_bucket", _CANARY_T)),
    bucket_unit=1.0,
    clues=(
        scraped("the ingress controller", _REQUESTS, _REQUESTS_T),
        Clue(
            _found(_INGRESS, _INGRESS_T),
            "Ingress {{ ingress }} received no requests. Check that its host resolves to the ingress controller,"
            " and that its backend is Service {{ service }} with a port of that Service.",
        ),
        Clue(
            _found(f'{_INGRESS}, exported_namespace=""', _INGRESS_T),
            "The series of Ingress {{ ingress }} have its namespace in the label exported_namespace; namespace is that"
            " of the controller. Scrape the controller with honorLabels: true, or give the metric a templateRef to a"
            " MetricTemplate that uses exported_namespace.",
        ),
        Clue(
            _found(f"{_INGRESS}, {_OWN}", _CANARY_T),
            "Ingress {{ ingress }} receives requests, but none reached the canary. Check that the load test calls the"
            " host of the Ingress and not the Service.",
        ),
    ),
)

OF_PRIMARY = ((_OWN, 'canary=""'), ("-canary@kubernetesingressnginx", "@kubernetesingressnginx"))
"""What the series of the main Ingress have instead, which carry the traffic of the primary."""
