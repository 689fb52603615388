// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// mountedNetns makes a network namespace that is kept at path.
func mountedNetns(t testing.TB, path string) ns.NetNS {
	t.Helper()
	space, err := ns.TempNetNS()
	if err != nil {
		t.Skipf("no network namespace can be made: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/proc/self/fd/"+strconv.Itoa(int(space.Fd())), path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(path, unix.MNT_DETACH)
		_ = space.Close()
	})
	return space
}

// TestLook is RES-09 by each thing that can stand where a namespace was.
func TestLook(t *testing.T) {
	e := &Engine{own: ownNamespaces(), log: slog.New(slog.DiscardHandler)}
	dir := t.TempDir()
	path := filepath.Join(dir, "cni-1")
	space := mountedNetns(t, path)
	rec := &ledger.Record{ContainerID: "c1", Netns: path}
	identify(rec, space)
	unidentified := &ledger.Record{ContainerID: "c1", Netns: path} // as of Multus
	if rec.NetnsInode == 0 || rec.NetnsDir == "" {
		t.Fatalf("%+v has no identity", rec)
	}
	expect := func(what string, identified, other evidence) {
		t.Helper()
		if got := e.look(rec); got != identified {
			t.Errorf("%s: %d, want %d", what, got, identified)
		}
		if got := e.look(unidentified); got != other {
			t.Errorf("%s, not identified: %d, want %d", what, got, other)
		}
	}
	expect("there", namespaceThere, namespaceThere)

	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	expect("not mounted", namespaceUnseen, namespaceUnseen)
	other := filepath.Join(dir, "cni-2")
	mountedNetns(t, other)
	expect("not mounted beside one that is", namespaceThere, namespaceThere)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed beside another", namespaceGone, namespaceGone)
	if err := unix.Unmount(other, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	expect("removed, nothing else there", namespaceGone, namespaceUnseen)

	mountedNetns(t, path)
	expect("another one at its path", namespaceGone, namespaceThere)
	rec.NetnsDir = "1:2"
	expect("another one at its path in another directory", namespaceThere, namespaceThere)
	unidentified.Netns, rec.Netns = filepath.Join(dir, "missing", "cni-1"), filepath.Join(dir, "missing", "cni-1")
	expect("directory missing", namespaceUnseen, namespaceUnseen)
	rec.Netns, unidentified.Netns = "", ""
	expect("never had one", namespaceThere, namespaceThere)
}

// TestIdentityOutlivesTheInode compares more than the inode, which a later
// namespace may have again (DEL-11).
func TestIdentityOutlivesTheInode(t *testing.T) {
	e := &Engine{own: ownNamespaces(), log: slog.New(slog.DiscardHandler)}
	path := filepath.Join(t.TempDir(), "cni-1")
	rec := &ledger.Record{ContainerID: "c1", Netns: path}
	identify(rec, mountedNetns(t, path))
	if rec.NetnsCookie == 0 {
		t.Skip("this kernel has no SO_NETNS_COOKIE")
	}
	another := mountedNetns(t, filepath.Join(t.TempDir(), "cni-2"))
	if cookie := socketCookie(another); cookie != cookieOf(another) || cookie == rec.NetnsCookie {
		t.Errorf("a socket has cookie %d, the namespace %d, the one before it %d", cookie, cookieOf(another), rec.NetnsCookie)
	}
	if err := e.findOwn(rec, path); err != nil {
		t.Fatal(err)
	}
	rec.NetnsCookie++ // as a later namespace with the same inode would have it
	if err := e.findOwn(rec, path); err == nil {
		t.Error("a namespace of another cookie is taken for the sandbox's")
	}
	if netns, err := e.netnsForDel(rec, path); err != nil || netns != "" {
		t.Errorf("DEL gets %q, %v", netns, err)
	}
	own := &ledger.Record{ContainerID: "c2"}
	if err := e.findOwn(own, "/proc/thread-self/ns/net"); err == nil {
		t.Error("the daemon's own namespace is taken for a sandbox's")
	}
}
