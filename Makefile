# Every target sets up what it needs; `make demo` and `make test` are all a newcomer has to know.
SHELL := /bin/bash
BIN := .venv/bin
DEMO_PORT ?= 8000
RUN_PORT ?= 8000
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset run worker test test-sqlite check format lock messages screenshots bench bench-import bench-poll bench-push bench-start bench-memory fuzz mutants soak simulate

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## Make .venv from the hashed lock

$(STAMP): requirements-dev.lock scripts/setup
	@scripts/setup

demo: setup ## A demo company with its own mail server at http://127.0.0.1:8000/ (DEMO_PORT chooses the port)
	@$(BIN)/python scripts/demo.py --port $(DEMO_PORT) $(if $(DEMO_FOLDER),--folder $(DEMO_FOLDER))

demo-reset: ## Forget everything the demo has done
	@rm -rf var/demo && echo "The demo starts afresh with the next 'make demo'."

run: setup .env ## The product with the settings of .env, in one process
	@$(BIN)/python manage.py migrate --no-input -v 0
	@$(BIN)/python manage.py collectstatic --no-input -v 0
	@$(BIN)/python manage.py serve --port $(RUN_PORT)

worker: setup .env ## A further Celery worker (needs PostgreSQL and Redis in .env)
	@$(BIN)/celery -A config worker --loglevel INFO

.env:
	@$(BIN)/python scripts/make_env.py

test: setup ## All tests: on PostgreSQL and Redis, then on SQLite
	@scripts/test-packages
	@$(BIN)/python scripts/with_services.py $(BIN)/pytest -n auto --dist loadgroup --create-db $(ARGS)
	@$(MAKE) --no-print-directory test-sqlite

test-sqlite: setup ## The same on SQLite and the in-memory broker, but for the browser and what has no database
	@$(BIN)/pytest -n auto --dist loadgroup --create-db -m "not browser" --ignore tests/mailkit --ignore tests/fuzz \
		--ignore tests/bench --ignore tests/inbound/test_broker.py --ignore tests/config/test_first_run.py --ignore tests/config/test_compose.py $(ARGS)

bench: setup ## Every benchmark but the long one, against its reference in the same run; appends to docs/benchmarks.md
	@scripts/test-packages dovecot-imapd postgresql redis-server isync
	@$(BIN)/python -m bench.run --record docs/benchmarks.md $(ARGS)

bench-import: setup ## Import of 5,000 mails against mbsync, by one and by two processes, and on SQLite
	@scripts/test-packages dovecot-imapd postgresql isync
	@$(BIN)/python -m bench.run import --record docs/benchmarks.md $(ARGS)

bench-poll: setup ## A look at 1,000 idle accounts over TLS against plain IMAPClient
	@scripts/test-packages dovecot-imapd postgresql
	@$(BIN)/python -m bench.run poll --record docs/benchmarks.md $(ARGS)

bench-push: setup ## From the arrival of a mail to its ticket, by watcher and worker
	@scripts/test-packages dovecot-imapd postgresql redis-server
	@$(BIN)/python -m bench.run push --record docs/benchmarks.md $(ARGS)

bench-start: setup ## From 'make demo' to its first page
	@scripts/test-packages postgresql
	@$(BIN)/python -m bench.run start --record docs/benchmarks.md $(ARGS)

bench-memory: setup ## Memory of the import of 100,000 mails (half an hour, 12 GB of disk)
	@scripts/test-packages dovecot-imapd postgresql
	@$(BIN)/python -m bench.run memory --record docs/benchmarks.md $(ARGS)

simulate: setup ## Scheduling of up to 10,000 accounts in a model; the tables of docs/scaling.md
	@$(BIN)/python -m bench.simulation $(ARGS)

mutants: setup ## Take away one guard after another and see a test go red (ARGS="lease" takes those of that name)
	@$(BIN)/python scripts/mutants.py $(ARGS)

fuzz: setup ## Damage RUNS mails (SEED chooses which) and read them; failing ones come to test-output/
	@$(BIN)/python -m fuzz.run --runs $(or $(RUNS),100000) --seed $(or $(SEED),1)

soak: setup ## Inject faults until RUNS mails were imported and RUNS sent (SEED chooses which)
	@scripts/test-packages dovecot-imapd postfix postgresql redis-server
	@$(BIN)/python -m soak.run --runs $(or $(RUNS),10000) --seed $(or $(SEED),1) $(ARGS)

check: setup ## Style, types, layers, migrations, translations, deployment settings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/checks.py

format: setup ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: setup ## Compile the lock files anew from pyproject.toml
	@$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" -o requirements.lock
	@$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --all-extras --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o requirements-dev.lock

messages: setup ## Collect new texts into the German catalogues and compile them
	@$(BIN)/python scripts/messages.py

screenshots: setup ## Pictures of the running demo's main pages into docs/images
	@scripts/test-packages chromium
	@$(BIN)/python scripts/screenshots.py
