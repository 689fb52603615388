// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// socketStaleReplaced is SOCK-05. The stale socket is a lax one of another
// user, which must not be inherited. Where the daemon can be killed, its own
// socket is left too.
func socketStaleReplaced(ctx context.Context, e *thick.Env) {
	Expect(os.Mkdir(e.RunDir, 0o700)).To(Succeed())
	expect.StaleSocket(e.Socket())
	Expect(os.Chmod(e.Socket(), 0o777)).To(Succeed())
	Expect(os.Chown(e.Socket(), 1, 1)).To(Succeed())
	d := e.Start(ctx)
	Expect(expect.Owned(e.Socket())).To(Equal("0:0 0600"), "owner and mode of the socket")
	expect.Serves(ctx, e)
	if !e.Supports(thick.FeatureKill) {
		ginkgo.By("the daemon has no process of its own to kill: that part is left out")
		return
	}
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	d.Kill()
	_, err := e.Dial(ctx)
	Expect(err).To(MatchError(syscall.ECONNREFUSED), "the killed daemon's socket is still there and refuses")
	e.Start(ctx)
	Expect(expect.Owned(e.Socket())).To(Equal("0:0 0600"), "owner and mode of the socket")
	expect.Serves(ctx, e)
	e.MustOK(e.Del(ctx, s))
}

// obstacle puts something else than a socket at path; other is a path outside
// the run directory that it may refer to.
type obstacle struct {
	name string
	put  func(path, other string) error
}

var obstacles = []obstacle{
	{"a regular file", func(path, _ string) error { return os.WriteFile(path, []byte("precious"), 0o640) }},
	{"an empty file", func(path, _ string) error { return os.WriteFile(path, nil, 0o600) }},
	{"a symlink to nothing", func(path, other string) error { return os.Symlink(other, path) }},
	{"a symlink to a file", func(path, other string) error {
		return inOrder(func() error { return os.WriteFile(other, []byte("precious"), 0o640) }, func() error { return os.Symlink(other, path) })
	}},
	{"a symlink to a stale socket", func(path, other string) error {
		expect.StaleSocket(other)
		return os.Symlink(other, path)
	}},
	{"an empty directory", func(path, _ string) error { return os.Mkdir(path, 0o755) }},
	{"a directory with a file", func(path, _ string) error {
		return inOrder(func() error { return os.Mkdir(path, 0o755) }, func() error { return os.WriteFile(filepath.Join(path, "kept"), []byte("precious"), 0o644) })
	}},
}

func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// socketObstacleRefused is SOCK-06. When the obstacle is taken away, the same
// daemon starts: the obstacle was the reason and nothing else.
func socketObstacleRefused(ctx context.Context, e *thick.Env) {
	for i, o := range obstacles {
		ginkgo.By(o.name)
		runDir, other := filepath.Join(e.Dir, fmt.Sprintf("run-%d", i)), filepath.Join(e.Dir, fmt.Sprintf("other-%d", i))
		path := api.SocketPath(runDir)
		Expect(os.Mkdir(runDir, 0o700)).To(Succeed())
		Expect(o.put(path, other)).To(Succeed())
		before := expect.Stamps(path, other)

		log := e.StartRefused(ctx, thick.RunDir(runDir))
		Expect(log).To(ContainSubstring(path), "%s: the daemon must say why it does not start", o.name)
		Expect(expect.Stamps(path, other)).To(Equal(before), "%s at the socket's path must stay as it was", o.name)

		Expect(os.RemoveAll(path)).To(Succeed())
		e.Start(ctx, thick.RunDir(runDir)).Stop(ctx)
	}
}

// unsafeDirs are run directories that somebody else than root controls; each
// is made at path, other is a path to refer to.
var unsafeDirs = []struct {
	name, suffix string
	make         func(path, other string) error
}{
	{"a symlink", "", linkToDir},
	// With the slash the kernel follows the link before anybody looks at it.
	{"a symlink, written with a slash", "/", linkToDir},
	{"a symlink to nothing", "", func(path, other string) error { return os.Symlink(other, path) }},
	{"another user's", "", func(path, _ string) error {
		return inOrder(func() error { return os.Mkdir(path, 0o700) }, func() error { return os.Chown(path, 1, 0) })
	}},
	{"writable by its group", "", dirWithMode(0o770)},
	{"writable by others", "", dirWithMode(0o702)},
	{"writable by all", "", dirWithMode(0o777)},
	{"sticky and writable by all", "", dirWithMode(0o777 | fs.ModeSticky)},
}

func linkToDir(path, other string) error {
	return inOrder(func() error { return os.Mkdir(other, 0o700) }, func() error { return os.Symlink(other, path) })
}

func dirWithMode(mode fs.FileMode) func(path, other string) error {
	return func(path, _ string) error {
		return inOrder(func() error { return os.Mkdir(path, 0o700) }, func() error { return os.Chmod(path, mode) })
	}
}

// socketRunDirRefused is SOCK-07. Refused means that the directory is not
// mended either: who made it so may still hold it. With a safe directory at
// the same path the same daemon starts.
func socketRunDirRefused(ctx context.Context, e *thick.Env) {
	for i, u := range unsafeDirs {
		ginkgo.By("a run directory that is " + u.name)
		path, other := filepath.Join(e.Dir, fmt.Sprintf("run-%d", i)), filepath.Join(e.Dir, fmt.Sprintf("other-%d", i))
		Expect(u.make(path, other)).To(Succeed())
		before := expect.Owned(path)

		log := e.StartRefused(ctx, thick.RunDir(path+u.suffix))
		Expect(log).To(ContainSubstring(path), "%s: the daemon must say why it does not start", u.name)
		Expect(expect.Owned(path)).To(Equal(before), "a run directory that is refused must not be changed")
		for _, dir := range []string{path, other} {
			_, err := os.Lstat(api.SocketPath(dir))
			Expect(os.IsNotExist(err)).To(BeTrue(), "a socket in %s, although it was refused: %v", dir, err)
		}

		Expect(os.RemoveAll(path)).To(Succeed())
		Expect(os.Mkdir(path, 0o700)).To(Succeed())
		e.Start(ctx, thick.RunDir(path+u.suffix)).Stop(ctx)
	}
}

// socketNeighboursSurvive is SOCK-08: files of every kind, and the socket of
// another program, which must still be that one's.
func socketNeighboursSurvive(ctx context.Context, e *thick.Env) {
	Expect(os.MkdirAll(filepath.Join(e.RunDir, "directory"), 0o755)).To(Succeed())
	Expect(os.Chmod(e.RunDir, 0o700)).To(Succeed())
	at := func(name string) string { return filepath.Join(e.RunDir, name) }
	for _, name := range []string{"file", ".hidden", "multus.sock.old", "directory/file", "multus.socket"} {
		Expect(os.WriteFile(at(name), []byte("content of "+name), 0o644)).To(Succeed())
	}
	Expect(os.Symlink("file", at("link"))).To(Succeed())
	Expect(syscall.Mkfifo(at("fifo"), 0o644)).To(Succeed())
	expect.StaleSocket(at("stale.sock"))
	other, err := net.Listen("unix", at("other.sock")) //nolint:noctx // the case closes it
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = other.Close() }()
	neighbours := []string{"file", ".hidden", "multus.sock.old", "multus.socket", "directory", "link", "fifo", "stale.sock", "other.sock"}
	for i, name := range neighbours {
		neighbours[i] = at(name)
	}
	before := expect.Stamps(neighbours...)

	d := e.Start(ctx)
	Expect(expect.Stamps(neighbours...)).To(Equal(before), "after the start")
	expect.Serves(ctx, e)
	d.Stop(ctx)
	Expect(expect.Stamps(neighbours...)).To(Equal(before), "after the stop")
}
