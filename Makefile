# Poise: everything a person or a machine does with this repository. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
LAB := compose/lab/lab

.PHONY: help
help: ## This list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: prerequisites
prerequisites: ## Install what building needs (Debian packages; checks the Swift toolchain)
	@scripts/prerequisites

.PHONY: build
build: prerequisites ## Build the five executables, optimised
	@scripts/step "Building the five services (a first build takes 3 to 6 minutes)" swift build -c release

.PHONY: images
images: build ## Build the device's five images and the demo's app image
	@compose/images

.PHONY: demo
demo: images ## Watch four emulated devices balance themselves by moving running containers
	@compose/demo/demo

.PHONY: lint
lint: prerequisites ## Formatting, strict
	@scripts/step "Checking the formatting" swift format lint --strict --recursive Package.swift Sources Tests

.PHONY: test
test: ## All tiers: lint, unit, simulation, contracts, end-to-end on emulated devices
	@scripts/test

.PHONY: unit
unit: prerequisites ## Unit tests and architecture rules
	@scripts/test unit

.PHONY: simulation
simulation: prerequisites ## Whole sites of simulated nodes under faults
	@scripts/test simulation

.PHONY: simulate
simulate: build ## Simulated networks: SUITE=elections|site|mutants|site-mutants SEEDS=1000 FROM=0 [VERBOSE=1]
	@$(if $(filter elections mutants site site-mutants,$(SUITE)),,echo "SUITE=$(SUITE): there are elections, mutants, site and site-mutants" >&2; exit 2)
	@.build/release/simulate $(SUITE) --seeds $(or $(SEEDS),1000) --from $(or $(FROM),0) \
		$(if $(ENGINE),--engine $(ENGINE)) $(if $(MUTANT),--mutant $(MUTANT)) $(if $(LIARS),--liars $(LIARS)) $(if $(VERBOSE),--verbose)

.PHONY: transcripts
transcripts: build ## Write docs/elections/*.txt anew: what nodes say to each other while they elect
	@.build/release/simulate transcripts docs/elections

.PHONY: end-to-end
end-to-end: ## The site on emulated devices with real engines
	@scripts/test lab end-to-end

.PHONY: figure
figure: build ## Compute the evaluation in docs/evaluation.md and its figures again
	@scripts/figure

.PHONY: bench
bench: bench-plan images bench-chain ## How long a plan takes, what a chain costs, downtime of a live move, and what the services cost
	@scripts/bench

.PHONY: bench-chain
bench-chain: images ## How soon a block is committed and what it costs; beside etcd's put; how fast chains are checked
	@scripts/prerequisites tests
	@.build/release/simulate chain-figures
	@scripts/bench-chain

.PHONY: bench-elections
bench-elections: images ## What each way to elect costs, and how soon it has a new leader; raft beside etcd's own
	@scripts/prerequisites tests
	@.build/release/simulate figures
	@scripts/bench-elections

.PHONY: bench-plan
bench-plan: build ## How long a plan takes, for sites of 100 to 10,000 nodes
	@.build/release/plan-benchmark

.PHONY: clean
clean: ## Stop the lab and remove what was built (keeps the lab's base system)
	@$(LAB) down || true
	rm -rf .build .build-images
