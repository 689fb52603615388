# SPDX-License-Identifier: Apache-2.0
#
# A release: programs of four architectures, images, manifests, a bill of
# materials, and the sums of all of it. The same commit and the same Go give the
# same files, in whatever directory.

RELEASE_ARCHES := amd64 arm64 ppc64le s390x
RELEASE_REGISTRY ?= ghcr.io/thicket-cni
RELEASE := $(BIN)/release/$(VERSION)
SUITE_VERSION := $(shell awk -F'"' '/^const Version/ {print $$2}' conformance/spec/spec.go)

PRODUCT := thicketd thicket-shim thicket-passthrough
empty :=
comma := ,
RELEASE_PLATFORMS := $(subst $(empty) ,$(comma),$(strip $(RELEASE_ARCHES)))

# Nothing of the machine goes into a program: neither its paths, nor what its
# environment prefers, nor the state of its checkout.
RELEASE_BUILD = CGO_ENABLED=0 GOOS=linux GOARCH=$* GOAMD64=v1 GOARM64=v8.0 GOPPC64=power8 GOFLAGS= $(GO) build -buildvcs=false -trimpath
# A pack of files with neither times nor owners.
PACK := tar --sort=name --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX

.PHONY: release
release: release-version release-clean ## the files of a release into bin/release/VERSION (VERSION=v0.3.0): programs, images, manifests, SBOM, SHA256SUMS
	@$(MAKE) --no-print-directory VERSION=$(VERSION) $(RELEASE)/SHA256SUMS

.PHONY: release-version
release-version:
	@case "$(VERSION)" in v$(SUITE_VERSION)|v$(SUITE_VERSION)-*) ;; *) \
	  echo "release: VERSION=$(VERSION): want v$(SUITE_VERSION), the version of conformance/spec, or v$(SUITE_VERSION)-something"; exit 1;; esac

.PHONY: release-clean
release-clean:
	@rm -rf $(RELEASE)

$(BIN)/tools/release: $(wildcard kind/release/*)
	@cd kind/release && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/$@ .

# What is packed, an architecture a directory; it is not released itself.
PROGRAMS_OF := $(BIN)/release/programs-$(VERSION)

.PHONY: $(addprefix release-programs-,$(RELEASE_ARCHES))
$(addprefix release-programs-,$(RELEASE_ARCHES)): release-programs-%:
	@echo "release: programs of $*"
	@rm -rf $(PROGRAMS_OF)/$*
	@$(RELEASE_BUILD) -tags $(TAGS) -ldflags '$(LDFLAGS)' -o $(PROGRAMS_OF)/$*/ $(addprefix ./cmd/,$(PRODUCT) thicket-conformance)
	@$(RELEASE_BUILD) -ldflags '-s -w' -o $(PROGRAMS_OF)/$*/cni/ $(PLUGINS)
	@mkdir -p $(RELEASE)
	@$(PACK) -C $(PROGRAMS_OF)/$* -cf - $(PRODUCT) | gzip -n > $(RELEASE)/thicket-$(VERSION)-linux-$*.tar.gz
	@$(PACK) -C $(PROGRAMS_OF)/$* -cf - thicket-conformance $(PRODUCT) cni | gzip -n > $(RELEASE)/thicket-conformance-$(VERSION)-linux-$*.tar.gz

$(RELEASE)/SHA256SUMS: $(BIN)/tools/image $(BIN)/tools/release $(addprefix release-programs-,$(RELEASE_ARCHES))
	@echo "release: images, manifests, bill of materials"
	@$(BIN)/tools/image --output $(RELEASE)/thicket-$(VERSION)-image.tar --name $(RELEASE_REGISTRY)/thicket:$(VERSION) --digest $(RELEASE)/thicket.digest \
	  --arch $(RELEASE_PLATFORMS) --entrypoint /thicketd --link /var/run=/run $(foreach p,$(PRODUCT),$(PROGRAMS_OF)/{arch}/$(p)=/$(p))
	@$(BIN)/tools/image --output $(RELEASE)/thicket-conformance-$(VERSION)-image.tar --name $(RELEASE_REGISTRY)/thicket-conformance:$(VERSION) --digest $(RELEASE)/thicket-conformance.digest \
	  --arch $(RELEASE_PLATFORMS) --entrypoint /thicket-conformance $(PROGRAMS_OF)/{arch}/thicket-conformance=/thicket-conformance \
	  $(foreach p,$(notdir $(PLUGINS)),$(PROGRAMS_OF)/{arch}/cni/$(p)=/cni/$(p))
	@$(BIN)/tools/release install --base kind/manifests/base --image "thicket=$(RELEASE_REGISTRY)/thicket@$$(cat $(RELEASE)/thicket.digest)" --output $(RELEASE)/install.yaml
	@for manifest in job sonobuoy; do $(BIN)/tools/release pin --output $(RELEASE)/conformance-$$manifest.yaml \
	  --image "thicket-conformance=$(RELEASE_REGISTRY)/thicket-conformance@$$(cat $(RELEASE)/thicket-conformance.digest)" kind/conformance/$$manifest.yaml; done
	@$(BIN)/tools/release sbom --version $(VERSION) --output $(RELEASE)/thicket-$(VERSION).cdx.json $(PROGRAMS_OF)
	@rm -rf $(PROGRAMS_OF)
	@cd $(RELEASE) && LC_ALL=C sha256sum $$(LC_ALL=C ls | grep -v SHA256SUMS) > .sums && mv .sums SHA256SUMS
	@$(BIN)/tools/release check --version $(VERSION) --arch $(RELEASE_PLATFORMS) $(RELEASE)
	@echo "release: $(RELEASE)"
