// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var fieldCases = []runtime.Case{
	{ID: "RT-04", Level: spec.Must, Source: "CNI §1, §3", Body: fieldsUnchanged,
		Title: "The plugin's fields arrive unchanged, nested and unknown ones too, with name and cniVersion of the network"},
	{ID: "RT-05", Level: spec.Should, Source: "CNI §1 †", Body: integersUnchanged,
		Title: "So do integers above 2^53"},
	{ID: "RT-06", Level: spec.Should, Source: "CNI §3 †", Body: capabilitiesStay,
		Title: "capabilities is not passed on"},
	{ID: "RT-29", Level: spec.Should, Source: "CNI §1", Body: reservedKeys,
		Title: "Other reserved keys of the file (runtimeConfig, cni.dev/*) do not reach plugins"},
}

// fields are what a plugin's configuration has beside its type: what the
// specification defines, and what it does not.
func fields() map[string]any {
	return map[string]any{
		"ipMasq": false,
		"ipam":   map[string]any{"type": "none", "ranges": []any{[]any{map[string]any{"subnet": "192.0.2.0/24"}}}},
		"dns":    map[string]any{"nameservers": []any{"192.0.2.1"}, "options": []any{}},
		"nested": map[string]any{"list": []any{1, 2.5, true, nil, "", map[string]any{"deep": []any{[]any{}}}}, "empty": map[string]any{}},
		"html":   `<a href="b">&amp;</a>`, "text": "π  \t\\ \"", "zero": 0, "negative": -7,
		"example.org/unknown": []any{"x", "x"},
	}
}

func fieldsUnchanged(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork()
	for i, p := range n.Plugins {
		for key, value := range fields() {
			p[key] = value
		}
		p["index"] = i
		// Name and version are the network's, whatever a plugin's object has.
		p["name"], p["cniVersion"] = "of-the-plugin", "0.2.0"
	}
	e.Write(n)
	a := e.Attach(n)
	for command, calls := range life(ctx, e, a) {
		for i, c := range calls {
			if command == "DEL" {
				i = len(calls) - 1 - i
			}
			var want map[string]any
			Expect(json.Unmarshal(node.MustJSON(n.Plugins[i]), &want)).To(Succeed())
			want["name"], want["cniVersion"] = n.Name, n.Version()
			got := c.Config()
			for key, value := range want {
				Expect(got).To(HaveKeyWithValue(key, Equal(value)), "what %s got at %s", c.Type, command)
			}
		}
	}
}

func integersUnchanged(ctx context.Context, e *runtime.Env) {
	written := []string{"9007199254740993", "12345678901234567890", "-9223372036854775807"}
	n := e.NewNetwork()
	var all []any
	for _, number := range written {
		all = append(all, json.Number(number))
	}
	n.Plugins[0]["numbers"] = map[string]any{"list": all}
	e.Write(n)
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	for _, c := range append(e.CallsOf("ADD", a)[:1], e.CallsOf("DEL", a)[2:]...) {
		Expect(numbers(c)).To(Equal(written), "the integers that %s got at %s, as they were written to it", c.Type, c.Command)
	}
}

// numbers are the numbers that integersUnchanged has in a configuration, as they
// arrived.
func numbers(c script.Call) []string {
	var got struct {
		Numbers struct {
			List []json.RawMessage `json:"list"`
		} `json:"numbers"`
	}
	Expect(json.Unmarshal(c.Stdin, &got)).To(Succeed())
	texts := []string{}
	for _, raw := range got.Numbers.List {
		texts = append(texts, string(raw))
	}
	return texts
}

func capabilitiesStay(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork()
	for _, p := range n.Plugins {
		p["capabilities"] = map[string]any{"portMappings": true}
	}
	e.Write(n)
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	for _, c := range append(e.CallsOf("ADD", a), e.CallsOf("DEL", a)...) {
		Expect(runtime.Fields(c)).NotTo(HaveKey("capabilities"), "what %s got at %s", c.Type, c.Command)
	}
}

func reservedKeys(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork()
	for _, p := range n.Plugins {
		p["runtimeConfig"] = map[string]any{"mac": "02:00:00:00:00:07"}
		p["cni.dev/attachments"] = []any{}
		p["cni.dev/of-the-file"] = true
	}
	e.Write(n)
	a := e.Attach(n)
	answer := e.Add(ctx, a)
	if answer.Failed() && len(e.Calls()) == 0 {
		e.Notef("a configuration with reserved keys is refused")
		return
	}
	e.MustOK(answer)
	e.MustOK(e.Del(ctx, a))
	expectNoneOfFile(append(e.CallsOf("ADD", a), e.CallsOf("DEL", a)...))

	// An ADD that failed has no result, and its DEL passes none of them on either.
	e.ResetCalls()
	e.Script("p2", script.Fake{Add: failing(117)})
	e.MustFail(e.Add(ctx, a), "ADD with a second plugin that fails")
	e.MustOK(e.Del(ctx, a))
	expectNoneOfFile(e.Node.CallsOf("DEL"))
}

// expectNoneOfFile asserts that plugins got nothing of what reservedKeys writes.
func expectNoneOfFile(calls []script.Call) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		Expect(runtimeConfig(c)).NotTo(HaveKey("mac"), "the runtimeConfig that %s got at %s, from the file", c.Type, c.Command)
		for key := range runtime.Fields(c) {
			Expect(strings.HasPrefix(key, "cni.dev/")).To(BeFalse(), "%s reached %s at %s, from the file", key, c.Type, c.Command)
		}
	}
}
