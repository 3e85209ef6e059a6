"""The operator's series: whatever a canary is called and however often it is changed, they stay few and well formed."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pyflagger.api.analysis import ThresholdRange
from pyflagger.api.canary import Canary, Phase
from pyflagger.api.facts import Route
from pyflagger.api.parse import parse_canary
from pyflagger.operator.process.telemetry import BUCKETS, Telemetry

DURATION = "flagger_canary_duration_seconds"
EVIL = 'a"} 1\nflagger_canary_status{name="admin",namespace="prod"} 2\n\\'


def canary(*checks: str) -> Canary:
    """A canary with checks of these names."""
    metrics = [{"name": name, "interval": "1m", "query": "up", "thresholdRange": {"min": 1}} for name in checks]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    analysis = {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": metrics}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "shop", "namespace": "test"},
            "spec": {"targetRef": target, "service": {"port": 80}, "analysis": analysis},
        }
    )


def checks(telemetry: Telemetry) -> list[str]:
    """The names of checks that have a series."""
    families = text_string_to_metric_families(telemetry.expose({}).decode())
    found = {family.name: family.samples for family in families}
    return sorted(sample.labels["metric"] for sample in found["flagger_canary_metric_analysis"])


def test_a_name_makes_no_series() -> None:
    """A check may be called anything; it stays one label of one series."""
    telemetry = Telemetry("0", "nginx")
    telemetry.analysis(canary(EVIL), EVIL, 1.0)
    assert checks(telemetry) == [EVIL]
    lines = telemetry.expose({}).decode().splitlines()
    assert not [line for line in lines if line.startswith("flagger_canary_status{")]


def test_checks_that_are_gone_leave() -> None:
    """A canary that gets other checks a thousand times has as many series as it has checks."""
    telemetry = Telemetry("0", "nginx")
    for number in range(1000):
        now = canary("errors", f"check-{number}")
        telemetry.analysis(now, "errors", 1.0)
        telemetry.analysis(now, f"check-{number}", 1.0)
    assert checks(telemetry) == ["check-999", "errors"]
    telemetry.forget(now)
    assert checks(telemetry) == []


def limits_of(telemetry: Telemetry) -> dict[tuple[str, str], float]:
    """The limits that have a series, by check and limit."""
    families = {family.name: family for family in text_string_to_metric_families(telemetry.expose({}).decode())}
    samples = families["flagger_canary_metric_limit"].samples
    return {(sample.labels["metric"], sample.labels["limit"]): sample.value for sample in samples}


def test_the_limits_of_a_check_stand_beside_its_value() -> None:
    """In the same unit: a built-in duration in seconds. Limits and checks that are gone leave."""
    telemetry = Telemetry("0", "nginx")
    now = canary("errors", "request-duration")
    for name in ("errors", "request-duration"):
        telemetry.analysis(now, name, 1.0)
    assert limits_of(telemetry) == {("errors", "min"): 1.0, ("request-duration", "min"): 0.001}
    assert now.spec.analysis is not None
    metric = now.spec.analysis.metrics[0].model_copy(update={"threshold_range": ThresholdRange(max=5)})
    analysis = now.spec.analysis.model_copy(update={"metrics": (metric,)})
    now = now.model_copy(update={"spec": now.spec.model_copy(update={"analysis": analysis})})
    telemetry.analysis(now, "errors", 1.0)
    assert limits_of(telemetry)[("errors", "max")] == 5.0 and ("errors", "min") not in limits_of(telemetry)
    telemetry.forget(now)
    assert limits_of(telemetry) == {}


def test_whether_a_replica_acts() -> None:
    """Not until it has the Lease."""
    telemetry = Telemetry("0", "nginx")
    assert b"flagger_leader 0.0" in telemetry.expose({})
    telemetry.leads(True)
    assert b"flagger_leader 1.0" in telemetry.expose({})


SECONDS = (0.0, 0.004, 0.005, 0.3, 10.0, 61.0)


def test_the_time_of_judging_is_a_histogram() -> None:
    """As the library's own has it, name by name and number by number; and it leaves with its canary."""
    telemetry, theirs = Telemetry("0", "nginx"), CollectorRegistry()
    wanted = Histogram(DURATION, "Time spent judging", ("name", "namespace"), buckets=BUCKETS, registry=theirs)
    for seconds in SECONDS:
        telemetry.judged(canary(), seconds)
        wanted.labels("shop", "test").observe(seconds)
    assert durations(telemetry.expose({})) == durations(generate_latest(theirs)) != []
    telemetry.forget(canary())
    assert durations(telemetry.expose({})) == []


def test_numbers_are_as_the_library_writes_them() -> None:
    """Gauges that were set twice, counters that counted twice; of a canary that is gone nothing is left."""
    telemetry, theirs, names = Telemetry("0", "nginx"), CollectorRegistry(), ("name", "namespace")
    status = Gauge("flagger_canary_status", "0 running, 1 successful, 2 failed", names, registry=theirs)
    weight = Gauge("flagger_canary_weight", "Traffic in percent", ("workload", "namespace"), registry=theirs)
    ends = (*names, "deployment_strategy", "analysis_status")
    failures = Counter("flagger_canary_failures", "Releases rolled back", ends, registry=theirs)
    for phase, value in ((Phase.PROGRESSING, 0), (Phase.FAILED, 2)):
        telemetry.phase(canary(), phase)
        status.labels("shop", "test").set(value)
        telemetry.route(canary(), Route(primary=100 - 5 * value, canary=5 * value))
        weight.labels("shop-primary", "test").set(100 - 5 * value)
        weight.labels("shop", "test").set(5 * value)
        telemetry.finished(canary(), "failure", "completed")
        failures.labels("shop", "test", "canary", "completed").inc()
    wanted = {line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line}
    assert wanted <= set(telemetry.expose({}).decode().splitlines())
    telemetry.failed("shop", "test", "cluster")
    telemetry.forget(canary())
    assert "shop" not in telemetry.expose({}).decode()


def durations(page: bytes) -> list[str]:
    """The series of the histogram; when each was created is told by the library alone, Go's tells nothing of it."""
    return [line for line in page.decode().splitlines() if line.startswith(DURATION) and "_created" not in line]
