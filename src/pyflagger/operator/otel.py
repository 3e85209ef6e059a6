"""Exports the spans of releases by OTLP, with the OpenTelemetry SDK. Configured by the standard variables.

Imports the SDK only when the environment names an endpoint. A thread of the SDK sends the spans: a release never waits,
and spans that do not fit into its queue are dropped.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pyflagger.clock import Clock
from pyflagger.operator.spectator import Spectator
from pyflagger.operator.tracing import Span, Tracing
from pyflagger.wire import HttpRequest, hidden, secrets_of

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
SHOWN_MAX = 500
FLUSH_SECONDS = 3.0
"""How long a shutdown waits for the last spans."""

NOT_INSTALLED = "flagger sends no traces: the OpenTelemetry SDK is not installed. Install pyflagger[otel]"
_NANO = 1_000_000_000


def endpoint(environ: Mapping[str, str]) -> str:
    """The OTLP endpoint of traces; empty if there is none or the environment turns traces off."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return "" if off else next((environ[name] for name in ENDPOINTS if environ.get(name)), "")


class Traces:
    """The traces of one operator. `spectator` ignores everything if they are off."""

    def __init__(self, environ: Mapping[str, str], clock: Clock, log: Any, version: str) -> None:
        self.spectator = Spectator()
        self._processor: Any = None
        if not endpoint(environ):
            return
        protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), PROTOCOL)
        if protocol != PROTOCOL:
            log.warning(f"flagger sends no traces: OTLP protocol {protocol} is not supported. Use {PROTOCOL}")
            return
        try:
            exporter = _Exporter(environ, version)
        except ImportError:
            log.warning(NOT_INSTALLED)
            return
        _redirect(logging.getLogger("opentelemetry"), environ, log)
        self._processor = exporter.processor
        self.spectator = Tracing(exporter.take, clock)
        log.info("sending traces of releases by OTLP")

    async def close(self) -> None:
        """Send the spans that are queued, for at most FLUSH_SECONDS."""
        if self._processor is None:
            return
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        processor, self._processor = self._processor, None

        def flush() -> None:
            processor.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=flush, name="traces", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await done.wait()
        except TimeoutError:
            pass


class _Redirected(logging.Handler):
    """Logs what the SDK reports as lines of our log, without the secrets of the endpoint."""

    def __init__(self, secrets: frozenset[str], log: Any) -> None:
        super().__init__(logging.WARNING)
        self._secrets, self._log = secrets, log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line."""
        self._log.warning("failed to send traces", error=hidden(record.getMessage(), self._secrets)[:SHOWN_MAX])


def _redirect(source: logging.Logger, environ: Mapping[str, str], log: Any) -> None:
    """Send the SDK's reports to our log instead of standard error."""
    texts = [environ.get(name, "") for name in HEADERS]
    headers = tuple(("authorization", unquote(pair.partition("=")[2])) for text in texts for pair in text.split(","))
    secrets = secrets_of(HttpRequest("POST", endpoint(environ), headers))
    source.handlers, source.propagate = [_Redirected(secrets, log)], False


class _Exporter:
    """The queue of the SDK, and spans in its form. Raises ImportError without the SDK."""

    def __init__(self, environ: Mapping[str, str], version: str) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        name = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "flagger"}
        self._trace, self._sdk = trace, sdk
        self._resource = Resource.create({**name, "service.version": version})
        self._scope = InstrumentationScope("pyflagger", version)
        self.processor: Any = BatchSpanProcessor(OTLPSpanExporter())

    def take(self, span: Span) -> None:
        """Queue a span."""
        trace = self._trace
        code = trace.StatusCode.ERROR if span.error else trace.StatusCode.OK
        made = self._sdk.ReadableSpan(
            name=span.name,
            context=self._context(span.trace, span.id),
            parent=self._context(span.trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            status=trace.Status(code, span.error or None),
            start_time=int(span.began * _NANO),
            end_time=int(span.ended * _NANO),
            instrumentation_scope=self._scope,
        )
        self.processor.on_end(made)

    def _context(self, trace: int, span: int) -> Any:
        sampled = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        return self._trace.SpanContext(trace, span, is_remote=False, trace_flags=sampled)
