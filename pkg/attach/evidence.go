// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// evidence is what can be seen of a recorded sandbox's network namespace.
type evidence int

const (
	// namespaceThere also stands for a namespace of which nothing is known: the
	// runtime deletes such a sandbox.
	namespaceThere evidence = iota
	// namespaceGone means that the directory is the one of the sandbox's ADD, or
	// of a later start of the node, and the namespace is not in it any more.
	namespaceGone
	// namespaceUnseen means that the daemon does not see where the namespace is.
	namespaceUnseen
)

// look says what can be seen of a sandbox's namespace. What cannot be seen is
// not gone: a daemon that lacks a mount must not release the addresses of pods
// that run (RES-09).
func (e *Engine) look(rec *ledger.Record) evidence {
	if rec.Netns == "" {
		return namespaceThere
	}
	err := e.findOwn(rec, rec.Netns)
	dir, identity := directoryOf(rec.Netns)
	same := identity != "" && identity == rec.NetnsDir
	switch {
	case err == nil:
		return namespaceThere
	case errors.Is(err, errForeignNetns):
		if same {
			return namespaceGone
		}
		return namespaceThere
	case errors.Is(err, fs.ErrNotExist) && (same || rec.NetnsDir == "" && holdsNamespaces(dir) || e.restarted(rec, dir)):
		return namespaceGone
	case errors.Is(err, errNotNetns) && holdsNamespaces(dir):
		// Others are mounted there. This one may be on its way out, which is the
		// runtime's to finish.
		return namespaceThere
	}
	return namespaceUnseen
}

// holdsNamespaces reports whether network namespaces can be seen in a directory.
// It says of a directory that was not recorded, as Multus records none, that it
// is the runtime's.
func holdsNamespaces(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		var st unix.Statfs_t
		if entry.Type().IsRegular() && unix.Statfs(filepath.Join(dir, entry.Name()), &st) == nil && st.Type == unix.NSFS_MAGIC {
			return true
		}
	}
	return false
}

// unseenMount words what is missing, to follow "waiting for".
func unseenMount(rec *ledger.Record) string {
	dir, _ := directoryOf(rec.Netns)
	remedy := fmt.Sprintf("mount the host's %s into the daemon's container, with mountPropagation HostToContainer", dir)
	if dir == "/proc" {
		remedy = "run the daemon's pod with hostPID"
	}
	return fmt.Sprintf("the network namespace %s of sandbox %s, and its like, to be seen; %s", rec.Netns, rec.ContainerID, remedy)
}

// Unseen says which namespaces of recorded sandboxes cannot be seen, worded to
// follow "waiting for"; it is empty when all can, or are known to be gone.
func (e *Engine) Unseen() string {
	if what := e.unseen.Load(); what != nil {
		return *what
	}
	return ""
}

// survey brings Unseen up to date, before anything is deleted.
func (e *Engine) survey() (unseen bool) {
	ids, err := e.containers()
	if err != nil {
		return false // replayOnce says so
	}
	what := ""
	for _, id := range ids {
		rec, err := e.load(id, "")
		if err != nil || e.rebooted(rec) {
			continue
		}
		seen := e.look(rec)
		if seen == namespaceUnseen {
			what = unseenMount(rec)
			break
		}
	}
	if former := e.Unseen(); what != former {
		e.unseen.Store(&what)
		if what != "" {
			e.log.Error("not ready, and nothing is deleted unasked", "waitingFor", what)
		}
	}
	return what != ""
}
