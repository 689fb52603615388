// SPDX-License-Identifier: Apache-2.0

// Package inprocess is Thicket's own daemon as a target of the suite, linked
// into the program that judges it: no binaries of the daemon are needed, and
// faults can be put in at its seams. The shim is the real one.
package inprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// Target runs the daemon in this process. It embeds a target made from a
// file, whose shim and configurations it uses.
type Target struct {
	conformance.Target
}

// New returns the in-process variant of Thicket's target file.
func New(binaries conformance.Target) *Target { return &Target{binaries} }

// Name implements conformance.Target.
func (t *Target) Name() string { return t.Target.Name() + " (in-process)" }

// Features implements conformance.Target: what the binaries have, but no
// process of its own, and a seam to panic at instead.
func (t *Target) Features() []conformance.Feature {
	features := []conformance.Feature{thick.FeaturePanic}
	for _, f := range t.Target.Features() {
		if f != thick.FeatureKill && f != thick.FeatureProcess {
			features = append(features, f)
		}
	}
	return features
}

// Records implements thick.RecordsTarget: the records are the binaries'.
func (t *Target) Records(p conformance.Paths) func() ([]string, error) {
	if own, ok := t.Target.(thick.RecordsTarget); ok {
		return own.Records(p)
	}
	return nil
}

// StartDaemon implements conformance.Target.
func (t *Target) StartDaemon(_ context.Context, p conformance.Paths, config []byte) (conformance.Process, error) {
	ctx, stop := context.WithCancel(context.Background())
	proc := &process{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(proc.done)
		proc.err = proc.run(ctx, config, p.ConfigFile)
		if proc.err != nil {
			fmt.Fprintf(&proc.log, "thicketd: %v\n", proc.err)
		}
	}()
	return proc, nil
}

// process is a daemon that runs in this process.
type process struct {
	stop context.CancelFunc
	done chan struct{}
	err  error
	log  buffer
}

// run does what cmd/thicketd does, with this process's seams.
func (p *process) run(ctx context.Context, config []byte, source string) error {
	c, warnings, err := daemon.ParseConfig(config, source)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(&p.log, w)
	}
	log := slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	manifests, err := cluster.OpenDirectory(c.Cluster.Directory, log)
	if err != nil {
		return err
	}
	d, err := daemon.New(ctx, daemon.Options{Config: c, Log: log, Cluster: panicking{manifests}})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// panicking is a cluster that panics for pods whose name asks for it.
type panicking struct{ *cluster.Directory }

// Pod implements cluster.Cluster.
func (p panicking) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	if strings.HasPrefix(name, "panic-") {
		panic("the pod's name asks for it: " + name)
	}
	return p.Directory.Pod(ctx, namespace, name)
}

// Terminate implements conformance.Process.
func (p *process) Terminate() error { p.stop(); return nil }

// Kill implements conformance.Process; this process cannot kill a part of itself.
func (p *process) Kill() error {
	return errors.New("a daemon that is linked in cannot be killed; the target does not declare the feature")
}

// Done implements conformance.Process.
func (p *process) Done() <-chan struct{} { return p.done }

// ExitCode implements conformance.Process: what cmd/thicketd would exit with.
func (p *process) ExitCode() int {
	<-p.done
	if p.err != nil {
		return 1
	}
	return 0
}

// Log implements conformance.Process.
func (p *process) Log() string { return p.log.String() }

// PID implements conformance.Process.
func (p *process) PID() int { return 0 }

// buffer is a bytes.Buffer for many writers and readers.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

// String returns what was written so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}
