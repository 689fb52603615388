// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
)

// The profiles shim and ready: the shim without a daemon.
func init() {
	register(
		mutant{name: "shim-add-impatient", cases: []string{"READY-09"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Add = withoutDaemon(s.Add, failAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
		}), fault: "an ADD without a daemon fails at once"},
		mutant{name: "shim-check-impatient", cases: []string{"READY-09"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Check = withoutDaemon(s.Check, failAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
		}), fault: "a CHECK without a daemon fails at once"},
		mutant{name: "shim-del-waits", cases: []string{"READY-09", "SHIM-07"}, shim: shimWith(func(s *skel.CNIFuncs) { s.Del = waitThen(s.Del) }),
			fault: "DEL waits for a daemon before it records itself"},
		mutant{name: "shim-sends-twice", cases: []string{"READY-09"}, shim: shimWith(func(s *skel.CNIFuncs) {
			next := s.Check
			s.Check = func(args *skel.CmdArgs) error { _ = next(args); return next(args) }
		}), fault: "CHECK sends its request twice"},
		mutant{name: "shim-add-gives-up-early", cases: []string{"SHIM-06"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Add = withoutDaemon(s.Add, failAfter(3*time.Second, types.ErrTryAgainLater, "no daemon at SOCKET"))
		}), fault: "an ADD without a daemon waits three seconds only"},
		mutant{name: "shim-add-gives-up-silently", cases: []string{"SHIM-06"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Add = withoutDaemon(s.Add, func(*skel.CmdArgs) error { os.Exit(1); return nil })
		}), fault: "an ADD that gives up says nothing on stdout"},
		mutant{name: "shim-add-timeout-code-999", cases: []string{"SHIM-14"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Add = withoutDaemon(s.Add, failAfter(time.Second, types.ErrInternal, "no daemon at SOCKET"))
		}), fault: "an ADD that gives up does not say that it may be tried again"},
		mutant{name: "shim-add-timeout-unnamed", cases: []string{"SHIM-14"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Add = withoutDaemon(s.Add, failAfter(time.Second, types.ErrTryAgainLater, "timed out waiting for the condition"))
		}), fault: "an ADD that gives up does not name the socket"},
		mutant{name: "shim-del-forgotten", cases: []string{"SHIM-07"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Del = withoutDaemon(s.Del, func(*skel.CmdArgs) error { return nil })
		}), fault: "a DEL without a daemon succeeds and is recorded nowhere"},
		mutant{name: "shim-del-fails", cases: []string{"SHIM-07"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Del = withoutDaemon(s.Del, failAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
		}), fault: "a DEL without a daemon fails"},
		mutant{name: "shim-del-unrecordable-succeeds", cases: []string{"SHIM-07"}, shim: shimWith(func(s *skel.CNIFuncs) {
			next := s.Del
			s.Del = withoutDaemon(next, func(args *skel.CmdArgs) error { _ = next(args); return nil })
		}), fault: "a DEL that cannot be recorded succeeds"},
		mutant{name: "pending-ignored", cases: []string{"SHIM-07"}, daemon: func(a *assembly) {
			a.config.PendingDir = filepath.Join(a.config.CNIDir, "later")
		}, fault: "the daemon does not look for DELs that shims have recorded"},
		mutant{name: "pending-kept", cases: []string{"SHIM-07"}, daemon: pendingKept,
			fault: "the record of a DEL that was carried out stays"},
		mutant{name: "shim-status-waits", cases: []string{"SHIM-08"}, shim: shimWith(func(s *skel.CNIFuncs) { s.Status = waitThen(s.Status) }),
			fault: "STATUS waits for a daemon"},
		mutant{name: "shim-status-code-11", cases: []string{"SHIM-08"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Status = withoutDaemon(s.Status, failAfter(0, types.ErrTryAgainLater, "no daemon at SOCKET"))
		}), fault: "STATUS without a daemon has code 11"},
		mutant{name: "shim-status-ok", cases: []string{"SHIM-08"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Status = withoutDaemon(s.Status, func(*skel.CmdArgs) error { return nil })
		}), fault: "STATUS succeeds without a daemon"},
		mutant{name: "shim-del-needs-netns", cases: []string{"SHIM-11"}, shim: shimWith(func(s *skel.CNIFuncs) {
			next := s.Del
			s.Del = func(args *skel.CmdArgs) error {
				if args.Netns == "" {
					return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_NETNS is missing", "")
				}
				return next(args)
			}
		}), fault: "the shim refuses a DEL without CNI_NETNS"},
		mutant{name: "daemon-del-needs-netns", cases: []string{"SHIM-11"}, daemon: delNeedsNetns,
			fault: "the daemon refuses a DEL without CNI_NETNS"},
		mutant{name: "install-in-place", cases: []string{"SHIM-12"}, installer: installInPlace,
			fault: "the installer writes over the installed file"},
		mutant{name: "install-removes-first", cases: []string{"SHIM-12"}, installer: installRemovesFirst,
			fault: "the installer removes the installed file before it writes the new one"},
		mutant{name: "install-leaves-temporary", cases: []string{"SHIM-12"}, installer: installLeavesTemporary,
			fault: "the installer leaves its temporary file"},
	)
}

// waitThen waits for a daemon longer than a DEL or STATUS may.
func waitThen(next command) command {
	return func(args *skel.CmdArgs) error {
		_ = poll(api.APIReadyPollDuration, 3*time.Second, api.CheckAPIReadyNow)(runDirOf(args.StdinData))
		return next(args)
	}
}
