# The commands of the house. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The steps of `make test` share one machine and one build folder; in parallel they would only wait for each other.
.NOTPARALLEL:

export WRIT_CACHE ?= $(HOME)/.cache/writ
export CARGO_TARGET_DIR ?= $(WRIT_CACHE)/target

# nextest is quicker and prints better; it does not run documentation tests, so those follow.
RUN_TESTS := $(shell command -v cargo-nextest >/dev/null && echo 'nextest run --no-fail-fast' || echo 'test --lib --bins --tests')

# The same with those of full size, but for those that take an optimised build; then these.
RUN_ALL_TESTS := $(shell command -v cargo-nextest >/dev/null \
	&& echo "nextest run --no-fail-fast --workspace --run-ignored all -E 'not test(/^soak::/)'" \
	|| echo 'test --workspace --lib --bins --tests -- --include-ignored --skip soak::')
RUN_SOAK_TESTS := test --release --package writ --test it -- --ignored --nocapture --test-threads 1 soak::

.PHONY: help setup demo install run test verify bench tidy fmt fmt-check lint unit clients browser docs

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests need, or say what is missing
	@scripts/setup.sh

demo: ## build Writ and run the demo: server, agent, sample tools, each step asserted
	@scripts/setup.sh rust
	cargo run --package writ -- demo

install: ## build Writ and install the binary, and say where it is
	@scripts/setup.sh rust
	cargo install --path crates/writ --locked
	@folder=$${CARGO_INSTALL_ROOT:-$${CARGO_HOME:-$$HOME/.cargo}}/bin; echo "make install: the binary is $$folder/writ"; \
	case ":$$PATH:" in *":$$folder:"*) ;; *) echo "make install: add $$folder to PATH to call it \`writ\`" ;; esac

run: ## run the server on http://127.0.0.1:8420 with its data in .writ/
	@scripts/setup.sh rust
	cargo run --package writ -- up --data .writ

test: setup tidy fmt-check lint unit demo clients browser conformance docs ## everything that must be green before a commit is pushed
	@echo "make test: tidy, format, lints, tests, demo, real clients, browser, conformance and documents are green"

verify: test ## the same and the long tests at full size: crash rounds, mutations, more property cases, a million calls
	PROPTEST_CASES=4096 cargo $(RUN_ALL_TESTS)
	cargo $(RUN_SOAK_TESTS)
	@echo "make verify: the long tests are green"

bench: ## micro-benchmarks, then the load run next to its reference points
	@scripts/setup.sh rust bench
	cargo build --profile dist --package writ
	cargo bench --package writ-policy --bench '*'
	tools/loadgen/bench.sh

tidy: ## the house rules that no compiler checks, and the dependency audit where cargo-deny is installed
	cargo xtask tidy
	@if ! command -v cargo-deny >/dev/null; then echo "tidy: cargo-deny is not installed, the audit of dependencies was skipped"; \
	else cargo deny --all-features check bans licenses sources; \
	if cargo deny fetch db 2>/dev/null; then cargo deny --all-features check --disable-fetch advisories; \
	else echo "tidy: the database of advisories cannot be fetched from here, that part was skipped"; fi; fi

fmt: ## format the code
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

lint: ## clippy, all and pedantic, warnings are errors
	cargo clippy --workspace --all-targets -- -D warnings

unit: ## all tests of the workspace on both databases
	cargo $(RUN_TESTS) --workspace
	cargo test --workspace --doc --quiet

clients: ## real MCP clients against a real MCP server, through Writ
	@scripts/setup.sh clients
	tests/conformance/run.sh

conformance: ## the official MCP conformance suite, without and with Writ in between, and each feature between both generations
	@scripts/setup.sh clients
	cargo build --package writ
	tests/conformance/suite.sh
	tests/conformance/matrix.sh --check

browser: ## people at the pages in a real browser, and the clients and sites that send them there
	@scripts/setup.sh clients browser
	cargo build --package writ
	tests/e2e/run.sh

docs: ## every command that the pages show, and the picture
	@scripts/setup.sh clients
	cargo build --package writ
	tests/docs/run.sh
