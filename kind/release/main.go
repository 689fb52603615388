// SPDX-License-Identifier: Apache-2.0

// Command release makes the parts of a release that are not programs:
//
//	release sbom --version v0.3.0 --output thicket.cdx.json DIR
//	release install --base kind/manifests/base --image thicket=ghcr.io/thicket-cni/thicket@sha256:… --output install.yaml
//	release pin --image thicket-conformance=…@sha256:… --output job.yaml kind/conformance/job.yaml
//	release check --version v0.3.0 --arch amd64,arm64 DIR
//
// Equal input gives equal output, byte for byte.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want sbom, install, pin or check; see --help of each")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	output := flags.String("output", "", "the `file` to write")
	version := flags.String("version", "", "the release's `version`")
	base := flags.String("base", "", "the `directory` of the kustomization")
	arch := flags.String("arch", "", "the release's `architectures`, with commas")
	image := flags.String("image", "", "the image's name in the manifests, and where it is: `NAME=REPOSITORY@DIGEST`")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "check" {
		if flags.NArg() != 1 {
			return errors.New("check: want the release's directory")
		}
		return check(flags.Arg(0), *version, strings.Split(*arch, ","))
	}
	content, err := part(args[0], *version, *base, *image, flags.Args())
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if *output == "" {
		return fmt.Errorf("%s: --output is needed", args[0])
	}
	if err := os.MkdirAll(filepath.Dir(*output), 0o750); err != nil {
		return err
	}
	return os.WriteFile(*output, content, 0o644) //nolint:gosec // a release is to be read
}

// part makes one part of a release.
func part(name, version, base, image string, args []string) ([]byte, error) {
	switch name {
	case "sbom":
		if len(args) != 1 || version == "" {
			return nil, errors.New("want --version and the directory of the programs")
		}
		return billOf(args[0], version)
	case "install":
		to, err := pinnedImage(image)
		if err != nil {
			return nil, err
		}
		return install(base, to)
	case "pin":
		to, err := pinnedImage(image)
		if err != nil {
			return nil, err
		}
		if len(args) != 1 {
			return nil, errors.New("want one manifest")
		}
		return pin(args[0], to)
	}
	return nil, errors.New("there are sbom, install, pin and check")
}

// pinned is an image by its digest.
type pinned struct{ name, repository, digest string }

var imageForm = regexp.MustCompile(`^([a-z0-9-]+)=([a-z0-9.-]+(?::[0-9]+)?/[a-z0-9/._-]+)@(sha256:[0-9a-f]{64})$`)

func pinnedImage(text string) (pinned, error) {
	m := imageForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return pinned{}, fmt.Errorf("--image %q: want NAME=REPOSITORY@sha256:…", text)
	}
	return pinned{m[1], m[2], m[3]}, nil
}
