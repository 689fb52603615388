# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
BIN := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOLANGCI_VERSION := v2.15.0

# The real plugins that demo and suite use, and that the suite judges; go.mod's tool lines pin their version.
PLUGINS := $(addprefix github.com/containernetworking/plugins/plugins/,\
	main/bridge main/macvlan main/ptp main/loopback main/host-device main/tap main/dummy main/ipvlan main/vlan \
	ipam/host-local ipam/static ipam/dhcp meta/tuning meta/portmap meta/bandwidth meta/firewall meta/sbr meta/vrf)

# The race detector needs cgo; without a C compiler the tests run without it.
CC_FOUND := $(shell command -v gcc || command -v clang || true)
RACE := $(if $(CC_FOUND),-race,)

.PHONY: help
help: ## show the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Without the traces of gRPC, which nobody can look at here, the linker leaves out
# what is not used: 6 MB of the daemon's binary, 2.5 MiB of its memory.
TAGS := grpcnotrace

.PHONY: build
build: ## build daemon, shim, suite, demo, mutants and the real plugins into bin/
	@echo "build: thicketd, thicket-shim, thicket-passthrough, thicket-conformance, thicket-demo, mutants, thicket-second"
	@CGO_ENABLED=0 $(GO) build -tags $(TAGS) -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/thicket-mutants ./fakes/mutants
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/thin-plugin ./fakes/plugin/thin
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o $(BIN)/thicket-second ./fakes/second
	@echo "build: delegate plugins (bridge, macvlan, ptp, host-local, ...)"
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/cni/ $(PLUGINS)
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/runtimes/thin-runtime ./fakes/runtime/thin
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/runtimes/ github.com/containernetworking/cni/cnitool
	@for role in veth ipam chain; do ln -sf ../thin-plugin $(BIN)/cni/thin-$$role; done

# Real Kubernetes components, from Go modules; versions are kind/components/go.mod's.
COMPONENTS := kind/components
K8S_MODULES := $(COMPONENTS)/go.mod $(COMPONENTS)/go.sum $(wildcard $(COMPONENTS)/etcd/*.go)
K8S_VERSION := $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2}' $(COMPONENTS)/go.mod)
K8S_LDFLAGS := -s -w -X k8s.io/component-base/version.gitVersion=$(K8S_VERSION) -X k8s.io/component-base/version.gitMajor=1 \
	-X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(K8S_VERSION)))

.PHONY: generate
generate: ## write what is generated and committed: the suite's catalog, what of the standards it judges, TARGETS.md, and JSON Schemas
	@$(GO) test ./conformance -count=1 -run 'TestCatalogFile|TestIDsAreKept' -update
	@$(GO) test ./conformance/trace -count=1 -run TestTraceFile -update
	@$(GO) test ./conformance/reference -count=1 -run TestTargetsFile -update
	@$(GO) test ./conformance/explain -count=1 -run TestRows -update
	@$(GO) test ./conformance/schemas -count=1 -run TestSchemas -update
	@$(GO) test ./cmd/thicket-conformance -count=1 -run TestSettingsSchema -update
	@$(GO) test ./fakes/mutants -count=1 -run TestWrongDaemons -update

.PHONY: k8s
k8s: $(BIN)/k8s/etcd $(BIN)/k8s/kube-apiserver ## build etcd and kube-apiserver into bin/k8s/, once

$(BIN)/k8s/etcd: $(K8S_MODULES)
	@echo "k8s: building etcd from source, once (about half a minute)"
	@cd $(COMPONENTS) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ ./etcd

$(BIN)/k8s/kube-apiserver: $(K8S_MODULES)
	@echo "k8s: building kube-apiserver $(K8S_VERSION) from source, once (about five minutes on two cores)"
	@cd $(COMPONENTS) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(K8S_LDFLAGS)' -o $(CURDIR)/$@ k8s.io/kubernetes/cmd/kube-apiserver

include kind/kind.mk
include kind/release.mk
include conformance/vm/vm.mk

# What the suite judges as runtimes: libraries behind small programs, and containerd
# with its sandbox image. Versions are conformance/runtimes/go.mod's and kind/runtime/go.mod's.
SANDBOX_IMAGE := conformance.thicket-cni.io/pause:dev

.PHONY: runtimes
runtimes: $(addprefix $(BIN)/node/,$(CONTAINERD)) $(BIN)/runtimes/pause.tar ## build the runtimes to judge into bin/runtimes/ and bin/node/: libcni, cnitool, go-cni, ocicni, containerd
	@echo "runtimes: libcni, cnitool, go-cni, ocicni"
	@cd conformance/runtimes && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$(BIN)/runtimes/ ./... github.com/containernetworking/cni/cnitool
	@command -v runc >/dev/null || echo "runtimes: containerd needs runc: apt-get install runc"

$(BIN)/runtimes/pause.tar: $(BIN)/node/pause $(BIN)/tools/image
	@$(BIN)/tools/image --output $@ --name $(SANDBOX_IMAGE) --entrypoint /pause $<=/pause

.PHONY: root
root:
	@[ "$$(id -u)" = 0 ] || { echo "root is needed for network namespaces and sockets: sudo make $(MAKECMDGOALS)"; exit 1; }

# What a machine without a C compiler cannot have is reported with what was skipped.
NO_RACE := {"Action":"output","Package":"race","Test":"race detector","Output":"no C compiler was found: apt-get install gcc libc6-dev"}\n{"Action":"skip","Package":"race","Test":"race detector"}\n

# The order of the suite's cases, and what chaos does; empty is another one each time.
SEED ?=

# Packages with benchmarks, which make test runs once: they break unseen otherwise.
BENCHMARKED := $(addprefix ./,$(sort $(dir $(shell grep -ls '^func Benchmark' pkg/*/*_test.go))))

.PHONY: test
test: root build k8s ## all tests: packages, and the whole suite in-process, against the binaries, and with an API server
	@$(GO) build -o $(BIN)/test-progress ./conformance/progress
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/fake-delegate ./fakes/delegate/small
	@mkdir -p report
	@export THICKET_ARTIFACTS=$${THICKET_ARTIFACTS:-$(CURDIR)/report}; { status=0; \
	echo "test: packages"; \
	$(if $(RACE),,printf '$(NO_RACE)';) \
	$(GO) test -json $(RACE) -timeout 15m $$($(GO) list ./... | grep -v /conformance/inprocess) || status=1; \
	$(GO) test -json -run '^$$' -bench . -benchtime 1x $(BENCHMARKED) || status=1; \
	(cd kind/image && $(GO) test -json ./...) || status=1; \
	(cd kind/release && $(GO) test -json ./...) || status=1; \
	(cd conformance/runtimes && $(GO) test -json ./...) || status=1; \
	echo "test: the conformance suite, in-process, against bin/, and against bin/ with an API server, side by side"; \
	{ embedded=0; for module in example example-kind example-plugin; do \
	(cd conformance/$$module && SLOW=3 $(GO) test -json -count=1 ./...) || embedded=1; done; exit $$embedded; } > report/embedded.json & modules=$$!; \
	THICKET_TEST_SEED=$(SEED) $(GO) test -json -count=1 -parallel 3 -timeout 25m ./conformance/inprocess || status=1; \
	echo "test: the suite as somebody else's go test embeds it (conformance/example, conformance/example-kind, conformance/example-plugin)"; \
	wait $$modules || status=1; cat report/embedded.json; \
	exit $$status; } | tee report/test.json | $(BIN)/test-progress

.PHONY: mutants
mutants: root build k8s ## show that the suite catches faulty daemons: each mutant against the cases that claim it
	@$(BIN)/thicket-conformance mutants $(if $(SAMPLE),--sample $(SAMPLE))
	@echo "mutants: chaos catches faulty daemons too"
	@THICKET_TEST_CHAOS=1 $(GO) test -count=1 -parallel 2 -timeout 15m -run 'TestChaosCanFail' ./conformance/inprocess

.PHONY: test-fast
test-fast: root build ## the same without the cases that take a minute each
	@$(GO) test -short -timeout 10m ./...

TARGET ?= conformance/targets/thicket-kubernetes.yaml
PEER ?=

.PHONY: bench
bench: root build k8s ## measure bin/, with an API server, against its goals, and against PEER=target.yaml in the same run
	@mkdir -p report
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/fake-nop ./fakes/nop/small
	@$(BIN)/thicket-conformance bench --nop $(BIN)/fake-nop --target $(TARGET) $(if $(PEER),--peer $(PEER)) --json report/bench.json --html report/bench.html
	@echo "bench: report/bench.html has the plots; the hot paths for benchstat go to report/bench-go.txt"
	@$(GO) test -run '^$$' -bench . -count 6 ./pkg/... | grep -v 'no test files' | tee report/bench-go.txt

NODES ?= 50,100,200,400

.PHONY: bench-scale
bench-scale: root build k8s ## what the daemons of NODES (50,100,200,400) nodes cost an API server, Thicket's and Multus' requests in turns; some 20 minutes
	@mkdir -p report
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/hollow-nodes ./fakes/hollow/nodes
	@$(BIN)/thicket-conformance bench --target conformance/targets/thicket.yaml --scenarios scale --nodes $(NODES) \
	  --hollow thicket="$(BIN)/hollow-nodes -as thicket" --hollow multus="$(BIN)/hollow-nodes -as multus" \
	  --json report/bench-scale.json --html report/bench-scale.html

.PHONY: bench-memory
bench-memory: root build k8s ## measure the daemon's memory with an API server of 110 pods and 1,000 definitions, part by part
	@$(BIN)/thicket-conformance bench --target conformance/targets/thicket-kubernetes.yaml --scenarios idle

CHAOSTIME ?= 10m

.PHONY: chaos
chaos: root build ## 30 pods come and go for CHAOSTIME (10m) while the daemon is killed, stopped and cannot write; SEED repeats a run's choices
	@mkdir -p report
	@$(BIN)/thicket-conformance chaos --target $(or $(CHAOSTARGET),conformance/targets/thicket.yaml) --time $(CHAOSTIME) --seed $(or $(SEED),0) --json report/chaos.json

FUZZTIME ?= 30s

.PHONY: fuzz
fuzz: ## fuzz every input that comes from outside, FUZZTIME (30s) each
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	for package in $$($(GO) list -f '{{.Dir}}' ./pkg/...); do \
	  for target in $$(grep -hos '^func Fuzz[A-Za-z]*' $$package/*_test.go | cut -c6-); do \
	    echo "fuzz: $${package#$(CURDIR)/} $$target for $(FUZZTIME)"; \
	    try() { $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$package 2>&1 | tee "$$log"; }; \
	    try || { grep -qx '    context deadline exceeded' "$$log" || exit 1; \
	      echo "fuzz: the time ended while an input was being tried, and none has failed: once more"; try; }; \
	  done; \
	done

GOVULNCHECK_VERSION := v1.9.0

.PHONY: site
site: ## the results site of conformance/reports, into report/site/
	@CGO_ENABLED=0 $(GO) run -tags $(TAGS) ./cmd/thicket-conformance site conformance/reports --out report/site

.PHONY: vulncheck
vulncheck: ## known vulnerabilities in what is linked; skipped where the database is out of reach
	@GOBIN=$(CURDIR)/$(BIN)/tools $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) || \
	  { echo "vulncheck: skipped: govulncheck cannot be had here (see above)"; exit 0; }; \
	$(BIN)/tools/govulncheck ./... || { status=$$?; [ $$status != 3 ] || exit 3; \
	  echo "vulncheck: skipped: the database vuln.go.dev cannot be reached (see above)"; }

.PHONY: demo
demo: root build ## two sandboxes on three networks each, with real plugins
	@$(BIN)/thicket-demo --bin $(BIN)

.PHONY: lint
lint: $(BIN)/tools/golangci-lint-$(GOLANGCI_VERSION) ## golangci-lint, gofmt, go vet
	@$< run ./...
	@cd kind/image && $(CURDIR)/$< run -c $(CURDIR)/.golangci.yml ./...
	@cd kind/release && $(CURDIR)/$< run -c $(CURDIR)/.golangci.yml ./...
	@cd conformance/runtimes && $(CURDIR)/$< run -c $(CURDIR)/.golangci.yml ./...

$(BIN)/tools/golangci-lint-$(GOLANGCI_VERSION):
	@echo "lint: building golangci-lint $(GOLANGCI_VERSION), once"
	@mkdir -p $(BIN)/tools
	@GOBIN=$(CURDIR)/$(BIN)/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(BIN)/tools/golangci-lint $@

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) report
