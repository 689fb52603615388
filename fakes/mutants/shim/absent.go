// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profiles shim and ready: the shim without a daemon.
var absentMutants = []mutant.Mutant{
	{Name: "shim-add-impatient", Cases: []string{"READY-09"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Add = seam.WithoutDaemon(s.Add, seam.FailAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
	}), Fault: "an ADD without a daemon fails at once"},
	{Name: "shim-check-impatient", Cases: []string{"READY-09"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Check = seam.WithoutDaemon(s.Check, seam.FailAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
	}), Fault: "a CHECK without a daemon fails at once"},
	{Name: "shim-del-waits", Cases: []string{"READY-09", "SHIM-07"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Del = waitThen(s.Del) }),
		Fault: "DEL waits for a daemon before it records itself"},
	{Name: "shim-sends-twice", Cases: []string{"READY-09"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		next := s.Check
		s.Check = func(args *skel.CmdArgs) error { _ = next(args); return next(args) }
	}), Fault: "CHECK sends its request twice"},
	{Name: "shim-add-gives-up-early", Cases: []string{"SHIM-06"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Add = seam.WithoutDaemon(s.Add, seam.FailAfter(3*time.Second, types.ErrTryAgainLater, "no daemon at SOCKET"))
	}), Fault: "an ADD without a daemon waits three seconds only"},
	{Name: "shim-add-gives-up-silently", Cases: []string{"SHIM-06"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Add = seam.WithoutDaemon(s.Add, func(*skel.CmdArgs) error { os.Exit(1); return nil })
	}), Fault: "an ADD that gives up says nothing on stdout"},
	{Name: "shim-add-timeout-code-999", Cases: []string{"SHIM-14"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Add = seam.WithoutDaemon(s.Add, seam.FailAfter(time.Second, types.ErrInternal, "no daemon at SOCKET"))
	}), Fault: "an ADD that gives up does not say that it may be tried again"},
	{Name: "shim-add-timeout-unnamed", Cases: []string{"SHIM-14"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Add = seam.WithoutDaemon(s.Add, seam.FailAfter(time.Second, types.ErrTryAgainLater, "timed out waiting for the condition"))
	}), Fault: "an ADD that gives up does not name the socket"},
	{Name: "shim-del-forgotten", Cases: []string{"SHIM-07"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Del = seam.WithoutDaemon(s.Del, func(*skel.CmdArgs) error { return nil })
	}), Fault: "a DEL without a daemon succeeds and is recorded nowhere"},
	{Name: "shim-del-fails", Cases: []string{"SHIM-07"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Del = seam.WithoutDaemon(s.Del, seam.FailAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
	}), Fault: "a DEL without a daemon fails"},
	{Name: "shim-del-unrecordable-succeeds", Cases: []string{"SHIM-07"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		next := s.Del
		s.Del = seam.WithoutDaemon(next, func(args *skel.CmdArgs) error { _ = next(args); return nil })
	}), Fault: "a DEL that cannot be recorded succeeds"},
	{Name: "pending-ignored", Cases: []string{"SHIM-07"}, Daemon: func(a *seam.Assembly) {
		a.Config.PendingDir = filepath.Join(a.Config.CNIDir, "later")
	}, Fault: "the daemon does not look for DELs that shims have recorded"},
	{Name: "pending-forgotten-early", Cases: []string{"SHIM-07"}, Daemon: pendingForgottenEarly,
		Fault: "the record of a DEL is removed before the DEL has succeeded"},
	{Name: "pending-kept", Cases: []string{"SHIM-07"}, Daemon: seam.PendingKept,
		Fault: "the record of a DEL that was carried out stays"},
	{Name: "shim-status-waits", Cases: []string{"SHIM-08"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Status = waitThen(s.Status) }),
		Fault: "STATUS waits for a daemon"},
	{Name: "shim-status-code-11", Cases: []string{"SHIM-08"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Status = seam.WithoutDaemon(s.Status, seam.FailAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
	}), Fault: "STATUS without a daemon has code 11"},
	{Name: "shim-status-ok", Cases: []string{"SHIM-08"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Status = seam.WithoutDaemon(s.Status, func(*skel.CmdArgs) error { return nil })
	}), Fault: "STATUS succeeds without a daemon"},
	{Name: "shim-del-needs-netns", Cases: []string{"SHIM-11"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		next := s.Del
		s.Del = func(args *skel.CmdArgs) error {
			if args.Netns == "" {
				return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_NETNS is missing", "")
			}
			return next(args)
		}
	}), Fault: "the shim refuses a DEL without CNI_NETNS"},
	{Name: "daemon-del-needs-netns", Cases: []string{"SHIM-11"}, Daemon: seam.DelNeedsNetns,
		Fault: "the daemon refuses a DEL without CNI_NETNS"},
	{Name: "install-in-place", Cases: []string{"SHIM-12"}, Installer: seam.InstallInPlace,
		Fault: "the installer writes over the installed file"},
	{Name: "install-removes-first", Cases: []string{"SHIM-12"}, Installer: seam.InstallRemovesFirst,
		Fault: "the installer removes the installed file before it writes the new one"},
	{Name: "install-leaves-temporary", Cases: []string{"SHIM-12"}, Installer: seam.InstallLeavesTemporary,
		Fault: "the installer leaves its temporary file"},
}

// waitThen waits for a daemon longer than a DEL or STATUS may.
func waitThen(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		_ = seam.Poll(api.APIReadyPollDuration, 3*time.Second, api.CheckAPIReadyNow)(seam.RunDirOf(args.StdinData))
		return next(args)
	}
}

// pendingForgottenEarly removes what led to a DEL before it is carried out. The
// DEL waits for the replay's first pass, which would find its record begun and
// make up for what was forgotten.
func pendingForgottenEarly(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		replayed := make(chan struct{})
		tell := sync.OnceFunc(func() { close(replayed) })
		h.OnReplay = func(ctx context.Context, firstPass func()) {
			defer tell()
			next.Replay(ctx, func() {
				tell()
				firstPass()
			})
		}
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			if forgetPending(a.Config.PendingDir, r.ContainerID) {
				<-replayed
			}
			return next.Del(ctx, r)
		}
	})
}

// forgetPending reports whether there was a DEL of the sandbox to forget.
func forgetPending(dir, containerID string) (forgotten bool) {
	files, _ := api.PendingFiles(dir)
	for _, f := range files {
		if req, err := api.ReadPending(f); err == nil && req.Env["CNI_CONTAINERID"] == containerID {
			forgotten = os.Remove(f) == nil || forgotten
		}
	}
	return forgotten
}
