// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// serve does what cmd/thicketd does, with the mutant's fault in it.
func serve(m *mutant.Mutant, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("configuration: %w; name the file with --config", err)
	}
	config, _, err := daemon.ParseConfig(data, file)
	if err != nil && m.Refusing != nil {
		return m.Refusing(data, err)
	}
	if err != nil {
		return err
	}
	log, closeLog, err := daemon.NewLogger(config)
	if err != nil {
		return err
	}
	defer func() { _ = closeLog() }()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := admission.FollowMemory(ctx, log); err != nil {
		log.Warn("the garbage collector does not know the node's memory limit", "error", err)
	}
	a, err := assemble(m, config, data, log)
	if err != nil {
		return err
	}
	d, err := daemon.New(ctx, daemon.Options{
		Config: config, Log: log, Cluster: a.Cluster, Engine: a.Engine, Handler: a.Handler, Listener: a.Listener,
	})
	if err != nil && a.Refusing != nil {
		return a.Refusing(err)
	}
	if err != nil {
		return err
	}
	if err := seam.InTurn(a.Listening); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		stop()
		for _, f := range a.Terminating {
			f()
		}
	})
	return errors.Join(d.Run(ctx), seam.InTurn(a.Ended))
}

// assemble puts the mutant's fault in. What a fault does to the configuration
// of an API server comes before that is opened.
func assemble(m *mutant.Mutant, config *daemon.Config, source []byte, log *slog.Logger) (*seam.Assembly, error) {
	a := &seam.Assembly{Config: config, Source: source}
	if config.Cluster.Directory != "" {
		manifests, err := cluster.OpenDirectory(config.Cluster.Directory, log)
		if err != nil {
			return nil, err
		}
		a.Cluster = seam.Panicking{Directory: manifests}
	}
	if m.Daemon != nil {
		m.Daemon(a)
	}
	if err := seam.InTurn(a.Before); err != nil || a.Cluster != nil {
		return a, err
	}
	var err error
	if a.Cluster, err = daemon.OpenCluster(config, log); err != nil {
		return nil, err
	}
	for _, f := range a.Apis {
		a.Cluster = f(a.Cluster)
	}
	return a, nil
}
