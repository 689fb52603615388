// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

const approveUsage = `thicketd approve decides on the requests for client certificates that daemons with
perNodeCertificate make, until SIGTERM: it approves what a node asks for itself, and denies whatever
else would speak for a daemon. Requests that do not concern Thicket it leaves alone. One is enough for
a cluster.

Usage:
  thicketd approve [--kubeconfig FILE]

Flags:
`

// approve is the cluster's approver of node certificates.
func approve(args []string, _, stderr io.Writer) error {
	flags := newFlags("thicketd approve", approveUsage, stderr)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server, a `file` (default: the pod's service account)")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("approve: unknown argument %q; see thicketd approve --help", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	a, err := cluster.NewApprover(cluster.ApproverOptions{Kubeconfig: *kubeconfig, Log: slog.New(slog.NewTextHandler(stderr, nil))})
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	a.Run(ctx)
	return nil
}
