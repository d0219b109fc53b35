# What you can do here: `make help`.

.DEFAULT_GOAL := help
.PHONY: help demo model test lint bench bench-audit sizing soak fuzz

CARGO ?= cargo

# Stops with a sentence instead of a shell's "not found".
need = @command -v $(1) >/dev/null 2>&1 || { echo "make $@: $(1) is missing: $(2)" >&2; exit 1; }

help:
	@echo "make demo   build and run everything with simulated providers; no account needed"
	@echo "            (make demo ARGS='--duration 60s'; options: cargo run -- demo --help)"
	@echo "make model  fetch the local sentence model once (21 MB, into ~/.cache/tollgate/models)"
	@echo "make test   every test, with the official SDKs and Kafka too; fetches what they need"
	@echo "make lint   format, clippy"
	@echo "make bench  CPU time per call beside nginx; writes docs/benchmarks.md"
	@echo "make bench-audit"
	@echo "            CPU time that audit records add to a governed call, by thread"
	@echo "make sizing what 10,000 subscriptions cost beside 10; writes docs/sizing.md"
	@echo "make soak   minutes or hours of mixed traffic, faults and reloads; checks that nothing grows"
	@echo "            and that the ledger is what the providers billed"
	@echo "            (make soak DURATION=4h RATE=500 ARGS='--kill-every 2m'; options: ARGS=--help)"
	@echo "make fuzz   hostile bytes for every parser, a minute each (FUZZ_SECONDS=3600; make fuzz-request)"

demo:
	$(call need,$(CARGO),install Rust from https://rustup.rs)
	$(call need,cc,install a C compiler: gcc or clang)
	$(CARGO) build --release --locked --package tollgate
	@$(CARGO) run --quiet --release --locked --package tollgate -- demo $(ARGS)

model:
	$(call need,$(CARGO),install Rust from https://rustup.rs)
	$(CARGO) run --locked --package tollgate -- cache install-model

test:
	$(call need,$(CARGO),install Rust from https://rustup.rs)
	$(call need,cc,install a C compiler: gcc or clang)
	$(call need,python3,install Python 3.10 or newer: the official SDKs and Kafka are tested)
	$(call need,node,install Node.js 20 or newer: the official SDKs are tested)
	$(call need,npm,install npm: it comes with Node.js)
	$(CARGO) run --locked --package tollgate -- cache install-model
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

bench-audit:
	$(call need,wrk,install it: apt-get install wrk)
	$(CARGO) build --release --locked --package tollgate --package bench-upstream
	python3 bench/audit.py $(ARGS)

sizing:
	$(call need,wrk,install it: apt-get install wrk)
	$(CARGO) build --release --locked --package tollgate --package bench-upstream
	python3 bench/sizing.py --write $(ARGS)

DURATION ?= 5m
RATE ?= 200

soak:
	$(CARGO) build --release --locked --package tollgate --package soak
	@$(CARGO) run --quiet --release --locked --package soak -- --duration $(DURATION) --rate $(RATE) $(ARGS)

FUZZ_SECONDS ?= 60
FUZZ_TARGETS = request stream answer texts events pii config
SEEDS_request = crates/dialect/tests/golden/requests
SEEDS_texts = $(SEEDS_request)
SEEDS_stream = crates/dialect/tests/golden/streams
SEEDS_answer = $(SEEDS_stream)
SEEDS_events = $(SEEDS_stream)
SEEDS_config = examples

fuzz: $(FUZZ_TARGETS:%=fuzz-%)

fuzz-%:
	$(call need,cargo-fuzz,install it: cargo install cargo-fuzz; and a nightly compiler: rustup toolchain install nightly)
	@mkdir -p fuzz/corpus/$*
	$(CARGO) +nightly fuzz run $* fuzz/corpus/$* $(SEEDS_$*) -- -max_total_time=$(FUZZ_SECONDS)
