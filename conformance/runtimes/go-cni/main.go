// SPDX-License-Identifier: Apache-2.0

// Command go-cni executes plugins by github.com/containerd/go-cni, as containerd
// and nerdctl do: each network is loaded from its file, and all of a container's
// are set up by one call. The library chooses the interfaces' names, a prefix and
// the network's place, and knows no GC.
package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	gocni "github.com/containerd/go-cni"
	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/conformance/runtimes/ask"
)

func main() {
	ask.Main("go-cni", "github.com/containerd/go-cni", map[string]ask.Verb{"add": add, "del": del, "check": check, "status": status})
}

// load returns the library with the networks of a request. The directory of what
// it keeps is a variable of the library below it.
func load(r ask.Request) (gocni.CNI, error) {
	libcni.CacheDir = r.CacheDir
	prefix, err := prefix(r.Attachments)
	if err != nil {
		return nil, err
	}
	options := []gocni.Opt{gocni.WithPluginDir([]string{r.BinDir}), gocni.WithPluginConfDir(r.ConfDir), gocni.WithInterfacePrefix(prefix)}
	for _, a := range r.Attachments {
		file, err := fileOf(r.ConfDir, a.Network)
		if err != nil {
			return nil, err
		}
		options = append(options, gocni.WithConfListFile(file))
	}
	return gocni.New(options...)
}

// prefix returns the prefix that gives the interfaces the names asked for.
func prefix(attachments []ask.Attachment) (string, error) {
	prefix := strings.TrimSuffix(attachments[0].IfName, "0")
	for i, a := range attachments {
		if made := fmt.Sprintf("%s%d", prefix, i); made != a.IfName {
			return "", fmt.Errorf("the library calls interface %d %s, not %s", i, made, a.IfName)
		}
	}
	return prefix, nil
}

// fileOf returns the file of a network: the library loads files, not names.
func fileOf(dir, network string) (string, error) {
	files, err := libcni.ConfFiles(dir, []string{".conflist"})
	if err != nil {
		return "", err
	}
	slices.Sort(files)
	var errs []error
	for _, file := range files {
		list, err := libcni.NetworkConfFromFile(file)
		if err == nil && list.Name == network {
			return file, nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	return "", errors.Join(append(errs, fmt.Errorf("%s has no network %q", dir, network))...)
}

// with returns the options of a container.
func with(r ask.Request) []gocni.NamespaceOpts {
	var options []gocni.NamespaceOpts
	for name, value := range r.Capabilities {
		options = append(options, gocni.WithCapability(name, value))
	}
	for _, pair := range r.Args {
		options = append(options, gocni.WithArgs(pair[0], pair[1]))
	}
	return options
}

func add(ctx context.Context, r ask.Request) (any, error) {
	library, err := load(r)
	if err != nil {
		return nil, err
	}
	result, err := library.Setup(ctx, r.ID, r.Netns, with(r)...)
	if err != nil {
		return nil, err
	}
	return result.Raw(), nil
}

func del(ctx context.Context, r ask.Request) (any, error) {
	library, err := load(r)
	if err != nil {
		return nil, err
	}
	return nil, library.Remove(ctx, r.ID, r.Netns, with(r)...)
}

func check(ctx context.Context, r ask.Request) (any, error) {
	library, err := load(r)
	if err != nil {
		return nil, err
	}
	return nil, library.Check(ctx, r.ID, r.Netns, with(r)...)
}

func status(_ context.Context, r ask.Request) (any, error) {
	library, err := load(r)
	if err != nil {
		return nil, err
	}
	return nil, library.Status()
}
