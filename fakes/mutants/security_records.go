// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile security: records and caches.
func init() {
	register(
		mutant{name: "records-readable", cases: []string{"SEC-03"}, daemon: afterWriting(func(a *assembly, rec *ledger.Record) {
			_ = os.Chmod(recordPath(a.config.CNIDir, rec.ContainerID), 0o644)
		}), fault: "records have mode 0644"},
		mutant{name: "record-directory-open", cases: []string{"SEC-03"}, daemon: afterWriting(func(a *assembly, _ *ledger.Record) {
			_ = os.Chmod(filepath.Join(a.config.CNIDir, "ledger"), 0o755)
		}), fault: "the directory of the records has mode 0755"},
		mutant{name: "results-readable", cases: []string{"SEC-03"}, daemon: resultsCached(0o644, false),
			fault: "results are cached beside the records, with mode 0644"},
		mutant{name: "records-of-nobody", cases: []string{"SEC-03"}, daemon: afterWriting(func(a *assembly, rec *ledger.Record) {
			_ = os.Chown(recordPath(a.config.CNIDir, rec.ContainerID), 65534, 65534)
		}), fault: "records belong to nobody"},
		mutant{name: "pending-readable", cases: []string{"SEC-03"}, shim: shimWith(func(s *skel.CNIFuncs) { s.Del = pendingReadable(s.Del) }),
			fault: "the shim's records have mode 0644"},
		mutant{name: "record-in-place", cases: []string{"SEC-03"}, daemon: recordInPlace,
			fault: "a record is written in place, through a symlink that lies there"},
		mutant{name: "temporary-record-through-link", cases: []string{"SEC-03"}, daemon: beforeWriting(func(a *assembly, rec *ledger.Record) {
			writeThrough(filepath.Join(a.config.CNIDir, "ledger", "."+rec.ContainerID+".tmp"), rec)
		}), fault: "the temporary file of a record is written through a symlink that lies there"},
		mutant{name: "results-through-link", cases: []string{"SEC-03"}, daemon: resultsCached(0o600, false),
			fault: "results are cached beside the records, through a symlink that lies in their place"},
		mutant{name: "results-directory-through-link", cases: []string{"SEC-03"}, daemon: resultsCached(0o600, true),
			fault: "results are cached in the directory that a symlink in its place points to"},
		mutant{name: "record-directory-through-link", cases: []string{"SEC-03"}, daemon: recordDirectoryThroughLink,
			fault: "records are written into the directory that a symlink in its place points to"},
		mutant{name: "pending-through-link", cases: []string{"SEC-03"}, shim: shimWith(func(s *skel.CNIFuncs) { s.Del = pendingThroughLink(s.Del) }),
			fault: "the shim writes its record through a symlink that lies in its place"},
	)
}

// beforeWriting has f called before each record is written.
func beforeWriting(f func(a *assembly, rec *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error { f(a, rec); return next.Begin(rec) }
			r.save = func(rec *ledger.Record) error { f(a, rec); return next.Save(rec) }
		})
	}
}

// afterWriting has f called after each record was written.
func afterWriting(f func(a *assembly, rec *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error { defer f(a, rec); return next.Begin(rec) }
			r.save = func(rec *ledger.Record) error { defer f(a, rec); return next.Save(rec) }
		})
	}
}

// writeThrough writes a file as who does not think of symlinks.
func writeThrough(path string, v any) {
	if data, err := json.Marshal(v); err == nil {
		_ = os.WriteFile(path, data, 0o600)
	}
}

// recordInPlace does not find a record where a symlink lies: the real ledger
// would set that aside.
func recordInPlace(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.load = func(containerID string) (*ledger.Record, error) {
			if _, err := os.Readlink(recordPath(a.config.CNIDir, containerID)); err == nil {
				return nil, ledger.ErrNotFound
			}
			return next.Load(containerID)
		}
	})
	beforeWriting(func(a *assembly, rec *ledger.Record) { writeThrough(recordPath(a.config.CNIDir, rec.ContainerID), rec) })(a)
}

// resultsCached keeps a copy of every record in the directory where libcni
// keeps results, and removes it at DEL. With clears, what lies in the place of a
// file is removed before; the directory is never looked at.
func resultsCached(mode os.FileMode, clears bool) func(*assembly) {
	return func(a *assembly) {
		dir := filepath.Join(a.config.CNIDir, "results")
		path := func(containerID string) string { return filepath.Join(dir, "net-"+containerID+"-eth0") }
		a.onRecords(func(r *records, next attach.Ledger) {
			r.save = func(rec *ledger.Record) error {
				if rec.State == ledger.StateAdded {
					_ = os.MkdirAll(dir, 0o700)
					if clears {
						_ = os.Remove(path(rec.ContainerID))
					}
					writeThrough(path(rec.ContainerID), rec)
					_ = os.Chmod(path(rec.ContainerID), mode)
				}
				return next.Save(rec)
			}
			r.remove = func(containerID string) error {
				_ = os.Remove(path(containerID))
				return next.Remove(containerID)
			}
		})
	}
}

// recordDirectoryThroughLink has records in both directories: the real ledger
// uses none that is a symlink.
func recordDirectoryThroughLink(a *assembly) {
	path, target := "", ""
	a.onStart(func() error {
		path = filepath.Join(a.config.CNIDir, "ledger")
		var err error
		if target, err = os.Readlink(path); err != nil {
			target = ""
			return nil //nolint:nilerr // it is no link
		}
		return os.Remove(path)
	})
	beforeWriting(func(_ *assembly, rec *ledger.Record) {
		if target != "" {
			writeThrough(filepath.Join(target, rec.ContainerID+".json"), rec)
		}
	})(a)
}

// pendingDirOf is where a shim records a DEL, by its configuration.
func pendingDirOf(args *skel.CmdArgs) string {
	var conf struct {
		CNIDir string `json:"cniDir"`
	}
	_ = json.Unmarshal(args.StdinData, &conf)
	return api.PendingDir(conf.CNIDir)
}

func pendingReadable(next command) command {
	return func(args *skel.CmdArgs) error {
		err := next(args)
		paths, _ := filepath.Glob(filepath.Join(pendingDirOf(args), "*"))
		for _, path := range paths {
			_ = os.Chmod(path, 0o644)
		}
		return err
	}
}

func pendingThroughLink(next command) command {
	return func(args *skel.CmdArgs) error {
		if absent(args) {
			name := args.ContainerID + ":" + args.IfName + ".json"
			writeThrough(filepath.Join(pendingDirOf(args), name), args)
		}
		return next(args)
	}
}
