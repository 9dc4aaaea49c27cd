# On a fresh machine with Python >= 3.11: `make demo` shows the main job, `make test` tests it.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
EXTRAS ?= test

BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
NODE_CLIENTS := tests/e2e/node/node_modules/.package-lock.json
SOURCES := pyproject.toml README.md $(wildcard bin/* packaging/*.py ecr_credential_helper/*.py ecr_credential_helper/*/*.py)

.PHONY: demo test lint bench clients man torture clean

# REGISTRY=<host>[/<repository>:<tag>] runs it against your own AWS in place of a stand-in.
demo: $(INSTALLED)
	$(BIN)/python -m tests.demo $(REGISTRY)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet awscli
	$(BIN)/python -m tests.benchmarks.bench $(BENCH_ARGS)

# Writes docs/clients.md from a run of the end-to-end tests; what they need must be there.
clients: $(INSTALLED) $(NODE_CLIENTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test,e2e]'
	CI=true CLIENTS_PAGE=docs/clients.md $(BIN)/python -m pytest -m client

$(NODE_CLIENTS): tests/e2e/node/package-lock.json
	npm ci --prefix tests/e2e/node --ignore-scripts --no-audit --no-fund
	touch $@

man: $(INSTALLED)
	$(BIN)/python -m pip install --quiet argparse-manpage 'shtab>=1.13'
	$(BIN)/python packaging/build_hook.py build

# Attack, load and faults in full: as root, with strace and faketime; some 15 minutes.
torture: $(INSTALLED)
	$(BIN)/python -m tests.torture $(TORTURE_ARGS)

clean:
	rm -rf $(VENV) build dist

$(INSTALLED): $(SOURCES)
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed: make PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[$(EXTRAS)]'
	touch $@

# The front door in C: against the Python program in 100,000 cases and in the suite, and fuzzed.

FRONT := build/front
THROUGH_FRONT := tests/test_cache.py tests/test_identity.py tests/test_paths.py tests/test_protocol.py \
	tests/test_registry.py tests/test_settings.py tests/test_secrets.py tests/test_background.py

.PHONY: front front-test

front:
	mkdir -p $(FRONT)
	$(MAKE) -C packaging/front OUT=$(CURDIR)/$(FRONT) PROGRAM=$(abspath $(BIN)/docker-credential-ecr)

front-test: $(INSTALLED) front
	FRONT_CASES=100000 FRONT_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) $(BIN)/python -m pytest tests/test_front.py
	HELPER_UNDER_TEST=$(CURDIR)/$(FRONT)/docker-credential-ecr $(BIN)/python -m pytest $(THROUGH_FRONT)

# Everything that is given out, in dist/, built by an environment of its own.

PACKER := build/packer

.PHONY: packages packages-test

# For this target alone: pip compiles to bytecode that is slower to load where it is set.
packages: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1700000000)
packages:
	rm -rf dist build/standalone $(PACKER)
	$(PYTHON) -m venv $(PACKER)
	$(PACKER)/bin/python -m pip install --quiet --disable-pip-version-check '.[packaging]'
	$(PACKER)/bin/python -m build --outdir dist
	$(PACKER)/bin/python packaging/standalone/standalone.py build/standalone
	mv build/standalone/*.tar.gz dist
	$(PACKER)/bin/python packaging/linux/packages.py build/standalone/docker-credential-ecr-*/ dist
	cd dist && sha256sum -- * > SHA256SUMS

packages-test: $(INSTALLED) packages
	$(BIN)/python -m pip install --quiet pipx uv
	PACKAGES=$(CURDIR)/dist $(BIN)/python -m pytest tests/test_packages.py
