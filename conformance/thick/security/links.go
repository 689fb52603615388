// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// idPlace stands for a container id in the path of a record.
const idPlace = "{container}"

// watchNames watches the directories below root and returns a function that
// says which names appeared in them since, files in the making included.
func watchNames(root string) func() []string {
	ginkgo.GinkgoHelper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	Expect(err).NotTo(HaveOccurred())
	dirs := map[int32]string{}
	Expect(node.Walk(root, func(path string, entry fs.DirEntry) error {
		if !entry.IsDir() {
			return nil
		}
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
		dirs[int32(wd)] = path
		return err
	})).To(Succeed())
	return func() []string {
		ginkgo.GinkgoHelper()
		defer func() { _ = unix.Close(fd) }()
		var names []string
		buffer := make([]byte, 1<<16)
		for {
			n, err := unix.Read(fd, buffer)
			if errors.Is(err, unix.EAGAIN) {
				return names
			}
			Expect(err).NotTo(HaveOccurred())
			names = append(names, inotifyNames(buffer[:n], dirs)...)
		}
	}
}

// inotifyNames decodes what inotify(7) reports.
func inotifyNames(events []byte, dirs map[int32]string) []string {
	var names []string
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events))
		size := int(binary.NativeEndian.Uint32(events[12:]))
		name := bytes.TrimRight(events[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size], "\x00")
		names = append(names, filepath.Join(dirs[wd], string(name)))
		events = events[unix.SizeofInotifyEvent+size:]
	}
	return names
}

// writtenNames learns from two sandboxes which files ADD and DEL make below the
// cache directory, with idPlace for the container id. A name without the id is
// among them when both times it came and went, as that of a file in the making
// does: a file that stays has more than one sandbox's records.
func writtenNames(ctx context.Context, e *thick.Env) []string {
	ginkgo.GinkgoHelper()
	times := map[string]int{}
	for range 2 {
		s := e.Sandbox(node.Networks("second"))
		seen := watchNames(e.CacheDir)
		e.MustOK(e.Add(ctx, s))
		e.MustOK(e.Del(ctx, s))
		names := map[string]bool{}
		for _, name := range seen() {
			if _, err := os.Lstat(name); err != nil || strings.Contains(name, s.ID) {
				names[strings.ReplaceAll(name, s.ID, idPlace)] = true
			}
		}
		for name := range names {
			times[name]++
		}
	}
	maps.DeleteFunc(times, func(_ string, seen int) bool { return seen < 2 })
	if len(times) == 0 {
		e.Notef("no name of a file that ADD makes is known beforehand: no link was planted there")
	}
	return slices.Sorted(maps.Keys(times))
}

// plantedLink is a symlink in the place of a file that the target will write.
type plantedLink struct {
	path, target string
	// content is the target's; a link whose target does not exist has none.
	content []byte
	stamp   map[string]string
}

// plant makes a symlink at path, whose directory exists.
func plant(e *thick.Env, path string, dangling bool) *plantedLink {
	ginkgo.GinkgoHelper()
	l := &plantedLink{path: path, target: filepath.Join(e.Dir, "victim-"+node.RandomHex(4))}
	if !dangling {
		l.content = []byte(`{"of": "somebody else"}`)
		Expect(os.WriteFile(l.target, l.content, 0o600)).To(Succeed())
		l.stamp = expect.Stamps(l.target)
	}
	Expect(os.Symlink(l.target, path)).To(Succeed())
	return l
}

// expectNotThrough asserts that nobody wrote through the link.
func (l *plantedLink) expectNotThrough(what string) {
	ginkgo.GinkgoHelper()
	content, err := os.ReadFile(l.target)
	if l.content == nil {
		Expect(os.IsNotExist(err)).To(BeTrue(), "%s made %s through the symlink %s: %s", what, l.target, l.path, content)
		return
	}
	Expect(err).NotTo(HaveOccurred(), "the file that the symlink %s points to, after %s", l.path, what)
	Expect(string(content)).To(Equal(string(l.content)), "%s wrote through the symlink %s", what, l.path)
	Expect(expect.Stamps(l.target)).To(Equal(l.stamp), "%s changed what the symlink %s points to", what, l.path)
}

// remove takes the link away, unless something has replaced it already.
func (l *plantedLink) remove() {
	ginkgo.GinkgoHelper()
	info, err := os.Lstat(l.path)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		err = os.Remove(l.path)
	}
	if !os.IsNotExist(err) {
		Expect(err).NotTo(HaveOccurred())
	}
}

// securityLinkedFiles plants a symlink at each name in turn, for a container
// that is yet to come. ADD may fail, or put its own file there.
func securityLinkedFiles(ctx context.Context, e *thick.Env, names []string) {
	ginkgo.GinkgoHelper()
	for _, name := range names {
		for _, dangling := range []bool{false, true} {
			s := e.Sandbox(node.Networks("second"))
			l := plant(e, strings.ReplaceAll(name, idPlace, s.ID), dangling)
			ginkgo.By("a symlink at " + l.path)
			if a := e.Add(ctx, s); !a.OK() {
				_ = expect.Refused(a)
			}
			l.expectNotThrough("ADD")
			e.Del(ctx, s)
			l.expectNotThrough("DEL")
			l.remove()
			e.MustOK(e.Del(ctx, s))
			expect.NothingLeft(e, s)
		}
	}
}

// securityLinkedPending is the same for what the shim writes when there is no
// daemon: its record of a DEL.
func securityLinkedPending(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	seen := watchNames(e.CacheDir)
	expect.Succeeded(e.Shim(ctx, "DEL", s))
	for _, name := range seen() {
		if !strings.Contains(name, s.ID) {
			continue
		}
		for _, dangling := range []bool{false, true} {
			other := e.Sandbox()
			l := plant(e, strings.ReplaceAll(name, s.ID, other.ID), dangling)
			ginkgo.By("a symlink at " + l.path)
			e.Shim(ctx, "DEL", other)
			l.expectNotThrough("DEL of the shim without a daemon")
			l.remove()
		}
	}
}
