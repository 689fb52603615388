// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// shimName is the file name of the shim, and so its CNI plugin type.
const shimName = "thicket-shim"

// install puts the shim into the runtime's plugin directory. The new file is
// complete and tried before it takes the old one's name, in one rename: a
// runtime that executes the shim at any moment gets the old or the new one,
// and one that runs is not disturbed (SHIM-12).
func install(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("thicketd install", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dest := flags.String("dest", "", "the runtime's plugin `directory`, such as /opt/cni/bin")
	shim := flags.String("shim", besideSelf(), "the shim to install, a `file`")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	if *dest == "" {
		return errors.New("install: --dest is missing; name the runtime's plugin directory, such as /opt/cni/bin")
	}
	target := filepath.Join(*dest, shimName)
	if err := place(*shim, target); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	_, err := fmt.Fprintf(stdout, "installed %s\n", target)
	return err
}

func besideSelf() string {
	self, err := os.Executable()
	if err != nil {
		return shimName
	}
	return filepath.Join(filepath.Dir(self), shimName)
}

func place(source, target string) (err error) {
	in, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("the shim to install: %w; name it with --shim", err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(target), "."+shimName+"-*")
	if err != nil {
		return fmt.Errorf("plugin directory: %w; make it, or name another with --dest", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	_, err = io.Copy(out, in)
	if err == nil {
		err = errors.Join(out.Chmod(0o755), out.Sync())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", out.Name(), err)
	}
	if err := verify(out.Name()); err != nil {
		return err
	}
	return os.Rename(out.Name(), target)
}

// verify asks the new file for its CNI versions: a file for another machine,
// or a broken copy, must not replace a shim that works.
func verify(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{"CNI_COMMAND=VERSION"}
	out, err := cmd.Output()
	if err == nil && !bytes.Contains(out, []byte("supportedVersions")) {
		err = fmt.Errorf("its output is %.80q", out)
	}
	if err != nil {
		return fmt.Errorf("the new shim does not answer VERSION; the old one stays: %w", err)
	}
	return nil
}
