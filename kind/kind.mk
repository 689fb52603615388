# SPDX-License-Identifier: Apache-2.0
#
# Clusters of real nodes. Where a container engine answers, kind's published
# node image is used; elsewhere the nodes are made here, from Go modules and
# Debian's packages (docker.io, runc, debootstrap, busybox-static).

KIND_CLUSTER := thicket
KIND_KUBECONFIG := $(CURDIR)/$(BIN)/kind/kubeconfig
# What the tools need to find cluster and engine; recipes export it.
KIND_ENV = export KUBECONFIG=$(KIND_KUBECONFIG) $$(kind/docker env)

KUBERNETES_COMPONENTS := kubelet kubeadm kubectl kube-controller-manager kube-scheduler
RUNTIME := kind/runtime
RUNTIME_MODULES := $(RUNTIME)/go.mod $(RUNTIME)/go.sum
CONTAINERD := containerd containerd-shim-runc-v2 ctr

# Parts of a node that only an image made here needs.
NODE_PARTS := $(addprefix $(BIN)/node/,$(KUBERNETES_COMPONENTS) $(CONTAINERD) pause base.tar) $(BIN)/k8s/etcd $(BIN)/k8s/kube-apiserver

$(addprefix $(BIN)/node/,$(KUBERNETES_COMPONENTS)): $(BIN)/node/%: $(K8S_MODULES)
	@echo "kind: building $* $(K8S_VERSION) from source, once"
	@cd $(COMPONENTS) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(K8S_LDFLAGS)' -o $(CURDIR)/$@ k8s.io/kubernetes/cmd/$*

$(addprefix $(BIN)/node/,$(CONTAINERD)): $(BIN)/node/%: $(RUNTIME_MODULES)
	@echo "kind: building $* from source, once"
	@cd $(RUNTIME) && CGO_ENABLED=0 $(GO) build -trimpath -tags no_btrfs,no_devmapper,no_zfs -ldflags '-s -w' -o $(CURDIR)/$@ \
	  github.com/containerd/containerd/v2/cmd/$*

$(BIN)/node/kind: $(RUNTIME_MODULES)
	@echo "kind: building kind from source, once"
	@cd $(RUNTIME) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ sigs.k8s.io/kind

$(BIN)/node/pause: $(wildcard kind/pause/*.go)
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./kind/pause

$(BIN)/node/base.tar: kind/node/base
	@echo "kind: the nodes' Debian, once (about a minute)"
	@kind/node/base $@

$(BIN)/tools/image: $(wildcard kind/image/*)
	@cd kind/image && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ .

$(BIN)/tools/noresource: $(wildcard kind/noresource/*.go)
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./kind/noresource

.PHONY: image
image: build $(BIN)/tools/image ## the daemon's container image as an OCI archive, without an engine
	@$(BIN)/tools/image --output $(BIN)/image/thicket.tar --name docker.io/library/thicket:dev --entrypoint /thicketd --link /var/run=/run \
	  $(foreach b,thicketd thicket-shim thicket-passthrough,$(BIN)/$(b)=/$(b))
	@echo "image: $(BIN)/image/thicket.tar"

# The pods of the tests: one static program under the names that they call.
POD_PROGRAMS := sh ip ping arping cat sleep ls grep nc test true
BUSYBOX := $(shell command -v busybox || echo /bin/busybox)

.PHONY: pod-image
pod-image: $(BIN)/tools/image
	@$(BIN)/tools/image --output $(BIN)/image/busybox.tar --name docker.io/library/busybox:thicket --env PATH=/bin \
	  $(foreach p,$(POD_PROGRAMS),--link /bin/$(p)=busybox) $(BUSYBOX)=/bin/busybox

.PHONY: conformance-image
conformance-image: build $(BIN)/tools/image ## the conformance suite's container image, for judging a daemon that runs on a node
	@$(BIN)/tools/image --output $(BIN)/image/conformance.tar --name docker.io/library/thicket-conformance:dev --entrypoint /thicket-conformance \
	  $(BIN)/thicket-conformance=/thicket-conformance $(foreach p,$(wildcard $(BIN)/cni/*),$(p)=/cni/$(notdir $(p)))

.PHONY: kind-check
kind-check: ## say in one line what a test cluster needs and this machine lacks
	@GO='$(GO)' kind/missing

.PHONY: kind-engine
kind-engine: kind-check $(BIN)/tools/noresource
	@kind/docker start

.PHONY: kind-image
kind-image: kind-engine ## the nodes' image, kept by the content of its parts
	@if kind/docker own; then $(MAKE) --no-print-directory kind-image-own; else echo "kind: an engine answers, so kind's own node image is used"; fi

.PHONY: kind-image-own
kind-image-own: $(NODE_PARTS) $(BIN)/tools/image
	@[ -x $(BIN)/cni/bridge ] || $(MAKE) --no-print-directory build
	@$(KIND_ENV); GO='$(GO)' kind/node/image

.PHONY: kind-up
kind-up: kind-check image pod-image conformance-image kind-image $(BIN)/node/kind $(BIN)/node/kubectl ## a cluster of a control plane and two workers, with Thicket on each
	@$(KIND_ENV); GO='$(GO)' kind/up

.PHONY: kind-down
kind-down: ## remove the cluster, and the engine if it was started for it
	@$(KIND_ENV); kind/down

.PHONY: kind-e2e
kind-e2e: kind-check ## cluster, deployment, tests with real pods, days in the life of a node; everything removed afterwards
	@$(MAKE) --no-print-directory build
	@status=0; $(MAKE) --no-print-directory kind-up && $(MAKE) --no-print-directory kind-test || status=$$?; \
	[ $$status = 0 ] || { $(KIND_ENV); kind/logs report/kind-logs; }; \
	$(MAKE) --no-print-directory kind-down || status=$$?; exit $$status

E2E_FLAGS ?=

.PHONY: kind-test
kind-test: ## the tests of kind-e2e against the cluster of kind-up
	@mkdir -p report
	@$(KIND_ENV); THICKET_E2E_KUBECONFIG=$(KIND_KUBECONFIG) $(GO) test -v -count=1 -timeout 45m ./kind/e2e \
	  -ginkgo.v -ginkgo.junit-report=$(CURDIR)/report/e2e.xml $(E2E_FLAGS)
