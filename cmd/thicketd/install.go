// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// shimName is the file name of the shim, and so its CNI plugin type.
	shimName = "thicket-shim"
	// chainPlugin is the plugin that auxiliary chains begin with.
	chainPlugin = "thicket-passthrough"
	// versionTimeout is how long a new plugin may take to answer VERSION.
	versionTimeout = 10 * time.Second
)

// install puts the shim, and the passthrough plugin where it stands beside it,
// into the runtime's plugin directory. A new file is complete and tried before
// it takes the old one's name, in one rename: a runtime that executes it at
// any moment gets the old or the new one, and one that runs is not disturbed
// (SHIM-12).
func install(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("thicketd install", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dest := flags.String("dest", "", "the runtime's plugin `directory`, such as /opt/cni/bin")
	shim := flags.String("shim", besideSelf(), "the shim to install, a `file`; "+chainPlugin+" beside it is installed too")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("install: unknown flag %q; see thicketd install --help", flags.Arg(0))
	case *dest == "":
		return errors.New("install: --dest is missing; name the runtime's plugin directory, such as /opt/cni/bin")
	}
	plugins := []struct{ source, name string }{{*shim, shimName}}
	passthrough := filepath.Join(filepath.Dir(*shim), chainPlugin)
	if _, err := os.Stat(passthrough); err == nil {
		plugins = append(plugins, struct{ source, name string }{passthrough, chainPlugin})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("install: %w", err)
	}
	for _, p := range plugins {
		target := filepath.Join(*dest, p.name)
		sum, err := place(p.source, target)
		if err != nil {
			return fmt.Errorf("install: %w", err)
		}
		if _, err := fmt.Fprintf(stdout, "installed %s, sha256 %x\n", target, sum); err != nil {
			return err
		}
	}
	return nil
}

func besideSelf() string {
	self, err := os.Executable()
	if err != nil {
		return shimName
	}
	return filepath.Join(filepath.Dir(self), shimName)
}

// place puts a plugin at target and returns the SHA-256 of what lies there.
func place(source, target string) (sum []byte, err error) {
	in, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("the plugin to install: %w; name the shim with --shim", err)
	}
	defer func() { _ = in.Close() }()
	// The name begins with a dot and is nobody's plugin type.
	out, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-*")
	if err != nil {
		return nil, fmt.Errorf("plugin directory: %w; make it, or name another with --dest", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	want := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, want), in)
	if err == nil {
		err = errors.Join(out.Chmod(0o755), out.Sync())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("writing %s: %w", out.Name(), err)
	}
	if err := verify(out.Name(), want); err != nil {
		return nil, fmt.Errorf("%s: %w; what was installed before stays", source, err)
	}
	if err := os.Rename(out.Name(), target); err != nil {
		return nil, err
	}
	// The rename itself must outlive a power cut.
	return want.Sum(nil), syncDir(filepath.Dir(target))
}

// verify reads a new file back and asks it for its CNI versions: a broken
// copy, or a file for another machine, must not replace a plugin that works.
func verify(path string, want hash.Hash) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	got := sha256.New()
	_, err = io.Copy(got, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("the copy cannot be read back: %w", err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return fmt.Errorf("the copy is damaged: its SHA-256 is %x, the source's %x", got.Sum(nil), want.Sum(nil))
	}
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	// VERSION gives stdin as other commands do; a plugin may read it first.
	cmd.Env, cmd.Stdin = []string{"CNI_COMMAND=VERSION"}, bytes.NewReader([]byte(`{"cniVersion":"1.0.0"}`))
	// What it leaves must not hold the installer.
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("it does not answer VERSION: %w", err)
	}
	var answer struct {
		SupportedVersions []string `json:"supportedVersions"`
	}
	if json.Unmarshal(out, &answer) != nil || len(answer.SupportedVersions) == 0 {
		return fmt.Errorf("it answers VERSION with %.80q, which lists no versions", out)
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
