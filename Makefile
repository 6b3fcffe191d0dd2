# Every command sets up what it needs on its first run: .venv (Python packages) and node_modules (the storage
# emulator and the type checker). Later runs need no network.
#
# Variables given to make are environment variables of what it runs, and so are settings of the app:
# BACKUP_ALLOWED_ROOTS=/srv make start, or make start BACKUP_ALLOWED_ROOTS=/srv.

VENV := .venv/.set-up
NODE := node_modules/.set-up
WHEELS := dist/wheels/.set-up
CHECKOV := .venv/checkov/.set-up
INFRA_CHECKED := .venv/checkov/.infra-checked
BIN := .venv/bin

# A path with a dollar sign in it stays what it is.
override ROOT := $(value ROOT)
override TO := $(value TO)
override ID := $(value ID)
export ROOT TO ID

# make turns every exit code of a recipe into 2, except in question mode, which passes 1 on: what is needed to
# tell a failed backup (1) from a usage error (2). In that mode only the lines that begin with + are run; so
# they would with -n, which is left as it is.
ONLY_GOAL := $(if $(word 2,$(MAKECMDGOALS)),,$(MAKECMDGOALS))$(findstring n,$(firstword -$(MAKEFLAGS)))
ifneq ($(filter backup restore,$(ONLY_GOAL)),)
MAKEFLAGS += --question
RUN := +@
else
RUN := @
endif

MAKEFLAGS += --no-print-directory
# Programs that call make themselves (pip can) start without the options of this one.
unexport MAKEFLAGS

.PHONY: help backup restore start list test test-e2e lint format bench package wheels dependencies setup clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1@/p' $(MAKEFILE_LIST) | while IFS=@ read -r goal text; \
	do printf '  make %-12s %s\n' "$$goal" "$$text"; done
	@echo
	@echo '  Variables: PORT=7071, AZURITE_BLOB_PORT=10000, AZURITE_QUEUE_PORT=10001, AZURITE_TABLE_PORT=10002,'
	@echo '  AZURITE_DATA=.azurite (:memory: keeps nothing), PYTHON=the interpreter to set up with.'

ifeq ($(ROOT),)
backup:
	$(RUN)echo 'usage: make backup ROOT=/path/of/a/directory' >&2; exit 2
else
backup: setup ## ROOT=/path: back up a directory; exit code 0 complete, 1 failed, 2 usage
	$(RUN)exec $(BIN)/python -m localstack backup "$$ROOT"
endif

ifeq ($(and $(ID),$(TO)),)
restore:
	$(RUN)echo 'usage: make restore ID=a-backups-instance-id TO=/path/of/an/empty/directory' >&2; exit 2
else
restore: setup ## ID=id TO=/path: give a backup's tree back; exit code as above
	$(RUN)exec $(BIN)/python -m localstack restore "$$ID" "$$TO"
endif

start: setup ## run the app with its storage emulator in the foreground
	@exec $(BIN)/python -m localstack start

list: setup ## list the blobs that backups have left
	@$(BIN)/python -m localstack list

test: setup $(WHEELS) ## all tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile

test-e2e: setup ## HOST_URL=http://...: the end-to-end tests that any host must pass, against that host
	@$(BIN)/python -m pytest -m any_host tests/e2e

lint: setup $(INFRA_CHECKED) ## style, types, layers, infrastructure, advisories
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@node_modules/.bin/pyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m deployment advisories

format: setup ## put the code into its form
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

bench: setup ## measure; FULL=1: everything, BENCH_JSON=path: as JSON too
	@$(BIN)/python -m benchmarks

package: setup $(if $(PREBUILT),$(WHEELS)) ## the zip for Azure, in dist/; PREBUILT=1: with its dependencies
	@$(BIN)/python -m deployment package $(if $(PREBUILT),--prebuilt)

wheels: $(WHEELS) ## what requirements.txt names, for packages and their tests

dependencies: $(WHEELS) ## the app's packages for Azure, in .python_packages; azd calls this before it deploys
	@$(BIN)/python -m deployment dependencies

setup: $(VENV) $(NODE) ## what the others do first
	$(RUN):

# A set-up that was broken off has left no stamp: the next one starts from nothing.
$(VENV): requirements.txt requirements-sdk.txt requirements-dev.txt
	$(RUN)python=$$(localstack/toolchain.sh) && \
	echo 'Setting up .venv ...' >&2 && \
	{ [ -e $@ ] || "$$python" -m venv --clear .venv; } && rm -f $@ && \
	$(BIN)/python -m pip install -qq --requirement requirements-dev.txt >&2 && \
	touch $@

$(NODE): package.json package-lock.json
	$(RUN)localstack/toolchain.sh >/dev/null && \
	echo 'Setting up node_modules ...' >&2 && \
	npm ci --no-audit --no-fund --loglevel=error >&2 && \
	touch $@

$(WHEELS): requirements.txt | $(VENV)
	@echo 'Downloading the app'\''s packages ...' >&2 && \
	rm -rf dist/wheels && \
	$(BIN)/python -m deployment wheels >&2 && \
	touch $@

# checkov pins a hundred packages of its own, so it has an environment of its own. It takes half a minute: only
# what has changed since it last passed is checked again.
$(CHECKOV): requirements-checkov.txt | $(VENV)
	@echo 'Setting up checkov ...' >&2 && \
	$(BIN)/python -m venv --clear .venv/checkov && \
	.venv/checkov/bin/python -m pip install -qq --requirement requirements-checkov.txt >&2 && \
	touch $@

$(INFRA_CHECKED): $(CHECKOV) $(wildcard infra/*.bicep infra/*/*.bicep) infra/checkov.yaml
	@.venv/checkov/bin/checkov --directory infra --config-file infra/checkov.yaml && touch $@

clean: ## remove what set-up and the tools made; backups stay
	@rm -rf .venv node_modules .pytest_cache .ruff_cache .import_linter_cache .hypothesis .python_packages dist
	@find . -name __pycache__ -prune -exec rm -rf {} +
