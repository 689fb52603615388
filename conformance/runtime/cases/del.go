// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var delCases = []runtime.Case{
	{ID: "RT-13", Level: spec.Must, Source: "CNI §3", Body: delReversed,
		Title: "DEL runs in reverse, each plugin with the final result of ADD, also from another process"},
	{ID: "RT-14", Level: spec.Must, Source: "CNI §3, go-cni#60", Body: delFails,
		Title: "A DEL error ends the list, is reported, and a later DEL has the same prevResult"},
	{ID: "RT-15", Level: spec.Should, Source: "CNI §3, #1449", Body: delAsAdded,
		Title: "DEL has ADD's configuration, CNI_ARGS and capability args, whatever the files say now"},
	{ID: "RT-17", Level: spec.Should, Source: "cni#1055, cni#1149", Body: resultDamaged,
		Title: "A damaged stored result does not keep DEL from being executed"},
}

func delReversed(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	calls := e.CallsOf("DEL", a)
	expectOrder(calls, backward, "DEL")
	expectFinal(calls, "of one ADD and DEL")
	expectWhole(calls)
	if !e.Has(runtime.FeatureKill) {
		return
	}
	b := e.Attach(n)
	e.MustOK(e.Add(ctx, b))
	e.Restart(ctx)
	e.MustOK(e.Del(ctx, b))
	calls = e.CallsOf("DEL", b)
	expectOrder(calls, backward, "DEL by another process")
	expectFinal(calls, "from another process than ADD")
}

func delFails(ctx context.Context, e *runtime.Env) {
	once := failing(117)
	once.Times = 1
	e.Script("p2", script.Fake{Del: once})
	a := e.Attach(e.Network())
	e.MustOK(e.Add(ctx, a))
	answer := e.Del(ctx, a)
	e.MustFail(answer, "DEL with a second plugin that fails")
	Expect(answer.Said).To(ContainSubstring(words), "what the caller is told of the plugin's msg")
	failed := e.CallsOf("DEL", a)
	expectOrder(failed, backward[:2], "a DEL that the second plugin fails")
	e.MustOK(e.Del(ctx, a))
	again := e.CallsOf("DEL", a)[len(failed):]
	expectOrder(again, backward, "the DEL after one that failed")
	expectFinal(again, "after a DEL that failed")
}

func delAsAdded(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork()
	for _, p := range n.Plugins {
		p["text"] = "as added"
		p["capabilities"] = map[string]any{"portMappings": true}
	}
	e.Write(n)
	a := e.Attach(n)
	takes := e.Driver.Takes()
	if takes.Args {
		a.CNIArgs = "IgnoreUnknown=1;CASE=RT-15"
	}
	if e.Has(runtime.FeatureCapabilities) {
		a.Capabilities = given()
	}
	e.MustOK(e.Add(ctx, a))
	for _, p := range n.Plugins {
		p["text"] = "changed"
	}
	n.Plugins = n.Plugins[:2]
	e.Write(n)
	args := a.CNIArgs
	a.CNIArgs, a.Capabilities = "", nil
	e.MustOK(e.Del(ctx, a))
	calls := e.CallsOf("DEL", a)
	expectOrder(calls, backward, "DEL after the network's file was changed")
	added := map[string]script.Call{}
	for _, c := range e.CallsOf("ADD", a) {
		added[c.Type] = c
	}
	for _, c := range calls {
		Expect(c.Config()).To(HaveKeyWithValue("text", "as added"), "what %s got at DEL after the network's file was changed", c.Type)
		Expect(runtimeConfig(c)).To(Equal(runtimeConfig(added[c.Type])), "the runtimeConfig of %s at DEL, which has ADD's", c.Type)
		if args != "" {
			value, _ := runtime.Variable(c, "CNI_ARGS")
			Expect(strings.Split(value, ";")).To(ContainElements(strings.Split(args, ";")), "CNI_ARGS of %s at DEL, which have ADD's", c.Type)
		}
	}
}

func resultDamaged(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	for what, keep := range map[string]int64{"cut in half": 2, "emptied": 0} {
		ginkgo.By("a DEL after the stored results were " + what)
		a := e.Attach(n)
		e.MustOK(e.Add(ctx, a))
		if damageResults(e, keep) == 0 {
			e.Skipf("the runtime keeps no results in files of %s", strings.Join(e.Results(), " or "))
		}
		e.Del(ctx, a)
		Expect(runtime.Types(e.CallsOf("DEL", a))).To(Equal(backward), "the plugins that were executed with DEL after the stored results were %s", what)
	}
}

// damageResults keeps one part of so many of each file in which the runtime keeps
// results, or nothing of it for 0. It returns how many there were.
func damageResults(e *runtime.Env, parts int64) (damaged int) {
	ginkgo.GinkgoHelper()
	for _, dir := range e.Results() {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && !entry.Type().IsRegular() {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil || info.Size() == 0 {
				return err
			}
			size := int64(0)
			if parts > 0 {
				size = info.Size() / parts
			}
			damaged++
			return os.Truncate(path, size)
		})
		Expect(err).NotTo(HaveOccurred())
	}
	return damaged
}
