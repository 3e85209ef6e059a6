# The index of commands. Every target sets up what it needs: python >= 3.11 and make are all that a machine must have.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The versions of uv.lock, which uv writes anew when pyproject.toml asks for others.
# Compiled once, as in the image: where Python may not keep what it compiles, each process would do it anew and grow by it.
INSTALL := $(BIN)/uv sync --inexact --compile-bytecode --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help install demo sandbox test test-long test-real test-ui image-test e2e e2e-cluster e2e-parts e2e-planes e2e-faults e2e-istio e2e-oracle e2e-swap lint bench bench-judging mutate fuzz docs charts schemas hooks clean soak site recording pictures

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml uv.lock
	@echo "Installing pyflagger, Traefik, kubectl and the tools of its tests into $(VENV), once (half a minute, 700 MB):"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(INSTALL) --extra sandbox --extra aws --extra google --extra otel --extra dev
	$(BIN)/python -m compileall -q src
	@touch $(READY)

install: $(READY) ## flagger, kubectl and a Traefik into .venv/bin, for the commands of the README

demo: $(READY) ## a good release promoted and a bad one rolled back, on this machine (SCENARIO=nginx-canary)
	$(BIN)/flagger demo $(SCENARIO)

sandbox: $(READY) ## a small cluster on loopback, until Ctrl-C
	$(BIN)/flagger sandbox

test: $(READY) ## everything that runs on virtual time or in seconds (at most 5 minutes)
	$(BIN)/python -m pytest tests/core -n 2 -m 'not long' --cov=pyflagger.core --cov-branch --cov-report= --cov-fail-under=100
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not real and not long and not image and not ui' tests --ignore=tests/core

test-long: $(READY) ## the stories on virtual time that take long: two hundred at once, killed at every write of every kind
	$(BIN)/python -m pytest -n 2 -m long tests

test-real: $(READY) ## the tests that need real child processes: Traefik, kubectl, helm, the demo
	$(BIN)/python -m pytest -n 2 --dist loadfile -m real tests

$(VENV)/.ui: $(READY)
	$(INSTALL) --extra ui
	-npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/npm axe-core@4.14.1
	@touch $@

test-ui: $(VENV)/.ui ## the dashboard in a Chromium (apt-get install chromium; skipped without one), with axe-core where there is npm
	$(BIN)/python -m pytest -n 0 -m ui tests/dashboard

image-test: $(VENV)/.e2e ## build both images without a daemon (buildah) and start them (root; BASE=python:… pulls a base instead of making one)
	PYTHONPATH=tests $(BIN)/python -m shipping.building
	$(BIN)/python -m pytest -n 0 -m image -s tests/shipping
	$(BIN)/python -m e2e --as-root -m image e2e/images

$(VENV)/.e2e: $(READY)
	$(INSTALL) --extra e2e
	@touch $@

e2e-parts: $(VENV)/.e2e ## build what `make e2e` needs, where it is not yet (the first time: 10 minutes)
	$(BIN)/python -m e2e --run true

# Each half collects the whole, because the record of what is shown forgets a test that does not exist.
E2E = SHOWN=tests/docs/shown.json $(BIN)/python -m e2e -m 'not long and not image' e2e --ignore e2e/test_helm.py
PLANES = $(wildcard e2e/planes/test_*.py e2e/faults/test_*.py)

e2e: e2e-planes e2e-cluster ## the operator on a real control plane, ingress and Prometheus (the first time builds as e2e-parts does)

e2e-planes: $(VENV)/.e2e ## the half of e2e with proxies and faults
	$(E2E) $(addprefix --deselect ,$(filter-out $(PLANES),$(wildcard e2e/test_*.py e2e/*/test_*.py)))

e2e-cluster: $(VENV)/.e2e ## the half of e2e without them; needs nothing of the other half, and may run beside it
	$(E2E) $(addprefix --deselect ,$(PLANES))
	$(BIN)/python -m e2e e2e/test_helm.py

e2e-istio: $(VENV)/.e2e ## the same behind Istio's own control plane and an Envoy as its gateway (the first time builds: 15 minutes)
	$(BIN)/python -m e2e.istio.parts
	SHOWN=tests/docs/shown.json $(BIN)/python -m e2e e2e/istio

e2e-swap: $(VENV)/.e2e ## Flagger's own binary and ours take turns over the same canaries (6 minutes; the first time builds, 5 more)
	$(BIN)/python -m e2e.swap.parts
	$(BIN)/python -m e2e e2e/swap

e2e-faults: $(VENV)/.e2e ## every fault by every kind of release on the real control plane; writes docs/faults.md
	FAULTS_DOC=docs/faults.md $(BIN)/python -m e2e e2e/faults/test_faults.py

e2e-oracle: $(VENV)/.e2e ## the recorded stories of the reference on a real control plane, judged (3 minutes)
	PYTHONPATH=tests:. $(BIN)/python -m e2e --run $(abspath $(BIN))/python -m oracle.record $(NAME)

lint: $(READY) ## style, types, layers, unused code, commit subjects, and the tidy rules
	$(BIN)/ruff check src tests bench e2e
	$(BIN)/ruff format --check src tests bench e2e
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/uv lock --check --quiet
	$(BIN)/python tests/tidy/subjects.py
	$(BIN)/python -m pytest tests/tidy

bench: $(VENV)/.e2e ## what a release costs on a real control plane: requests, CPU a tick, memory, lag (20 minutes; COUNTS="20 --idle 0")
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m bench $(COUNTS) --out build/bench.md

bench-judging: $(READY) ## how often comparisons are wrong: releases with known errors, judged by the operator's decisions (10 minutes; RUNS=1000)
	$(BIN)/python -m bench.judging --runs $(or $(RUNS),1000)

soak: $(READY) ## ten thousand releases on virtual time: memory and series stay as they are (15 minutes)
	$(BIN)/python -m bench.soak

docs: $(READY) ## write the generated parts of docs/ and kustomize/: tables of fields, providers, CRDs
	PYTHONPATH=tests $(BIN)/python -m docs.write

charts: $(READY) ## package the charts and index them in build/charts, for `helm push` or a web server (URL=https://…)
	rm -rf build/charts
	$(BIN)/helm package $(dir $(wildcard charts/*/Chart.yaml)) --destination build/charts
	$(BIN)/helm repo index build/charts $(if $(URL),--url $(URL))

$(VENV)/.site: $(READY)
	$(INSTALL) --extra site
	@touch $@

site: $(VENV)/.site ## build the documentation as a site into build/site, and check its links
	PYTHONPATH=tests NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	PYTHONPATH=tests $(BIN)/python -m docs.built

pictures: $(VENV)/.ui ## take the pictures of the dashboard for docs/how-to/dashboard.md (half a minute; needs Chromium)
	PYTHONPATH=tests $(BIN)/python -m dashboard.pictures

recording: $(READY) ## play the demo and write it as the moving picture of the front page (a minute)
	PYTHONPATH=tests $(BIN)/python -m docs.recording

schemas: $(READY) ## write the types of Kubernetes' built-in kinds that lint and the sandbox use (RELEASE=1.36.0)
	$(INSTALL) --extra schemas
	$(BIN)/python tests/admission/make_schemas.py $(or $(RELEASE),1.36.0)

mutate: $(READY) ## break the core in every small way and see which breakages no test notices
	$(INSTALL) --extra mutate
	$(BIN)/python -m bench.mutate

fuzz: $(READY) ## feed anything to what reads bytes of others, a minute each (SECONDS=60)
	$(INSTALL) --extra fuzz
	cd tests && ../$(BIN)/python -m fuzz --seconds $(or $(SECONDS),60)

hooks: $(READY) ## check style, types and subject at each commit (pre-commit)
	$(BIN)/uvx pre-commit install

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
