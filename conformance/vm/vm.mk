# SPDX-License-Identifier: Apache-2.0
#
# A machine in a box: qemu, which emulates the processor, with Debian's kernel.

VM := $(BIN)/vm
VM_PROGRAMS := thicketd thicket-shim thicket-conformance thicket-mutants
VM_TARGETS := $(VM)/root/conformance/targets

$(VM)/kernel/vmlinuz: conformance/vm/kernel conformance/vm/unpack
	@echo "vm: Debian's kernel, once (70 MB to download)"
	@conformance/vm/kernel $(VM)/kernel

# Delegates may be scripts.
$(VM)/shell/bin/busybox: conformance/vm/unpack
	@conformance/vm/unpack busybox-static $(VM)/shell && touch $@

.PHONY: vm-check
vm-check: ## say in one line what a virtual machine needs and this machine lacks
	@conformance/vm/missing

.PHONY: vm-parts
vm-parts: vm-check build $(VM)/kernel/vmlinuz $(VM)/shell/bin/busybox
	@echo "vm: guest, story and the disk with the programs"
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(VM)/ ./conformance/vm/guest
	@rm -rf $(VM)/root && mkdir -p $(VM)/root/bin/cni $(VM)/root/conformance
	@CGO_ENABLED=0 $(GO) build -tags $(TAGS) -trimpath -ldflags '-s -w' -o $(VM)/root/bin/ ./conformance/vm/story
	@cp $(addprefix $(BIN)/,$(VM_PROGRAMS)) $(VM)/root/bin/ && cp $(BIN)/cni/* $(VM)/root/bin/cni/ && cp -r conformance/targets $(VM)/root/conformance/
	@sed 's|bin/thicketd, --config|bin/thicket-mutants, --mutant, power-nothing-synced, --config|' $(VM_TARGETS)/thicket.yaml > $(VM_TARGETS)/power-nothing-synced.yaml
	@rm -f $(VM)/programs.img && mke2fs -q -t ext4 -O ^has_journal -m 0 -d $(VM)/root $(VM)/programs.img 512M

CUTS ?=

.PHONY: vm-test
vm-test: vm-parts ## the suite in a virtual machine with cgroup v2, and 50 power cuts (CUTS=N, SEED repeats them); needs no root
	@mkdir -p report
	@export THICKET_ARTIFACTS=$${THICKET_ARTIFACTS:-$(CURDIR)/report}; \
	THICKET_TEST_VM=$(CURDIR)/$(VM) THICKET_TEST_CUTS=$(CUTS) THICKET_TEST_SEED=$(SEED) \
	  $(GO) test -v -count=1 -timeout 4h $(if $(VM_RUN),-run '$(VM_RUN)') ./conformance/vm
