// SPDX-License-Identifier: Apache-2.0

// Command thicket-demo shows the main job on one machine, without Kubernetes:
// two sandboxes on three networks each, through the real chain of shim,
// socket, daemon and plugins. It runs in network and mount namespaces of its
// own, so that nothing of the machine is touched.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/thicket-cni/thicket/pkg/buildinfo"
)

// version is set at build time with -ldflags "-X main.version=…".
var version string

// inside marks the process that runs in the demo's own namespaces.
const inside = "THICKET_DEMO_INSIDE"

func main() {
	bin := flag.String("bin", "bin", "the `directory` with the built binaries, and the plugins in cni/ below it")
	showVersion := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *showVersion {
		fmt.Printf("thicket-demo %s\n", buildinfo.Version(version))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv(inside) == "" {
		err = enter(ctx)
	} else {
		err = show(ctx, *bin)
	}
	stop()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(1) // it has said why
	case err != nil:
		fmt.Fprintf(os.Stderr, "thicket-demo: %v\n", err)
		os.Exit(1)
	}
}

// enter runs the demo again in namespaces of its own; they, and all that the
// plugins make in them, go when it ends.
func enter(ctx context.Context) error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("root is needed for network namespaces, this is uid %d: sudo make demo", uid)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd.Run()
}

// show is the demo itself.
func show(ctx context.Context, bin string) (err error) {
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	s, err := newStage(bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.clear()) }()
	if err := s.startDaemon(ctx); err != nil {
		return err
	}
	a, err := s.newSandbox("web")
	if err != nil {
		return err
	}
	b, err := s.newSandbox("store")
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return s.add(ctx, a) },
		func() error { return s.add(ctx, b) },
		func() error { return s.pingAll(ctx, a, b) },
		func() error { return s.check(ctx, a, b) },
		func() error { return s.del(ctx, a, b) },
		func() error { return s.stopDaemon() },
		func() error { return s.nothingLeft(a, b) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("%w\n\nthe daemon's log:\n%s", err, s.log())
		}
	}
	say("done", "Everything came and went through shim, socket, daemon and plugins.")
	return nil
}

func say(what, format string, args ...any) {
	fmt.Printf("\n== %s: %s\n", what, fmt.Sprintf(format, args...))
}
