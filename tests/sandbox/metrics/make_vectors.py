"""Asks a real Prometheus for the answers in vectors.json.

    python tests/sandbox/metrics/make_vectors.py [FILE]    (both commands on PATH; 2.42 made the committed one)

Samples never lie exactly on a window's edge, where Prometheus 2 and 3 differ.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BASE = 1_700_000_000
STEP = 5
COUNT = 80
END = BASE + STEP * COUNT
AT = END - 7
FILE = Path(__file__).with_name("vectors.json")
LE = ("0.005", "0.05", "0.25", "1", "2.5", "+Inf")
LE_MS = ("5", "50", "250", "1000", "2500", "+Inf")

Series = dict[str, Any]


def series(name: str, values: Sequence[float | None], shift: int, **labels: str) -> Series:
    """Sample k is at BASE + 5 k seconds + shift ms; None is no sample."""
    shown = [v if v is None or (v == v and abs(v) != float("inf")) else str(v) for v in values]
    return {"labels": {"__name__": name, **labels}, "shift": shift, "values": shown}


def counter(
    name: str, rate: float, draw: random.Random, *, reset: int = 0, first: float = 1000, **labels: str
) -> Series:
    """A counter that grows unevenly and may restart at one sample."""
    values: list[float | None] = []
    level = first
    for k in range(COUNT):
        level = 0.0 if reset and k == reset else level + draw.randrange(int(2 * rate * STEP) + 1)
        values.append(level)
    return series(name, values, draw.randrange(300, 4700), **labels)


def histogram(
    name: str, bounds: tuple[str, ...], draw: random.Random, *, suffix: str = "_bucket", **labels: str
) -> list[Series]:
    """The buckets (and sum and count) of one histogram, scraped together."""
    shift = draw.randrange(300, 4700)
    totals = [0.0] * len(bounds)
    columns: list[list[float | None]] = [[] for _ in bounds]
    sums: list[float | None] = []
    total = 0.0
    for _ in range(COUNT):
        for _ in range(draw.randrange(2, 12)):
            hit = min(draw.randrange(len(bounds)), draw.randrange(len(bounds)))
            total += 0.01 * (hit + 1)
            for index in range(hit, len(bounds)):
                totals[index] += 1
        for column, value in zip(columns, totals, strict=True):
            column.append(value)
        sums.append(round(total, 6))
    made = [series(name + suffix, c, shift, le=le, **labels) for c, le in zip(columns, bounds, strict=True)]
    made.append(series(f"{name}_sum", sums, shift, **labels))
    made.append(series(f"{name}_count", columns[-1], shift, **labels))
    return made


OBSERVERS: dict[str, dict[str, Any]] = {
    "istio": {
        "counter": "istio_requests_total",
        "labels": {
            "reporter": "destination",
            "destination_workload_namespace": "test",
            "destination_workload": "podinfo",
        },
        "select": 'reporter="destination",destination_workload_namespace="test",destination_workload=~"podinfo"',
        "code": "response_code",
        "good": 'response_code!~"5.*"',
        "bucket": "istio_request_duration_milliseconds",
    },
    "linkerd": {
        "counter": "response_total",
        "labels": {"namespace": "test", "deployment": "podinfo", "direction": "inbound"},
        "select": 'namespace="test",deployment=~"podinfo",direction="inbound"',
        "code": "classification",
        "codes": ("success", "failure"),
        "good": 'classification!="failure"',
        "bucket": "response_latency_ms",
    },
    "http": {
        "counter": "http_request_duration_seconds_count",
        "own_count": True,
        "labels": {"kubernetes_namespace": "test", "kubernetes_pod_name": "podinfo-6b4b5b9c8d-x2x7q"},
        "select": 'kubernetes_namespace="test",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"',
        "code": "status",
        "good": 'status!~"5.*"',
        "bucket": "http_request_duration_seconds",
        "bounds": LE,
    },
    "appmesh": {
        "counter": "envoy_cluster_upstream_rq",
        "labels": {"kubernetes_namespace": "mesh", "kubernetes_pod_name": "podinfo-6b4b5b9c8d-x2x7q"},
        "select": 'kubernetes_namespace="mesh",kubernetes_pod_name=~"podinfo-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"',
        "code": "envoy_response_code",
        "good": 'envoy_response_code!~"5.*"',
        "bucket": "envoy_cluster_upstream_rq_time",
    },
    "contour": {
        "counter": "envoy_cluster_upstream_rq",
        "labels": {"envoy_cluster_name": "test_podinfo-canary_80"},
        "select": 'envoy_cluster_name=~"test_podinfo-canary_[0-9a-zA-Z-]+"',
        "code": "envoy_response_code",
        "good": 'envoy_response_code!~"5.*"',
        "bucket": "envoy_cluster_upstream_rq_time",
    },
    "gloo": {
        "counter": "envoy_cluster_upstream_rq",
        "labels": {"envoy_cluster_name": "test-podinfo-canaryupstream-9898_gloo"},
        "select": 'envoy_cluster_name=~"test-podinfo-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"',
        "code": "envoy_response_code",
        "good": 'envoy_response_code!~"5.*"',
        "bucket": "envoy_cluster_upstream_rq_time",
    },
    "knative": {
        "counter": "envoy_cluster_upstream_rq",
        "labels": {"envoy_cluster_name": "test/podinfo-00002"},
        "select": 'envoy_cluster_name=~"test/podinfo-00002"',
        "code": "envoy_response_code",
        "good": 'envoy_response_code!~"5.*"',
        "bucket": "envoy_cluster_upstream_rq_time",
    },
    "kuma": {
        "counter": "envoy_cluster_upstream_rq",
        "labels": {"service": "podinfo-canary_test_svc_9898"},
        "select": 'service=~"podinfo-canary_test_svc_[0-9a-zA-Z-]+"',
        "code": "envoy_response_code",
        "good": 'envoy_response_code!~"5.*"',
        "bucket": "envoy_cluster_upstream_rq_time",
    },
    "osm": {
        "counter": "osm_request_total",
        "labels": {"destination_namespace": "test", "destination_kind": "Deployment", "destination_name": "podinfo"},
        "select": 'destination_namespace="test",destination_kind="Deployment",destination_name="podinfo"',
        "code": "response_code",
        "good": 'response_code!~"5.*"',
        "bucket": "osm_request_duration_ms",
    },
    "nginx": {
        "counter": "nginx_ingress_controller_requests",
        "labels": {"namespace": "test", "ingress": "podinfo", "canary": "podinfo-canary-80"},
        "select": 'namespace="test",ingress="podinfo",canary!=""',
        "code": "status",
        "good": 'status!~"5.*"',
        "bucket": "nginx_ingress_controller_response_duration_seconds",
        "bounds": LE,
        "mean": True,
    },
    "apisix": {
        "counter": "apisix_http_status",
        "labels": {"route": "test_podinfo-podinfo-canary_0"},
        "select": 'route=~"test_podinfo-podinfo-canary_.+"',
        "code": "code",
        "good": 'code!~"5.."',
        "bucket": "apisix_http_latency",
        "extra": ',type=~"request"',
        "extra_labels": {"type": "request"},
    },
    "traefik": {
        "counter": "traefik_service_request_duration_seconds_bucket",
        "labels": {"service": "test-podinfo-canary-80@kubernetescrd"},
        "select": 'service=~"test-podinfo-canary-[0-9a-zA-Z-]+@kubernetescrd"',
        "code": "code",
        "good": 'code!~"5.."',
        "bucket": "traefik_service_request_duration_seconds",
        "bounds": LE,
        "inf": True,
    },
    "skipper": {
        "counter": "skipper_response_duration_seconds_bucket",
        "labels": {"route": "kube_test__podinfo_canary__all__0__podinfo_canary"},
        "select": 'route=~"kube(ew)?_test__podinfo_canary__.*__podinfo_canary(_[0-9]+)?"',
        "code": "code",
        "good": 'code!~"5.."',
        "bucket": "skipper_response_duration_seconds",
        "bounds": LE,
        "inf": True,
        "mean": True,
        "mean_of": "skipper_serve_route_duration_seconds",
    },
}


def observer_series(spec: dict[str, Any], draw: random.Random) -> list[Series]:
    """What a data plane would expose for a canary that answers mostly well."""
    made: list[Series] = []
    bounds = spec.get("bounds", LE_MS)
    for code in spec.get("codes", ("200", "404", "500")):
        labels = spec["labels"] | {spec["code"]: code}
        if spec.get("inf") or spec.get("own_count"):
            made += histogram(spec["bucket"], bounds, draw, **labels)
        else:
            made.append(counter(spec["counter"], 0.2 if code in ("500", "failure") else 9, draw, **labels))
    if not (spec.get("inf") or spec.get("own_count")):
        made += histogram(spec["bucket"], bounds, draw, **spec["labels"], **spec.get("extra_labels", {}))
    if "mean_of" in spec:
        made += histogram(spec["mean_of"], bounds, draw, **spec["labels"])
    return made


def observer_queries(spec: dict[str, Any], window: str) -> list[str]:
    """The two built-in checks, as the providers render them."""
    select, bucket = spec["select"], spec["bucket"]
    inf = 'le="+Inf",' if spec.get("inf") else ""
    metric = spec["counter"]
    good, every = (f"sum(rate({metric}{{{inf}{select}{more}}}[{window}]))" for more in (f",{spec['good']}", ""))
    success = f"{good} / {every} * 100"
    if spec.get("mean"):
        of = spec.get("mean_of", bucket)
        return [
            success,
            f"sum(rate({of}_sum{{{select}}}[{window}])) / sum(rate({of}_count{{{select}}}[{window}])) * 1000",
        ]
    factor = " * 1000" if spec.get("inf") else ""
    inner = f"sum(rate({bucket}_bucket{{{select}{spec.get('extra', '')}}}[{window}])) by (le)"
    return [success, f"histogram_quantile(0.99, {inner}){factor}"]


def plain_series(draw: random.Random) -> list[Series]:
    """Counters with resets and gaps, gauges with NaN and infinities, series that begin late or end early."""
    inf, nan = float("inf"), float("nan")
    gauge = [round(20 + 10 * draw.random(), 3) for _ in range(COUNT)]
    late: list[float | None] = [None] * 72 + [float(k * 3) for k in range(8)]
    early: list[float | None] = [float(100 + k) for k in range(40)] + [None] * 40
    gaps = [None if k % 7 in (2, 3) else float(5000 + 4 * k) for k in range(COUNT)]
    return [
        counter("jobs_total", 3, draw, zone="a", host="one", code="200"),
        counter("jobs_total", 5, draw, zone="a", host="two", code="200", reset=70),
        counter("jobs_total", 1, draw, zone="b", host="three", code="500"),
        counter("jobs_total", 0.3, draw, zone="b", host="four", code="404", first=0),
        counter("jobs_total", 7, draw, zone="b", host="five", code="200", reset=76),
        series("late_total", late, 2100),
        series("early_total", early, 900),
        series("gappy_total", gaps, 1700),
        series("temperature", gauge, 1300, room="hall"),
        series("temperature", [v / 2 for v in gauge], 1300, room="attic"),
        series("temperature", [-3.5] * COUNT, 1300, room="cellar"),
        series("odd", [nan if k % 2 else 7.25 for k in range(COUNT)], 800, kind="nan"),
        series("odd", [inf] * COUNT, 800, kind="inf"),
        series("odd", [-inf] * COUNT, 800, kind="minus"),
        series("odd", [0.0] * COUNT, 800, kind="zero"),
        series("info", [1.0] * COUNT, 600, host="one", owner="ann", rack="r1"),
        series("info", [1.0] * COUNT, 600, host="two", owner="bob", rack="r1"),
        series("info", [1.0] * COUNT, 600, host="three", owner="cyd", rack="r2"),
        series("limit", [4.0] * COUNT, 600, zone="a"),
        series("limit", [2.0] * COUNT, 600, zone="b"),
        series("same", [3.0] * COUNT, 600, a="x", b="1"),
        series("same", [3.0] * COUNT, 600, a="x", b="2"),
        series("other", [5.0] * COUNT, 600, a="x"),
        series("line", [1.5 * k for k in range(COUNT)], 450),
        *histogram("latency", LE, draw, path="/"),
        *histogram("latency", LE, draw, path="/slow"),
        *histogram("edge", ("-1", "0", "1", "+Inf"), draw),
        *histogram("capless", ("0.1", "1", "2"), draw),
    ]


PLAIN = """
1 + 2 * 3 ^ 2 ^ 0.5
-2 ^ 2
1 / 0
-1 / 0
0 / 0
5 % 3
-5 % 3
5 % 0
7 % -Inf
1 == bool 1
NaN == bool NaN
NaN != bool NaN
2 > bool 1
2 atan2 1
"text"
time()
pi()
vector(1)
vector(time())
vector(1) == 2
scalar(temperature{room="hall"})
scalar(temperature)
temperature
temperature{room="hall"}
temperature{room!="hall"}
temperature{room=~"h.*|a.*"}
temperature{room=~"al"}
temperature{room!~"h.*"}
temperature{room!~"al"}
temperature{nosuch=""}
temperature{nosuch!=""}
{__name__="temperature"}
{__name__=~"temp.*|limit"}
temperature offset 1m
temperature offset -1m
temperature @ 1700000100
temperature @ start()
nothing
odd
-odd
abs(odd)
jobs_total
rate(jobs_total[1m])
rate(jobs_total[30s])
rate(jobs_total[5m])
rate(jobs_total[3s])
rate(jobs_total[10s])
rate(jobs_total[1m] offset 30s)
rate(jobs_total[1m] @ 1700000200)
irate(jobs_total[1m])
increase(jobs_total[1m])
increase(jobs_total[2m])
increase(gappy_total[1m])
rate(gappy_total[47s])
rate(late_total[1m])
increase(late_total[2m])
rate(early_total[4m])
increase(early_total[5m])
early_total
early_total offset 4m
delta(temperature[1m])
idelta(temperature[1m])
delta(jobs_total[2m])
deriv(line[1m])
deriv(temperature[2m])
predict_linear(line[1m], 60)
predict_linear(temperature[2m], -30)
resets(jobs_total[5m])
changes(temperature[1m])
changes(odd[1m])
changes(jobs_total[1m])
avg_over_time(temperature[1m])
min_over_time(temperature[1m])
max_over_time(temperature[1m])
sum_over_time(temperature[1m])
count_over_time(temperature[1m])
last_over_time(temperature[1m])
present_over_time(temperature[1m])
stddev_over_time(temperature[1m])
stdvar_over_time(temperature[1m])
quantile_over_time(0.5, temperature[1m])
quantile_over_time(0.9, temperature[2m])
quantile_over_time(2, temperature[1m])
quantile_over_time(-1, temperature[1m])
avg_over_time(odd[1m])
min_over_time(odd[1m])
max_over_time(odd[1m])
sum_over_time(odd[1m])
count_over_time(early_total[1m])
absent_over_time(early_total[1m])
absent_over_time(early_total{a="b"}[5m])
sum(jobs_total)
sum by (zone) (jobs_total)
sum without (host, code) (jobs_total)
sum by (nosuch) (jobs_total)
sum by (__name__, zone) (jobs_total)
avg by (zone) (jobs_total)
avg(temperature)
min(temperature)
max(temperature)
count(temperature)
count by (zone) (jobs_total)
group by (zone) (jobs_total)
stddev(temperature)
stdvar by (zone) (jobs_total)
sum(odd)
avg(odd)
min(odd)
max(odd)
min(odd{kind="nan"})
topk(1, temperature)
topk(2, jobs_total)
topk(1, jobs_total) by (zone)
bottomk(1, jobs_total) by (zone)
bottomk(2, temperature)
topk(0, temperature)
topk(10, odd)
quantile(0.5, temperature)
quantile(0.25, jobs_total) by (zone)
quantile(1.5, temperature)
quantile(NaN, temperature)
count_values("value", limit)
count_values by (zone) ("n", jobs_total > 3000)
sum(rate(jobs_total[1m])) by (zone)
sum(rate(jobs_total{code!~"5.*"}[1m])) / sum(rate(jobs_total[1m])) * 100
sum(rate(jobs_total{code="999"}[1m])) / sum(rate(jobs_total[1m]))
sum(rate(jobs_total{code=~"5.."}[1m])) or vector(0)
(sum(rate(nothing[1m])) or vector(0)) / (sum(rate(nothing[1m])) or vector(0))
histogram_quantile(0.99, sum(rate(latency_bucket[1m])) by (le))
histogram_quantile(0.5, sum(rate(latency_bucket[1m])) by (le, path))
histogram_quantile(0.5, rate(latency_bucket[2m]))
histogram_quantile(0.95, latency_bucket)
histogram_quantile(0, latency_bucket)
histogram_quantile(1, latency_bucket)
histogram_quantile(-0.1, latency_bucket)
histogram_quantile(1.1, latency_bucket)
histogram_quantile(NaN, latency_bucket)
histogram_quantile(0.1, edge_bucket)
histogram_quantile(0.6, edge_bucket)
histogram_quantile(0.5, capless_bucket)
histogram_quantile(0.5, latency_bucket{le="+Inf"})
histogram_quantile(0.5, latency_bucket{le=~"1|[+]Inf"})
histogram_quantile(0.5, latency_count)
histogram_quantile(0.9, latency_bucket * 0)
histogram_quantile(0.9, label_replace(latency_bucket, "le", "x", "le", "1"))
rate(latency_sum[1m]) / rate(latency_count[1m])
temperature + 1
1 - temperature
temperature * temperature
temperature / 0
temperature % 7
temperature ^ 2
2 ^ temperature
temperature atan2 3
temperature > 10
10 < temperature
10 > temperature
temperature > bool 10
temperature == temperature
temperature != bool temperature
temperature > temperature offset 1m
odd == odd
odd != odd
jobs_total / on (zone) group_left limit
limit * on (zone) group_right jobs_total
jobs_total * on (host) group_left (owner, rack) info
jobs_total * on (host) group_left (code) info
info * on (host) group_right (owner) jobs_total
jobs_total > on (zone) group_left limit
limit < on (zone) group_right jobs_total
limit < bool on (zone) group_right jobs_total
sum by (zone) (jobs_total) / limit
limit / ignoring (code) sum by (zone) (jobs_total)
sum by (zone) (jobs_total) > on (zone) limit
sum by (zone) (jobs_total) > ignoring (host) limit
same / on (a) group_left other
other + ignoring (b) group_right same
same / on (a) other
same + on (a) same
jobs_total and on (host) info
jobs_total and info
jobs_total unless on (host) info
jobs_total or info
limit or on (zone) jobs_total
temperature and vector(1)
temperature and on () vector(1)
temperature unless on () vector(1)
vector(0) or temperature
temperature > 100 or vector(0)
absent(nothing)
absent(nothing{a="b", c=~"d", e!="f"})
absent(temperature)
absent(nothing{a="b", a="c"})
absent(sum(nothing))
clamp(temperature, 0, 12)
clamp(temperature, 12, 0)
clamp_min(temperature, 0)
clamp_max(temperature, 5)
clamp_max(odd, 1)
ceil(temperature)
floor(temperature)
round(temperature)
round(temperature, 0.5)
round(temperature, 5)
round(temperature, 0)
sqrt(temperature)
ln(temperature)
ln(odd)
log2(odd)
log10(temperature)
exp(temperature)
exp(odd)
sgn(odd)
sgn(temperature)
deg(vector(pi()))
rad(vector(180))
sin(temperature)
acos(temperature)
minute()
hour()
day_of_week()
day_of_month(vector(1709164800))
day_of_year(vector(1709164800))
days_in_month(vector(1709164800))
month(vector(1709164800))
year(vector(1709164800))
day_of_year()
timestamp(temperature)
timestamp(temperature offset 1m)
timestamp(temperature + 1)
timestamp(vector(1))
sort(temperature)
sort_desc(temperature)
sort(odd)
label_replace(temperature, "place", "$1-x", "room", "(.*)l.*")
label_replace(temperature, "place", "${1}x", "room", "(h)all")
label_replace(temperature, "room", "", "room", ".*")
label_replace(temperature, "room", "same", "room", ".*")
label_replace(temperature, "room", "v", "nosuch", "")
label_replace(temperature{room="hall"}, "room", "$first", "room", "(?P<first>..).*")
label_replace(temperature, "9bad", "v", "room", ".*")
label_join(info, "all", "/", "host", "owner")
label_join(info, "all", "", "nosuch")
label_join(limit, "zone", "-", "zone", "zone")
max_over_time(rate(jobs_total[30s])[2m:15s])
avg_over_time(sum(jobs_total)[1m:10s])
max_over_time(temperature[3m:])
sum_over_time(temperature[1m:10s] offset 30s)
count_over_time(vector(1)[1m:7s])
quantile_over_time(0.5, (temperature * 2)[2m:20s])
rate(jobs_total[1m]) > 2
sum(rate(jobs_total[1m]) > 2)
count(jobs_total > 3000) by (zone)
sum(temperature) / count(temperature)
max(temperature) - min(temperature)
100 - (avg(temperature) * 100)
sum(jobs_total) by (zone) > bool 5000
{__name__=~".*"}[1m] + 1
rate(temperature)
sum(
"open
foo(temperature)
temperature[1m] offset
1 > 2
temperature{room=~"*"}
{}
rate({__name__=~"jobs_total|late_total"}[1m])
abs({__name__=~"odd|temperature"})
rate({room="hall"}[1m])
last_over_time({room="hall"}[1m])
same * 1 + on (a) group_left other
-temperature ^ 2
+temperature
temperature[30s]
temperature[30s] offset 1m
jobs_total{zone="a"}[12s]
"""

RANGES = (
    "temperature",
    "rate(jobs_total[30s])",
    "sum by (zone) (rate(jobs_total[1m]))",
    "early_total",
    "late_total",
    "time()",
    "1",
    "vector(2)",
    "histogram_quantile(0.9, sum(rate(latency_bucket[30s])) by (le))",
    "topk(1, temperature)",
    "temperature > 20",
    "temperature @ end() - temperature",
    "absent(early_total)",
    '"text"',
    "temperature[1m]",
    "max_over_time(temperature[30s:5s])",
)


def main() -> None:
    """Make the series, run Prometheus on them, ask, and write the file."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    draw = random.Random(42)
    made = plain_series(draw) + [s for spec in OBSERVERS.values() for s in observer_series(spec, draw)]
    queries = [
        (f"{name}: {window}", q)
        for name, spec in OBSERVERS.items()
        for window in ("30s", "1m", "5m")
        for q in observer_queries(spec, window)
    ]
    queries += [("", line) for line in PLAIN.strip().splitlines()]
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        (home / "data.om").write_text(open_metrics(made))
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", "data.om", "data"], cwd=home, check=True
        )
        (home / "prometheus.yml").write_text("{}")
        cases = ask_all(home, queries)
    lines = [f'"base":{BASE}', f'"step":{STEP}', '"series":[\n' + ",\n".join(map(compact, made)) + "]"]
    lines.append('"cases":[\n' + ",\n".join(map(compact, cases)) + "]")
    file.write_text("{" + ",\n".join(lines) + "}\n")
    print(f"{len(made)} series, {len(cases)} cases")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def open_metrics(made: list[Series]) -> str:
    """The series as OpenMetrics text with timestamps."""
    families: dict[str, list[str]] = {}
    for one in made:
        labels = ",".join(f'{k}="{v}"' for k, v in one["labels"].items() if k != "__name__")
        name = one["labels"]["__name__"]
        for k, value in enumerate(one["values"]):
            if value is not None:
                stamp = BASE + STEP * k + one["shift"] / 1000
                families.setdefault(name, []).append(f"{name}{{{labels}}} {value} {stamp:.3f}")
    return "\n".join(line for lines in families.values() for line in lines) + "\n# EOF\n"


def ask_all(home: Path, queries: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Every answer, errors included."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=100y",
    ]
    process = subprocess.Popen([*command, f"--web.listen-address={address}", "--log.level=error"], cwd=home)
    try:
        while ask(address, "query", {"query": "1"}) is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        cases = [{"query": q, "note": note, "at": AT} | instant(address, q, AT) for note, q in queries]
        for query in RANGES:
            span = {"start": BASE + 61, "end": END + 29, "step": 23}
            cases.append({"query": query, **span} | outcome(ask(address, "query_range", {"query": query, **span})))
        return cases
    finally:
        process.terminate()
        process.wait()


def instant(address: str, query: str, at: int) -> dict[str, Any]:
    return outcome(ask(address, "query", {"query": query, "time": at}))


def outcome(answer: dict[str, Any] | None) -> dict[str, Any]:
    assert answer is not None
    if answer["status"] == "error":
        return {"error": answer["errorType"], "text": answer["error"]}
    return {"type": answer["data"]["resultType"], "result": answer["data"]["result"]}


def ask(address: str, endpoint: str, params: dict[str, Any]) -> dict[str, Any] | None:
    url = f"http://{address}/api/v1/{endpoint}?{urllib.parse.urlencode(params)}"
    try:
        with urllib.request.urlopen(url) as answer:
            document: dict[str, Any] = json.load(answer)
            return document
    except urllib.error.HTTPError as error:
        return json.load(error) if error.code in (400, 422) else None
    except OSError:
        return None


if __name__ == "__main__":
    main()
