# Needs make, curl and Python 3.11 or newer. Everything else is installed into .venv, by uv where it is on PATH, else by pip.
.DEFAULT_GOAL := help
.PHONY: help install run ui check test bench bench-quick lint canary docs up down
.DELETE_ON_ERROR:

PYTHON ?=
export PORT ?= 8080

VENV := .venv
CONSTRAINTS := constraints.txt
# A stamp is written last: an interrupted installation leaves none, and is taken up again.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

help: ## list the commands
	@echo "Begin with make run, then make ui; README.md goes on from there."
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: install ## load a demo API into a DuckDB file, once, through Airflow
	@exec $(VENV)/bin/python -m demo.run

ui: install ## Airflow with the demo API on http://localhost:8080, or PORT
	@exec $(VENV)/bin/python -m demo.ui

check: install ## ask the API of the connection CONN which options to set
	@exec bin/check-api $(or $(CONN),datasets_api)

test: $(DEV_STAMP) ## run the tests, or those in PYTEST_ARGS
	@$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

bench: $(DEV_STAMP) ## this project beside other tools, as tables (an hour)
	@$(VENV)/bin/python -m benchmarks.run --full $(BENCH_ARGS)
	@$(VENV)/bin/python -m benchmarks.paging

bench-quick: $(DEV_STAMP) ## the first of them: 10,000 records, once (two minutes)
	@$(VENV)/bin/python -m benchmarks.run --repeats 1 $(BENCH_ARGS)

lint: $(DEV_STAMP) ## style, types, who imports whom, how hard functions are
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/complexipy --failed

canary: ## what the newest dlt, Airflow and DuckDB would break
	@$(or $(PYTHON),python3) -m tests.canary.run

docs: ## these pages as a site in build/site, links checked
	@[ -e .venv-docs/.installed ] || { python3 -m venv .venv-docs && .venv-docs/bin/pip install --quiet --disable-pip-version-check -r requirements-docs.txt && touch .venv-docs/.installed; }
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo "Made build/site/index.html"

up: ## the production stack, on http://localhost:8080
	@bin/make-env
	docker compose up --build --detach --wait --remove-orphans

down: ## stop that stack once running loads have ended
	docker compose --profile demo --profile flower down

install: $(RUN_STAMP) ## install what `make run` and `make ui` need
	@:

$(RUN_STAMP): requirements.txt requirements-demo.txt $(CONSTRAINTS)
	@$(call install,-r requirements.txt -r requirements-demo.txt)

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@$(call install,-r requirements.txt -r requirements-demo.txt -r requirements-dev.txt)

# $(1): the requirement files. Makes $(VENV) unless a working one is there, installs, and writes the stamp $@.
define install
set -eu; \
fail() { echo "$$*" >&2; exit 1; }; \
modern() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
uv=$$(command -v uv || true); \
if [ -n "$$uv" ]; then works() { $(VENV)/bin/python -c '' 2>/dev/null; }; \
else works() { $(VENV)/bin/python -m pip --version >/dev/null 2>&1; }; fi; \
if ! works; then \
  python=; \
  for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
    if modern "$$candidate"; then python=$$candidate; break; fi; \
  done; \
  [ -n "$$python" ] || fail "No Python 3.11 or newer was found as $(or $(PYTHON),python3): install one, or name it with make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; \
  echo "Making $(VENV) with $$python"; \
  if [ -n "$$uv" ]; then \
    "$$uv" venv --quiet --clear --python "$$(command -v "$$python")" $(VENV); \
  elif ! "$$python" -m venv --clear $(VENV) >/dev/null 2>&1; then \
    rm -rf $(VENV); \
    fail "$$python cannot make a virtual environment: on Debian and Ubuntu run apt-get install python3-venv, then make $(MAKECMDGOALS) again."; \
  fi; \
fi; \
modern $(VENV)/bin/python || fail "The Python in $(VENV) is older than 3.11: remove the folder $(VENV) and run make $(MAKECMDGOALS) again."; \
echo "Installing $(subst -r ,,$(1)) into $(VENV) (about two minutes the first time)"; \
if [ -n "$$uv" ]; then "$$uv" pip install --quiet --python $(VENV)/bin/python $(1) -c $(CONSTRAINTS); \
else $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(1) -c $(CONSTRAINTS); fi \
|| fail "The installation failed for the reason above; make $(MAKECMDGOALS) takes it up again."; \
touch $@
endef
