# On a fresh machine with Python >= 3.11: `make demo` shows the main job, `make test` tests it.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
EXTRAS ?= test
WORKERS ?= auto

BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
NODE_CLIENTS := tests/e2e/node/node_modules/.package-lock.json
SOURCES := pyproject.toml README.md docs/reference.md $(wildcard packaging/*.py ecr_credential_helper/*.py ecr_credential_helper/*/*.py)

.PHONY: demo test windows-test lint docs bench aws-helper fleet pictures clients built-clients go-clients java-clients rust-clients man torture clean

# REGISTRY=<host>[/<repository>:<tag>] runs it against your own AWS in place of a stand-in.
demo: $(INSTALLED)
	$(BIN)/python -m tests.demo $(REGISTRY)

# In as many processes as there are processors, each with a Docker engine of its own.
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test: $(INSTALLED)
	$(PYTEST) $(PYTEST_ARGS)

# The portable tests by a Python for Windows, under Wine (apt-get install wine wine64); half an hour.
windows-test: $(INSTALLED)
	$(BIN)/python -m tests.wine $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/zizmor --offline --pedantic .github/workflows packaging/github-action
	@if $(MAKE) --silent $(ACTIONLINT) 2>/dev/null; then $(ACTIONLINT); else \
		echo "make: actionlint is not built: Go 1.24 or newer and the network are needed" >&2; test -z "$$CI"; fi
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 ecr_credential_helper
	$(BIN)/mypy --platform darwin ecr_credential_helper

# The site, into build/site; a link that leads nowhere is an error (not with --quiet, which hides it).
docs: $(INSTALLED)
	@$(BIN)/python -c 'import material' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[docs]'
	$(BIN)/python -m mkdocs build --strict $(DOCS_ARGS)

bench: $(INSTALLED) aws-helper
	$(BIN)/python -m pip install --quiet awscli
	$(BIN)/python -m tests.benchmarks.bench --aws-helper $(AWS_HELPER) $(BENCH_ARGS)

# AWS's own helper, to compare with, built as AWS builds it.
AWS_HELPER_VERSION := v0.12.0
AWS_HELPER := build/aws-helper-$(AWS_HELPER_VERSION)/docker-credential-ecr-login

aws-helper:
	@test -x $(AWS_HELPER) || CGO_ENABLED=0 GOBIN=$(CURDIR)/$(dir $(AWS_HELPER)) go install -ldflags=-s \
		github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/docker-credential-ecr-login@$(AWS_HELPER_VERSION) \
		>/dev/null 2>&1 || echo "make: AWS's helper $(AWS_HELPER_VERSION) is not built: Go 1.24 or newer and the network are needed" >&2

# Checks the workflows, and by shellcheck, where that is installed, their steps.
ACTIONLINT := build/actionlint

$(ACTIONLINT): .ci/actionlint/go.mod
	go build -C $(<D) -o $(CURDIR)/$@ github.com/rhysd/actionlint/cmd/actionlint

# A simulated fleet, written into tests/benchmarks/README.md and fleet.svg; under a minute.
fleet: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check matplotlib
	$(BIN)/python -m tests.benchmarks.fleet --write

# Writes docs/clients.md from a run of the end-to-end tests; what they need must be there.
clients: $(INSTALLED) built-clients
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test,e2e]'
	CI=true CLIENTS_PAGE=docs/clients.md $(BIN)/python -m pytest -m client

# The clients that come from the registries of other languages, pinned by a manifest for each below
# tests/e2e; some ten minutes once. Without them their tests are skipped.
built-clients: $(NODE_CLIENTS) go-clients java-clients rust-clients

go-clients: tool := go
java-clients: tool := mvn
rust-clients: tool := cargo
go-clients java-clients rust-clients:
	@command -v $(tool) >/dev/null || { echo "make: $(tool) is needed for these clients; without them their tests are skipped" >&2; exit 1; }
	$(MAKE) --jobs 2 -C tests/e2e/$(@:-clients=) OUT=$(CURDIR)/build/clients/$(@:-clients=)

$(NODE_CLIENTS): tests/e2e/node/package-lock.json
	npm ci --prefix tests/e2e/node --ignore-scripts --no-audit --no-fund
	touch $@

# The pictures in docs/pictures/, from real runs: as root, with what the end-to-end tests need.
pictures: $(INSTALLED)
	$(BIN)/python -m tests.docs.pictures

man: $(INSTALLED)
	$(BIN)/python -m pip install --quiet argparse-manpage markdown-it-py 'shtab>=1.13'
	$(BIN)/python packaging/build_hook.py build

# Attack, load and faults in full: as root, with strace and faketime; some 15 minutes.
torture: $(INSTALLED)
	$(BIN)/python -m tests.torture $(TORTURE_ARGS)

clean:
	rm -rf $(VENV) build dist

# $(call venv,DIRECTORY): a virtual environment, or what is missing for one and how to get it.
define venv
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: Python 3.11 or newer is needed: install it (Debian, Ubuntu: apt-get install" \
			"python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) has no module venv: install it (Debian, Ubuntu: apt-get install" \
			"python3-venv)" >&2; exit 1; }
	$(1)/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(1)
endef

# $(call environment,DIRECTORY,EXTRAS): a virtual environment with this package and what it needs.
# An older pip's script of the program imports `re`; so does each start of Python beside the
# setuptools that venv brings before 3.12, which nothing needs.
define environment
	$(call venv,$(1))
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.2' && \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check '.[$(2)]' || { \
		echo "make: pip 25.2 or newer and the packages in pyproject.toml could not be installed: is PyPI reachable from here?" \
			"pip takes another index from PIP_INDEX_URL, a proxy from HTTPS_PROXY" >&2; exit 1; }
	@$(1)/bin/python -m pip uninstall --quiet --yes setuptools 2>/dev/null
	touch $@
endef

$(INSTALLED): $(SOURCES)
	$(call environment,$(VENV),$(EXTRAS))

# The small program in C that answers a warm get in the packages ("front"): compared with the Python
# program in 100,000 cases and in the suite, and fuzzed.

FRONT := build/front
THROUGH_FRONT := tests/tokens/test_cache.py tests/tokens/test_identity.py tests/system/test_paths.py tests/test_protocol.py \
	tests/test_registry.py tests/test_settings.py tests/helper/test_secrets.py tests/tokens/test_background.py

.PHONY: front front-cases front-test

front:
	mkdir -p $(FRONT)
	$(MAKE) -C packaging/front OUT=$(CURDIR)/$(FRONT) PROGRAM=$(abspath $(BIN)/docker-credential-ecr)

front-test: front-cases
	HELPER_UNDER_TEST=$(CURDIR)/$(FRONT)/docker-credential-ecr \
		$(PYTEST) $(THROUGH_FRONT)

front-cases: $(INSTALLED) front
	FRONT_CASES=100000 FRONT_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) \
		$(PYTEST) tests/packaging/test_front.py

# Everything that is given out, in dist/, built by an environment of its own; each form by its target.

PACKER := build/packer
DIRECTORIES := build/standalone
UNPACKED := build/unpacked
PROCESSORS ?= x86_64 aarch64
REPOSITORY ?= OWNER/ecr-credential-helper

.PHONY: lock release-check audit wheel standalone linux image formula sbom packages packages-test packages-bench

# For these targets alone: pip compiles to bytecode that is slower to load where it is set.
wheel standalone linux image sbom packages: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1700000000)

packages:
	rm -rf dist $(DIRECTORIES) $(PACKER)
	$(MAKE) wheel linux image formula sbom
	cd dist && sha256sum -- * > SHA256SUMS

# Renews what builds (packaging/tools.txt, installer.txt) and what the directories are made of
# (inputs.json), and prints what changed.
lock: $(PACKER)/tools
	$(PACKER)/bin/python packaging/tools.py
	$(PACKER)/bin/python packaging/inputs.py

# All that can be tried before a tag without a service of the network; some twenty minutes.
release-check: $(INSTALLED)
	$(call release)
	$(BIN)/python packaging/release_check.py $(VERSION)

# Asks PyPI for known weaknesses of what is locked; AUDIT_ARGS="--vulnerability-service osv" asks OSV.
audit: $(INSTALLED)
	$(call release)
	$(BIN)/python packaging/audit.py $(AUDIT_ARGS)

define release
	@$(BIN)/python -c 'import check_wheel_contents, packaging.requirements, pip_audit, twine' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[release]'
endef

wheel: $(PACKER)/installed
	rm -f dist/ecr_credential_helper-*
	$(PACKER)/bin/python -m build --no-isolation --outdir dist

standalone: $(PACKER)/installed
	rm -rf $(DIRECTORIES)
	mkdir -p dist
	$(PACKER)/bin/python packaging/standalone.py $(DIRECTORIES) $(PROCESSORS)
	cp $(DIRECTORIES)/*.tar.* dist

linux: standalone
	$(PACKER)/bin/python packaging/packages.py dist $(DIRECTORIES)/*/

image: standalone
	$(PACKER)/bin/python packaging/image.py dist $(DIRECTORIES)/*/

formula: wheel
	cd dist && sdist=$$(ls ecr_credential_helper-*.tar.gz) && version=$${sdist#*-} && \
	sed -e "s,@REPOSITORY@,$(REPOSITORY),; s,@SDIST@,$$sdist,; s,@VERSION@,$${version%.tar.gz}," \
		-e "s,@SHA256@,$$(sha256sum $$sdist | cut -d ' ' -f 1)," \
		../packaging/homebrew/docker-credential-ecr.rb.in > docker-credential-ecr.rb

sbom: $(PACKER)/installed
	$(PACKER)/bin/python packaging/sbom.py dist

# The tools that build are those in the lock, whatever the day and the index: pip first, then what it
# installs. Beside them is the program, for its man page and completions. setuptools as above.
$(PACKER)/tools: packaging/installer.txt packaging/tools.txt
	$(call venv,$(PACKER))
	@( for lock in $^; do \
		$(PACKER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
			--no-build-isolation --requirement $$lock || exit 1; \
	done ) || { \
		echo "make: the tools in packaging/tools.txt could not be installed: is PyPI reachable from here?" \
			"pip takes another index from PIP_INDEX_URL, a proxy from HTTPS_PROXY" >&2; exit 1; }
	@$(PACKER)/bin/python -m pip uninstall --quiet --yes setuptools 2>/dev/null
	touch $@

$(PACKER)/installed: $(PACKER)/tools $(SOURCES)
	$(PACKER)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index \
		--no-build-isolation .
	touch $@

# What runs the program from outside, put through the directory too.
BLACK_BOX := tests/test_protocol.py tests/test_registry.py tests/test_settings.py \
	tests/aws/test_sources.py tests/aws/test_failures.py tests/aws/test_deadlines.py \
	tests/commands tests/helper tests/system tests/tokens

# Each form installed and used from a clean place, against the loopback AWS and by a real engine.
BUILT := tests/packaging/test_packages.py tests/packaging/test_anywhere.py \
	tests/packaging/test_other_processor.py tests/e2e/test_packages.py tests/e2e/test_recipes.py \
	tests/packaging/test_github_action.py tests/packaging/test_gitlab_component.py \
	tests/e2e/test_ci.py tests/docs/test_install.py

# With `--old-file packages` it takes what is in dist/, wherever that was built.
packages-test: $(INSTALLED) packages
	$(MAKE) $(PACKER)/installed
	PACKAGES=$(CURDIR)/dist PACKER=$(CURDIR)/$(PACKER) REPOSITORY=$(REPOSITORY) $(PYTEST) $(BUILT)
	rm -rf $(UNPACKED)
	mkdir -p $(UNPACKED)
	tar -xzf dist/docker-credential-ecr-*-linux-$$(uname -m).tar.gz -C $(UNPACKED) --strip-components 1
	HELPER_UNDER_TEST=$(CURDIR)/$(UNPACKED)/docker-credential-ecr $(PYTEST) $(BLACK_BOX)

# The table of packaging/README.md.
packages-bench: $(INSTALLED) packages aws-helper
	$(BIN)/python -m tests.benchmarks.forms dist $(AWS_HELPER)
