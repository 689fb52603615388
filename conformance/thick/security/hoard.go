// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var hoardCases = []thick.Case{
	{
		ID: "SEC-07", Level: spec.Must, Source: "seen: a restart loop",
		Needs: []spec.Feature{thick.FeatureProcess, thick.FeatureRestart, thick.FeatureKill}, Body: startsOnAnything,
		Slow: 30 * time.Second, Timeout: 240 * time.Second,
		Title: "The daemon starts, within its memory limit, on whatever it recorded, on pending requests, and on damaged or foreign files of any content",
	},
}

const (
	// hoardSize is the size of a hostile file: it costs a decoder of all of it at
	// once a hundred times that.
	hoardSize = 9 << 20
	// hoarders is how many pods have the largest networks that the daemon accepts.
	hoarders = 8
)

// startsOnAnything is SEC-07.
func startsOnAnything(ctx context.Context, e *thick.Env) {
	e.AllowLeftovers("damaged records are kept aside where the target likes")
	for _, size := range hoardSizes {
		// A definition that comes late is NET-13's.
		e.Definition(hoardOf(size), padded(e, "hoard", "comment", strings.Repeat("c", size)))
	}
	w := newLargeWorld(ctx, e)
	healthy := e.Sandbox(node.Networks("small"))
	e.MustOK(e.Add(ctx, healthy))
	kept := expect.WatchKept(e)
	pods := w.hoard(ctx, kept)

	ginkgo.By("killed, and started on what it recorded; half of the sandboxes are lost")
	w.d.Kill()
	for _, s := range pods[:len(pods)/2] {
		s.RemoveNetns()
	}
	w.start(ctx)
	w.small(ctx, "beside the records of large ones")

	ginkgo.By("DELs without a daemon, and files of other kinds beside them")
	w.d.Stop(ctx)
	for _, s := range pods[:len(pods)/2] {
		expect.Succeeded(e.Shim(ctx, "DEL", s))
	}
	hostilePending(e)
	if e.Supports(thick.FeatureTakeover) {
		hostileCache(e)
	}
	spoilt := pods[len(pods)/2:]
	for i, s := range spoilt {
		hollowRecords(kept.Of(s), i%2 == 0)
	}
	w.start(ctx)
	w.small(ctx, "beside damaged and foreign files")
	for _, s := range append(spoilt, pods[:len(pods)/2]...) {
		eventuallyDeleted(ctx, e, s)
	}
	e.MustOK(e.Check(ctx, healthy))
	w.d.Stop(ctx)
	w.start(ctx)
	e.MustOK(e.Del(ctx, healthy))
	w.expectAlive()
}

// hoardSizes are the networks' bytes that are tried, the largest first.
var hoardSizes = []int{1 << 20, 180 << 10, 60 << 10, 12 << 10, 1 << 10}

// hoardOf names the definition of a size.
func hoardOf(size int) string { return "hoard-" + node.Itoa(size) }

// hoard attaches pods to the largest networks that the daemon accepts: five
// times the same one, if it accepts that.
func (w *largeWorld) hoard(ctx context.Context, kept *expect.Kept) []*node.Sandbox {
	ginkgo.GinkgoHelper()
	for _, size := range hoardSizes {
		one := hoardOf(size)
		for _, selections := range []string{strings.Join([]string{one, one, one, one, one}, ","), one} {
			s := w.e.Sandbox(node.Networks(selections))
			if a := w.add(ctx, s, selections); !a.OK() {
				expectLimit(a, selections)
				continue
			}
			w.e.Notef("each of %d pods has %q of %d bytes", hoarders, selections, size)
			pods := []*node.Sandbox{s}
			for len(pods) < hoarders {
				s := w.e.Sandbox(node.Networks(selections))
				kept.Note(s, func() { w.e.MustOK(w.add(ctx, s, selections)) })
				pods = append(pods, s)
			}
			return pods
		}
	}
	ginkgo.Fail("no network of any size is attached")
	return nil
}

// hollow is a list of nothing, of hoardSize bytes.
func hollow(element string) string {
	return "[" + strings.Repeat(element+",", hoardSize/(len(element)+1)) + element + "]"
}

// hostilePending puts files that are not a DEL where the shim records them. A
// target that records no DEL has no such directory.
func hostilePending(e *thick.Env) {
	ginkgo.GinkgoHelper()
	if _, err := os.Stat(e.PendingDir); os.IsNotExist(err) {
		return
	}
	for name, content := range map[string]string{
		"hostile-1:eth0.json": `{"env":{"CNI_COMMAND":"DEL"},"interfaceAttributes":{"cni-args":{"a":` + hollow("{}") + `}}}`,
		"hostile-2:eth0.json": hollow("{}"),
		"hostile-3:eth0.json": strings.Repeat("[", hoardSize),
		"hostile-4:eth0.json": strings.Repeat("\x00", hoardSize),
		"hostile-5:eth0.json": "",
	} {
		Expect(os.WriteFile(filepath.Join(e.PendingDir, name), []byte(content), 0o600)).To(Succeed())
	}
}

// hostileCache puts files into the cache of a Multus that ran before.
func hostileCache(e *thick.Env) {
	ginkgo.GinkgoHelper()
	results := filepath.Join(e.CacheDir, "results")
	Expect(os.MkdirAll(results, 0o700)).To(Succeed())
	for path, content := range map[string]string{
		filepath.Join(e.CacheDir, "hostilecontainer1"):            hollow("{}"),
		filepath.Join(e.CacheDir, "hostilecontainer2"):            `[{"Name":"x","ipRequest":` + hollow(`""`) + `}]`,
		filepath.Join(results, "default-hostilecontainer1-eth0"):  `{"kind":"cniCacheV1","containerId":"hostilecontainer1","ifName":"eth0","networkName":"default","cniArgs":` + hollow("[]") + `}`,
		filepath.Join(results, "default-hostilecontainer2-eth0"):  hollow("{}"),
		filepath.Join(results, "default-hostilecontainer3-eth0x"): strings.Repeat("[", hoardSize),
	} {
		Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
	}
}

// hollowRecords replaces the files that are a sandbox's own: by nothing at all,
// or with lists of nothing in the place of those that it has. A target that has
// no such file keeps what it has.
func hollowRecords(paths []string, shaped bool) {
	ginkgo.GinkgoHelper()
	for _, path := range paths {
		content := hollow("{}")
		if data, err := os.ReadFile(path); err == nil && shaped {
			var fields map[string]json.RawMessage
			if json.NewDecoder(strings.NewReader(string(data))).Decode(&fields) == nil {
				for key, value := range fields {
					if value[0] == '[' {
						fields[key] = json.RawMessage(hollow("{}"))
					}
				}
				content = string(node.MustJSON(fields))
			}
		}
		Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
	}
}

// eventuallyDeleted asks for DEL as a runtime does, which tries again.
func eventuallyDeleted(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	var last *thick.Answer
	for range 3 {
		if last = e.Del(ctx, s); last.OK() {
			return
		}
	}
	e.MustOK(last)
}
