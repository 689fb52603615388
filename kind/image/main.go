// SPDX-License-Identifier: Apache-2.0

// Command image writes a container image of one layer as an OCI archive, from
// files of this machine and without a container engine or a registry:
//
//	image --output thicket.tar --name docker.io/library/thicket:dev --entrypoint /thicketd \
//	    --link /var/run=/run bin/thicketd=/thicketd bin/thicket-shim=/thicket-shim
//
// Equal input gives an equal archive, byte for byte. `ctr images import` and
// `kind load image-archive` take it.
//
// With several architectures (--arch amd64,arm64) the archive has an image index
// of one image each. {arch} in a SOURCE stands for the image's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	output := flags.String("output", "", "the archive to write, a `file`")
	name := flags.String("name", "", "the image's full `reference`, with registry and tag")
	arch := flags.String("arch", runtime.GOARCH, "the binaries' `architectures`, in Go's words and with commas; more than one make an image index")
	digest := flags.String("digest", "", "write the digest by which a registry has the image, or the index, into this `file`")
	var entrypoint, links, env list
	flags.Var(&entrypoint, "entrypoint", "the entrypoint; several for its `word`s")
	flags.Var(&links, "link", "a symlink, `PATH=TARGET`; several are possible")
	flags.Var(&env, "env", "a variable, `NAME=VALUE`; several are possible")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *output == "" || *name == "":
		return errors.New("--output and --name are needed; see --help")
	case flags.NArg() == 0:
		return errors.New("no file is named; give each as SOURCE=PATH")
	}
	config := v1.Config{Entrypoint: entrypoint, Env: env, WorkingDir: "/"}
	content, err := contentOf(strings.Split(*arch, ","), flags.Args(), links, config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*output), 0o750); err != nil {
		return err
	}
	if err := writeArchive(*output, *name, content); err != nil || *digest == "" {
		return err
	}
	sum, err := content.Digest()
	if err != nil {
		return err
	}
	return os.WriteFile(*digest, []byte(sum.String()+"\n"), 0o644) //nolint:gosec // a digest is to be read
}

// contentOf is an image or, for several architectures, an index of one each.
func contentOf(arches, files, links []string, config v1.Config) (mutate.Appendable, error) {
	var all []mutate.IndexAddendum
	for _, arch := range arches {
		var own []string
		for _, file := range files {
			own = append(own, strings.ReplaceAll(file, "{arch}", arch))
		}
		entries, err := entriesOf(own, links)
		if err != nil {
			return nil, err
		}
		layer, err := layerOf(entries)
		if err != nil {
			return nil, err
		}
		image, err := imageOf(layer, &v1.ConfigFile{Architecture: arch, OS: "linux", Config: config})
		if err != nil || len(arches) == 1 {
			return image, err
		}
		all = append(all, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), all...), nil
}
