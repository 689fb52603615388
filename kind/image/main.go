// SPDX-License-Identifier: Apache-2.0

// Command image writes a container image of one layer as an OCI archive, from
// files of this machine and without a container engine or a registry:
//
//	image --output thicket.tar --name docker.io/library/thicket:dev --entrypoint /thicketd \
//	    --link /var/run=/run bin/thicketd=/thicketd bin/thicket-shim=/thicket-shim
//
// Equal input gives an equal archive, byte for byte. `ctr images import` and
// `kind load image-archive` take it.
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
	arch := flags.String("arch", runtime.GOARCH, "the binaries' architecture, in Go's words")
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
	entries, err := entriesOf(flags.Args(), links)
	if err != nil {
		return err
	}
	layer, err := layerOf(entries)
	if err != nil {
		return err
	}
	image, err := imageOf(layer, &v1.ConfigFile{
		Architecture: *arch, OS: "linux",
		Config: v1.Config{Entrypoint: entrypoint, Env: env, WorkingDir: "/"},
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*output), 0o750); err != nil {
		return err
	}
	return writeArchive(*output, *name, image)
}
