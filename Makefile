# Thin wrappers: each target prepares .venv, then runs one command. See CONTRIBUTING.md.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip

# How long `make torture` kills and restarts everything, at least how often, and where its lake is:
# s3 or local.
SECONDS ?= 60
KILLS ?= 0
STORE ?= s3

# Where `make dev` serves the UI.
PORT ?= 3000

# How dependencies are resolved; UPGRADE=1 takes the newest of each.
UPGRADE ?=
LOCK := --quiet --no-header --universal --generate-hashes --python-version 3.11 \
    $(if $(UPGRADE),--upgrade)

# With COVERAGE=1, `make test` also measures how much of the code the tests run, which takes longer.
COVERAGE ?=
# What is compiled is kept, whatever the environment says: to rewrite the assertions of all tests in
# each process takes as long as to import them.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal

# An image of the Dockerfile, whose containers `make rehearsal` plays in; processes without.
IMAGE ?=

.PHONY: run dev psql notebook test torture smoke rehearsal nightly check lint types security audit render policies archive docs format lock lock-tools clean bench-batches bench-commands bench-distributed bench-full bench-growth bench-increment bench-freshness bench-idle bench-page bench-reports bench-soak bench-start

run: .venv/installed  ## take two batches the whole way on the embedded default
	@$(BIN)/totesys demo

dev: .venv/installed  ## the Dagster UI, with the simulated business going on
	@$(BIN)/totesys dev --port $(PORT)

psql: .venv/installed  ## a prompt in the warehouse, as its reader
	@$(BIN)/totesys psql

notebook: .venv/installed-dev  ## five questions to the warehouse, in the browser
	@$(BIN)/marimo edit docs/insights_notebook.py

test: .venv/installed-dev  ## the tests, but for the long ones
	$(PYTEST) $(if $(COVERAGE),--cov --cov-report=term)

torture: .venv/installed-dev  ## the long tests, and everything killed while it works
	$(PYTEST) -m long
	$(BIN)/python -m totesys_dagster_tests.torture --seconds $(SECONDS) --kills $(KILLS) --store $(STORE)

smoke: .venv/installed-dev  ## a short torture: everything is killed, though not at every step
	$(BIN)/python -m totesys_dagster_tests.torture --seconds 20 --steps 5 --store s3

rehearsal: .venv/installed-dev  ## production on one machine: a day of business, three incidents
	@$(BIN)/python -W ignore -m totesys_dagster_tests.rehearsal $(if $(IMAGE),--image $(IMAGE))

nightly: torture  ## what a landing does without: CONTRIBUTING.md lists it

check: lint types security audit  ## format, lint, types, security lint, known vulnerabilities

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed-dev
	$(BIN)/mypy

security: .venv/installed-dev
	$(BIN)/bandit -q -c pyproject.toml -r totesys_dagster totesys_simulator
	@cp .secrets.baseline .venv/secrets.baseline  # it would be rewritten if only lines have moved, which is 3
	$(BIN)/detect-secrets-hook --baseline .venv/secrets.baseline $$(git ls-files ':!.secrets.baseline') || test $$? = 3

audit: .venv/installed-dev  ## known vulnerabilities in what the lock files install
	$(BIN)/python .ci/audit.py

bench-batches bench-commands bench-distributed bench-full bench-growth bench-increment bench-freshness bench-idle bench-page bench-reports bench-soak bench-start: .venv/installed-dev  ## see benchmarks/README.md
	$(BIN)/python -m benchmarks.$(subst bench-,,$@)

render: .venv/installed  ## write the files that follow from the catalogue
	$(BIN)/python -m tools.render

policies: .venv/installed-dev  ## record the policies that Terraform makes, which tests evaluate
	$(BIN)/python -m tools.policies

archive: .venv/installed-dev  ## write the state of this release, which later ones are tested with
	$(BIN)/python -m tools.archive

docs: .venv/installed-docs  ## build the documentation site; a broken link or a misspelt word fails it
	@$(BIN)/codespell *.md docs benchmarks/README.md
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open site/index.html, or serve it with search: $(BIN)/python -m http.server -d site"

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/uv  ## resolve the dependencies, for every Python and platform at once; UPGRADE=1: anew
	$(UV) compile $(LOCK) --extra local pyproject.toml -o requirements.lock
	$(UV) compile $(LOCK) --extra local --extra dev -c requirements.lock pyproject.toml \
	    -o requirements-dev.lock
	$(UV) compile $(LOCK) --extra plus -c requirements.lock pyproject.toml -o requirements-plus.lock
	$(UV) compile $(LOCK) --extra k8s -c requirements.lock pyproject.toml -o requirements-k8s.lock
	$(UV) compile $(LOCK) --extra docs -c requirements-dev.lock pyproject.toml \
	    -o requirements-docs.lock

# What installs the others, and the tools of the workflows, which no environment here has.
lock-tools: .venv/uv  ## the same for uv and for the workflows' tools
	$(UV) compile $(LOCK) requirements-uv.in -o requirements-uv.lock
	$(UV) compile $(subst 3.11,3.13,$(LOCK)) .github/requirements-tools.in -o .github/requirements-tools.lock

clean:  ## remove the environment and the state of the embedded default
	[ ! -x $(BIN)/totesys ] || $(BIN)/totesys clean
	rm -rf .venv .totesys .dagster site

# uv installs the locked packages in seconds; pip, which every Python has, installs uv by hash.
# Compiled at once: every run is a process of its own, and imports then take half the time.
.venv/uv: requirements-uv.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

.venv/installed: .venv/uv requirements.lock pyproject.toml
	$(UV) install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) install --python $(BIN)/python --no-deps -e .
	$(BIN)/python -m compileall -q totesys_dagster totesys_simulator
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(UV) install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

.venv/installed-docs: .venv/installed requirements-docs.lock
	$(UV) install --python $(BIN)/python --require-hashes -r requirements-docs.lock
	@touch $@
