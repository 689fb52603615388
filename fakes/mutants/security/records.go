// SPDX-License-Identifier: Apache-2.0

package security

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile security: records and caches.
var recordsMutants = []mutant.Mutant{
	{Name: "records-readable", Cases: []string{"SEC-03"}, Daemon: afterWriting(func(a *seam.Assembly, rec *ledger.Record) {
		_ = os.Chmod(seam.RecordPath(a.Config.CNIDir, rec.ContainerID), 0o644)
	}), Fault: "records have mode 0644"},
	{Name: "record-directory-open", Cases: []string{"SEC-03"}, Daemon: afterWriting(func(a *seam.Assembly, _ *ledger.Record) {
		_ = os.Chmod(filepath.Join(a.Config.CNIDir, "ledger"), 0o755)
	}), Fault: "the directory of the records has mode 0755"},
	{Name: "cache-directory-open", Cases: []string{"SEC-03"}, Daemon: afterWriting(func(a *seam.Assembly, _ *ledger.Record) {
		_ = os.Chmod(a.Config.CNIDir, 0o755)
	}), Fault: "the cache directory has mode 0755"},
	{Name: "results-readable", Cases: []string{"SEC-03"}, Daemon: resultsCached(0o644, false),
		Fault: "results are cached beside the records, with mode 0644"},
	{Name: "records-of-nobody", Cases: []string{"SEC-03"}, Daemon: afterWriting(func(a *seam.Assembly, rec *ledger.Record) {
		_ = os.Chown(seam.RecordPath(a.Config.CNIDir, rec.ContainerID), 65534, 65534)
	}), Fault: "records belong to nobody"},
	{Name: "pending-readable", Cases: []string{"SEC-03"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Del = pendingReadable(s.Del) }),
		Fault: "the shim's records have mode 0644"},
	{Name: "record-in-place", Cases: []string{"SEC-03"}, Daemon: recordInPlace,
		Fault: "a record is written in place, through a symlink that lies there"},
	{Name: "temporary-record-through-link", Cases: []string{"SEC-03"}, Daemon: beforeWriting(func(a *seam.Assembly, rec *ledger.Record) {
		writeThrough(filepath.Join(a.Config.CNIDir, "ledger", "."+rec.ContainerID+".tmp"), rec)
	}), Fault: "the temporary file of a record is written through a symlink that lies there"},
	{Name: "results-through-link", Cases: []string{"SEC-03"}, Daemon: resultsCached(0o600, false),
		Fault: "results are cached beside the records, through a symlink that lies in their place"},
	{Name: "results-directory-through-link", Cases: []string{"SEC-03"}, Daemon: resultsCached(0o600, true),
		Fault: "results are cached in the directory that a symlink in its place points to"},
	{Name: "record-directory-through-link", Cases: []string{"SEC-03"}, Daemon: recordDirectoryThroughLink,
		Fault: "records are written into the directory that a symlink in its place points to"},
	{Name: "pending-through-link", Cases: []string{"SEC-03"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Del = pendingThroughLink(s.Del) }),
		Fault: "the shim writes its record through a symlink that lies in its place"},
}

// beforeWriting has f called before each record is written.
func beforeWriting(f func(a *seam.Assembly, rec *ledger.Record)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error { f(a, rec); return next.Begin(rec) }
			r.OnSave = func(rec *ledger.Record) error { f(a, rec); return next.Save(rec) }
		})
	}
}

// afterWriting has f called after each record was written.
func afterWriting(f func(a *seam.Assembly, rec *ledger.Record)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error { defer f(a, rec); return next.Begin(rec) }
			r.OnSave = func(rec *ledger.Record) error { defer f(a, rec); return next.Save(rec) }
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
func recordInPlace(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			if _, err := os.Readlink(seam.RecordPath(a.Config.CNIDir, containerID)); err == nil {
				return nil, ledger.ErrNotFound
			}
			return next.Load(containerID)
		}
	})
	beforeWriting(func(a *seam.Assembly, rec *ledger.Record) {
		writeThrough(seam.RecordPath(a.Config.CNIDir, rec.ContainerID), rec)
	})(a)
}

// resultsCached keeps a copy of every record in the directory where libcni
// keeps results, and removes it at DEL. With clears, what lies in the place of a
// file is removed before; the directory is never looked at.
func resultsCached(mode os.FileMode, clears bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		dir := filepath.Join(a.Config.CNIDir, "results")
		path := func(containerID string) string { return filepath.Join(dir, "net-"+containerID+"-eth0") }
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnSave = func(rec *ledger.Record) error {
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
			r.OnRemove = func(containerID string) error {
				_ = os.Remove(path(containerID))
				return next.Remove(containerID)
			}
		})
	}
}

// recordDirectoryThroughLink has records in both directories: the real ledger
// uses none that is a symlink.
func recordDirectoryThroughLink(a *seam.Assembly) {
	path, target := "", ""
	a.OnStart(func() error {
		path = filepath.Join(a.Config.CNIDir, "ledger")
		var err error
		if target, err = os.Readlink(path); err != nil {
			target = ""
			return nil //nolint:nilerr // not a link
		}
		return os.Remove(path)
	})
	beforeWriting(func(_ *seam.Assembly, rec *ledger.Record) {
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

func pendingReadable(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		err := next(args)
		paths, _ := filepath.Glob(filepath.Join(pendingDirOf(args), "*"))
		for _, path := range paths {
			_ = os.Chmod(path, 0o644)
		}
		return err
	}
}

func pendingThroughLink(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		if seam.Absent(args) {
			name := args.ContainerID + ":" + args.IfName + ".json"
			writeThrough(filepath.Join(pendingDirOf(args), name), args)
		}
		return next(args)
	}
}
