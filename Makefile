# Everything starts here: `make` lists what there is.
.DEFAULT_GOAL := help

# How many packages are tested at once. Those with a real ZooKeeper have one
# Java process each, and timing is judged: more than there are cores hurts.
P        ?= 2
TIMEOUT  ?= 10m
FUZZTIME ?= 30s
COUNT    ?= 3
SEED     ?= $(shell date +%s)
BENCH    ?= .

# Not in go.mod: the linter's dependencies are not the library's.
LINT_VERSION := v2.15.0
LINT         := bin/golangci-lint-$(LINT_VERSION)

# "embedded" keeps the tests away from real servers.
export CONCLAVE_TEST

# A data race inside a library that tests use as a peer; the file says which.
export GORACE := suppressions=$(CURDIR)/scripts/race.supp

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## install what the tests need (Debian, as root), or say what is missing
	@scripts/setup.sh

.PHONY: test
test: setup ## everything: vet, shape of the repository, all tests with the race detector
	@if [ "$$CONCLAVE_TEST" = embedded ]; then echo "CONCLAVE_TEST=embedded: no test runs against a real ZooKeeper"; fi
	go vet ./...
	go test -timeout $(TIMEOUT) ./internal/arch
	go test -race -timeout $(TIMEOUT) -p $(P) $$(go list ./... | grep -v /internal/arch$$)

.PHONY: race
race: setup ## the tests again and again in random order (COUNT=3, SEED), to find what is flaky
	go test -race -timeout $(TIMEOUT) -p $(P) -count $(COUNT) -shuffle $(SEED) $$(go list ./... | grep -v /internal/arch$$)

.PHONY: fuzz
fuzz: ## every fuzz target in turn (FUZZTIME=30s each)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: mutants
mutants: ## seeded defects, each of which the tests of internal/l1 must notice
	go run ./internal/l1/mutants

.PHONY: lint
lint: $(LINT) ## the linters of .golangci.yml
	$(LINT) run ./...

.PHONY: bench
bench: ## all benchmarks, or those that match BENCH
	go test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 ./...

.PHONY: cover
cover: setup ## how much of the code the tests run
	@mkdir -p .cache
	go test -p $(P) -timeout $(TIMEOUT) -coverpkg ./... -coverprofile .cache/cover.out ./...
	go tool cover -func .cache/cover.out | tail -n 1

.PHONY: demo
demo: ## the main job, on the in-process server
	go run ./cmd/conclave demo

.PHONY: nightly
nightly: ## test, race, lint and fuzz; writes docs/results/nightly.md (COUNT, SEED, FUZZTIME)
	@COUNT=$(COUNT) SEED=$(SEED) scripts/nightly.sh $(FUZZTIME)

.PHONY: clean
clean: ## remove what make made
	rm -rf bin .cache

$(LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/golangci-lint $@
