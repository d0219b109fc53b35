# What you can do here: `make help`.

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench sizing soak

CARGO ?= cargo

# Stops with a sentence instead of a shell's "not found".
need = @command -v $(1) >/dev/null 2>&1 || { echo "make $@: $(1) is missing: $(2)" >&2; exit 1; }

help:
	@echo "make demo   build and run everything with simulated providers; no account needed"
	@echo "            (make demo ARGS='--duration 60s'; options: cargo run -- demo --help)"
	@echo "make test   every test, with the official SDKs and Kafka too; fetches what they need"
	@echo "make lint   format, clippy"
	@echo "make bench  CPU time per call beside nginx; writes docs/benchmarks.md"
	@echo "make sizing what 10,000 subscriptions cost beside 10; writes docs/sizing.md"
	@echo "make soak   minutes or hours of mixed traffic, faults and reloads; checks that nothing grows"
	@echo "            and that the ledger is what the providers billed"
	@echo "            (make soak DURATION=4h RATE=500 ARGS='--kill-every 2m'; options: ARGS=--help)"

demo:
	$(call need,$(CARGO),install Rust from https://rustup.rs)
	$(call need,cc,install a C compiler: gcc or clang)
	$(CARGO) build --release --locked --package tollgate
	@$(CARGO) run --quiet --release --locked --package tollgate -- demo $(ARGS)

test:
	$(call need,$(CARGO),install Rust from https://rustup.rs)
	$(call need,cc,install a C compiler: gcc or clang)
	$(call need,python3,install Python 3.10 or newer: the official SDKs and Kafka are tested)
	$(call need,node,install Node.js 20 or newer: the official SDKs are tested)
	$(call need,npm,install npm: it comes with Node.js)
	$(CARGO) test --workspace --locked
	.ci/sdk
	.ci/kafka

lint:
	$(call need,$(CARGO),install Rust from https://rustup.rs)
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

bench:
	$(call need,wrk,install it: apt-get install wrk)
	$(call need,nginx,install it: apt-get install nginx-light)
	$(CARGO) build --release --locked --package tollgate --package bench-upstream
	python3 bench/run.py --write

sizing:
	$(call need,wrk,install it: apt-get install wrk)
	$(CARGO) build --release --locked --package tollgate --package bench-upstream
	python3 bench/sizing.py --write $(ARGS)

DURATION ?= 5m
RATE ?= 200

soak:
	$(CARGO) build --release --locked --package tollgate --package soak
	@$(CARGO) run --quiet --release --locked --package soak -- --duration $(DURATION) --rate $(RATE) $(ARGS)
