// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Kept is what a target keeps of sandboxes, whatever its format: the files below
// the cache directory that came or changed with the ADD of each. A file that
// changed with one ADD alone is that sandbox's own; one that changed with
// several, or was there before, is shared, as a database is.
type Kept struct {
	e       *thick.Env
	before  map[string]string
	touched map[string][]*node.Sandbox
}

// WatchKept begins to look at the cache directory.
func WatchKept(e *thick.Env) *Kept {
	ginkgo.GinkgoHelper()
	return &Kept{e: e, before: filesBelow(e.CacheDir), touched: map[string][]*node.Sandbox{}}
}

// filesBelow are the regular files below a directory with their stamps.
func filesBelow(dir string) map[string]string {
	ginkgo.GinkgoHelper()
	all := map[string]string{}
	Expect(node.Walk(dir, func(path string, entry fs.DirEntry) error {
		if !entry.Type().IsRegular() {
			return nil
		}
		stamp, err := thick.Stamp(path)
		if err == nil {
			all[path] = stamp
		}
		return err
	})).To(Succeed())
	return all
}

// Add attaches a sandbox and notes which files that changes.
func (k *Kept) Add(ctx context.Context, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	k.Note(s, func() { k.e.MustOK(k.e.Add(ctx, s)) })
}

// Note notes which files change while something happens to a sandbox.
func (k *Kept) Note(s *node.Sandbox, happens func()) {
	ginkgo.GinkgoHelper()
	before := filesBelow(k.e.CacheDir)
	happens()
	for path, stamp := range filesBelow(k.e.CacheDir) {
		if before[path] != stamp && !slices.Contains(k.touched[path], s) {
			k.touched[path] = append(k.touched[path], s)
		}
	}
}

func (k *Kept) own(path string) bool { return k.before[path] == "" && len(k.touched[path]) == 1 }

// Of lists the files that are a sandbox's own.
func (k *Kept) Of(s *node.Sandbox) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(k.touched)) {
		if k.own(path) && k.touched[path][0] == s {
			paths = append(paths, path)
		}
	}
	return paths
}

// Shared lists the files that several sandboxes have in common.
func (k *Kept) Shared() []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(k.touched)) {
		if !k.own(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// All lists the files of all sandboxes, also those that are gone by now.
func (k *Kept) All() []string { return slices.Sorted(maps.Keys(k.touched)) }

// Left lists those of them that are still there. What the daemon was still doing
// for others, such as a DEL that waited on disk, may have removed some.
func (k *Kept) Left() []string {
	gone := func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	return slices.DeleteFunc(k.All(), gone)
}

// Damage is a way in which a file can be spoilt: by a crash in the middle of
// writing, by a disk, or by another program. It holds for any format.
type Damage struct {
	What  string
	spoil func(content []byte) []byte
	// directory puts a directory in the file's place.
	directory bool
	// evident means that no reader of any format can overlook it.
	evident bool
}

// Damages are all of them; the garbage has the mark in it.
func Damages(mark string) []Damage {
	always := func(content string) func([]byte) []byte {
		return func([]byte) []byte { return []byte(content) }
	}
	return []Damage{
		{What: "garbage", evident: true, spoil: always("\x00\x01 not what was here " + mark + " {[")},
		{What: "cut off in the middle", spoil: func(content []byte) []byte { return content[:len(content)/2] }},
		{What: "empty", spoil: always("")},
		{What: "an empty object", spoil: always("{}")},
		{What: "another kind of JSON", spoil: always(`["` + mark + `"]`)},
		{What: "zeros", spoil: func(content []byte) []byte { return make([]byte, len(content)) }},
		{What: "a directory", directory: true},
	}
}

// Spoil damages files and returns what they contain now, if nobody can overlook
// the damage: then it has to be kept aside.
func Spoil(paths []string, how Damage) (contents []string) {
	ginkgo.GinkgoHelper()
	for _, path := range paths {
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		if how.directory {
			Expect(os.Remove(path)).To(Succeed())
			Expect(os.Mkdir(path, 0o700)).To(Succeed())
			continue
		}
		content = how.spoil(content)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		if how.evident {
			contents = append(contents, string(content))
		}
	}
	return contents
}

// Forgotten asserts that the daemon does not remember a sandbox that was
// deleted: a GC that names every other one has nothing to delete of it. It
// asserts nothing of a target without GC.
func Forgotten(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureGC) {
		return
	}
	var valid []*node.Sandbox
	for _, other := range e.Sandboxes() {
		if other.ID != s.ID {
			valid = append(valid, other)
		}
	}
	before := len(e.CallsFor("DEL", s))
	e.Post(ctx, "/cni", GcRequest(e, valid...)) // whether it succeeds is not asked here
	Expect(PlacesOf(e.CallsFor("DEL", s)[before:])).To(BeEmpty(), "what a GC deletes of a sandbox that was deleted before: the daemon remembers it")
}
