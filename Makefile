# What a reader runs. Each target says what it does; `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
export PROVOST_EXECD := $(TARGET)/$(TRIPLE)/execd/provost-execd
export PROVOSTD := $(TARGET)/release/provostd
export PROVOST_BIN := $(TARGET)/release/provost

.PHONY: help
help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 20

.PHONY: demo
demo: ## A throwaway container, a simulated cluster, both daemons, one MCP session with every step shown
	@tests/need demo
	@$(MAKE) --no-print-directory execd agent-with-sim
	@tests/demo/run

.PHONY: test
test: ## Everything: format, lints, licences, unit tests, and the tests in real containers
	@tests/need test
	@tests/run

.PHONY: test-vm
test-vm: deb beside ## The package's whole life on a booted Debian 13 node, from its installation to its purge (tests/vm; some minutes)
	@tests/vm/scenario/run

.PHONY: test-vm-selinux
test-vm-selinux: deb beside ## Provost on a booted node that enforces SELinux: its module, its domains, and what they refuse
	@tests/vm/scenario/run --selinux

.PHONY: test-vm-all
test-vm-all: test-vm test-vm-selinux ## Both, and the first on Debian 12
	@PROVOST_VM_SUITE=bookworm tests/vm/scenario/run

# What stands beside the package on that node, and is in none: the simulated cluster, its pveum, the build that tries the walls.
# Beside a test, and so with the features that tests have of every crate: by themselves they would have each compiled again.
.PHONY: beside
beside:
	cargo build --locked --bins --test http

# With features that build none of the daemons: those that are measured are the released ones, and stay in their place.
.PHONY: bench
bench: ## The promised numbers of SPECIFICATION.md, measured in one run
	@tests/need bench
	@$(MAKE) --no-print-directory build
	@cargo bench --locked --no-default-features --features agent --bench catalog -- $(BENCH)
	@cargo bench --locked --no-default-features --features sim --bench read --bench connect --bench estate -- $(BENCH)
	@tests/lab/lab up --only 101 && tests/lab/lab wait 101
	@tests/lab/lab run -- cargo bench --locked --no-default-features --features execd --bench exec -- $(BENCH)
	@tests/lab/lab run -- cargo bench --locked --no-default-features --features execd --bench files -- $(BENCH)
	@tests/lab/lab run -- cargo bench --locked --no-default-features --features execd,sim --bench diagnose -- $(BENCH)
	@cargo bench --locked --no-default-features --features agent --bench ledger -- --full $(BENCH)

# Each death is a tenth of a second; CI takes 200 of them.
CRASHES ?= 2000
.PHONY: crash
crash: ## The ledger's writer killed at each of its calls, CRASHES times (2000)
	@tests/need test
	PROVOST_CRASH_RUNS=$(CRASHES) cargo nextest run --locked --no-capture --test ledger -E 'test(/^crash/)'

# Both on a debug build with the simulated cluster. The second goes on for HTTP_SECONDS.
HTTP_SECONDS ?= 600
.PHONY: conformance schemathesis a2a
conformance: beside ## The official MCP conformance runner over HTTP: against Provost, then against the server that it asks for
	cargo build --locked --example made-up-server
	PROVOSTD=$(TARGET)/debug/provostd PROVOST_BIN=$(TARGET)/debug/provost \
	  tests/http/served tests/http/conformance tests/http/expected-failures.yml
	PROVOSTD=$(TARGET)/debug/examples/made-up-server PROVOST_BIN=$(TARGET)/debug/provost tests/http/served tests/http/conformance

schemathesis: beside ## schemathesis against /openapi.json, for ten minutes, or HTTP_SECONDS
	PROVOSTD=$(TARGET)/debug/provostd PROVOST_BIN=$(TARGET)/debug/provost tests/http/served tests/http/schemathesis $(HTTP_SECONDS)

# They come from PyPI, as the clients of tests/clients do, and are tried with them by `make test`.
a2a: ## The official A2A SDK's client against the HTTP door, over a simulated cluster
	cargo nextest run --locked --test clients -E 'test(/^a2a::/)'

# What is released says nothing of where it was built, so that it is the same to the bit from every directory
# (make test-package builds it twice). The last that fits a path counts. A bench has them too, or it would compile all anew.
CRATES = $(shell ls -d $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/* 2>/dev/null)
REMAPPED = $(foreach path,$(CURDIR)=/provost $(TARGET)=/target $(CRATES:%=%=/crates),--remap-path-prefix=$(path))
agent agent-with-sim bench: export RUSTFLAGS = $(REMAPPED)

# The crates have to be there before their place can be named.
.PHONY: fetch
fetch:
	@cargo fetch --quiet --locked --target $(TRIPLE)

.PHONY: build
build: agent execd ## All three programs as they are released

.PHONY: agent
agent: fetch ## provostd and provost
	cargo build --release --locked --no-default-features --features agent,cli --bin provostd --bin provost

# What the demo runs: the same, with the simulated cluster as one more verb. In no package.
.PHONY: agent-with-sim
agent-with-sim: fetch
	cargo build --release --locked --no-default-features --features agent,cli,sim --bin provostd --bin provost

# One static file with its own copy of libseccomp: nothing of the node's is loaded into a process that is root.
.PHONY: execd
execd: fetch ## provost-execd, static
	LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=$(shell pkg-config --variable=libdir libseccomp) \
	RUSTFLAGS="$(REMAPPED) -C target-feature=+crt-static" \
	cargo build --profile execd --locked --target $(TRIPLE) --no-default-features --features execd --bin provost-execd
	@tests/build/execd-dependencies

# What dpkg-buildpackage makes of what is built here; by itself it builds in debian/target, and leaves nothing there.
DEBS := $(TARGET)/debian
.PHONY: deb
deb: ## The Debian package, into target/debian
	@tests/need deb
	@rm -rf $(DEBS) && mkdir -p $(DEBS)
	CARGO_TARGET_DIR=$(TARGET) DEB_OUT=$(DEBS) dpkg-buildpackage --build=binary --no-sign \
	  --buildinfo-file=$(DEBS)/provost.buildinfo --changes-file=$(DEBS)/provost.changes \
	  --buildinfo-option=-u$(DEBS) --changes-option=-u$(DEBS)
	@ls -l $(DEBS)/*.deb

.PHONY: apt-repo
REPO ?= $(TARGET)/apt
apt-repo: ## An apt repository of target/debian's packages in REPO (target/apt), signed by KEY, a key that gpg knows
	@[ -n "$(KEY)" ] || { echo "Say which key signs: make apt-repo KEY=... [REPO=DIR] [SUITE=stable] [URI=https://...]"; exit 2; }
	@ls $(DEBS)/*.deb >/dev/null 2>&1 || { echo "There is no package yet: make deb"; exit 1; }
	@SUITE="$(SUITE)" URI="$(URI)" debian/apt-repo $(REPO) "$(KEY)" $(DEBS)/*.deb

.PHONY: test-package
test-package: deb ## The package: lintian of Debian 12 and 13, apt, a life on a booted machine, and built twice to the same bits
	@tests/package/run --whole

SELINUX_DEVEL ?= /usr/share/selinux/devel
.PHONY: selinux
selinux: ## The SELinux module, into target/selinux/provost.pp (needs selinux-policy-dev and checkpolicy)
	@[ -e $(SELINUX_DEVEL)/Makefile ] || { echo "Missing: apt-get install --no-install-recommends selinux-policy-dev checkpolicy"; exit 1; }
	@mkdir -p $(TARGET)/selinux && cp selinux/provost.?? $(TARGET)/selinux/
	@$(MAKE) --no-print-directory -C $(TARGET)/selinux -f $(SELINUX_DEVEL)/Makefile provost.pp
	@ls -l $(TARGET)/selinux/provost.pp

.PHONY: man
man: ## The manual's pages, into target/man
	cargo run --quiet --locked --no-default-features --features agent,cli --bin provost -- man $(TARGET)/man
	@ls $(TARGET)/man

.PHONY: docs
docs: ## docs/configuration.md and provost.toml(5), anew from the types that read the file
	PROVOST_WRITE_DOCS=1 cargo nextest run --locked --lib -E 'test(/^config::reference/)'
	@git diff --stat -- docs src/cli/pages

# libFuzzer's instrumentation is behind an unstable flag; the variable opens it on a stable compiler.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## Each fuzz target for a minute, or FUZZ_SECONDS (needs cargo-fuzz)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "Missing: cargo install cargo-fuzz"; exit 1; }
	@cd fuzz && for target in $$(cargo fuzz list); do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

.PHONY: lab-down
lab-down: ## Stop and remove the test containers
	@tests/lab/lab down
