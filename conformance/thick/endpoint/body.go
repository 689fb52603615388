// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// endpointNotJSON is EP-06, also for JSON that is no Request.
func endpointNotJSON(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	s := e.Sandbox()
	e.NoteAddOf(s.ID)
	good := string(node.MustJSON(e.Request("ADD", s)))
	bodies := map[string]string{
		"nothing":             "",
		"blanks":              " \n\t ",
		"a word":              "ADD",
		"a form":              "CNI_COMMAND=ADD&CNI_CONTAINERID=" + s.ID,
		"XML":                 "<request/>",
		"binary":              "\x00\x01\xfe\xff",
		"a truncated request": good[:len(good)-1],
		"half a request":      good[:len(good)/2],
		"something before":    "x" + good,
		"something after":     good + "x",
		"two requests":        good + good,
		"single quotes":       strings.ReplaceAll(good, `"`, `'`),
		"a trailing comma":    good[:len(good)-1] + ",}",
		"an array":            "[" + good + "]",
		"a string":            string(node.MustJSON(good)),
		"a number":            "42",
		"env as a list":       `{"env":["CNI_COMMAND=ADD"]}`,
		"a number in env":     `{"env":{"CNI_COMMAND":5}}`,
		"config as an object": strings.Replace(good, `"config":"`, `"config":{},"x":"`, 1),
		"config not base64":   strings.Replace(good, `"config":"`, `"config":"*`, 1),
	}
	for _, what := range slices.Sorted(maps.Keys(bodies)) {
		for _, endpoint := range expect.OperationEndpoints {
			a := expect.PostRaw(ctx, e, endpoint, []byte(bodies[what]))
			Expect(a.Status).To(Equal(http.StatusBadRequest), "%s on %s was answered with %s", what, endpoint, a)
			Expect(expect.CNIError(a).Code).To(Equal(uint(6)), "%s on %s was answered with %s", what, endpoint, a)
		}
	}
	Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	expect.NothingLeft(e, s)
	e.MustOK(expect.PostRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte(good)))
	e.MustOK(expect.PostRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte("\n "+strings.Replace(good, "ADD", "DEL", 1)+"\r\n")))
}

// endpointUnknownFields is EP-12. The bodies are written by hand: the names
// must be the API's, not those that both sides happen to share.
func endpointUnknownFields(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", script.Fake{
		Capabilities: map[string]bool{"portMappings": true}, Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true},
	}))
	e.Start(ctx)
	s := e.Sandbox()
	e.NoteAddOf(s.ID)
	var config map[string]any
	Expect(json.Unmarshal(e.Request("ADD", s).Config, &config)).To(Succeed())
	config["runtimeConfig"] = map[string]any{"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}}
	config["x-unknown"] = "Zürich ~~~~~~ ???? >>>> ¿ÿ"
	encoded := base64.StdEncoding.EncodeToString(unescapedJSON(config))
	Expect(encoded).To(And(ContainSubstring("+"), ContainSubstring("/")), "what base64 for URLs writes otherwise")

	for _, row := range []struct{ command, body string }{
		{"ADD", `{"apiVersion":7,"x":{"env":{"CNI_COMMAND":"DEL"}},"env":%s,"y":[{"config":null}],"config":"%s","interfaceAttributes":null,"z":null}`},
		{"CHECK", `{"config":"%[2]s","env":%[1]s,"interfaceAttributes":{"cni-args":null,"x":[]}}`},
		{"DEL", `{"config":"%[2]s","x":1e400,"env":%[1]s}`},
	} {
		variables := s.Env(row.command)
		variables["CNI_X_UNKNOWN"], variables["UNKNOWN"] = "1", "2"
		a := expect.PostRaw(ctx, e, api.MultusCNIAPIEndpoint, fmt.Appendf(nil, row.body, node.MustJSON(variables), encoded))
		Expect(a.Status).To(Equal(http.StatusOK), "%s with unknown fields was answered with %s", row.command, a)
		if row.command != "CHECK" { // whether it reaches delegates is CHECK-01's
			Expect(e.CallsFor(row.command, s)).To(HaveLen(1), "%s of the delegate", row.command)
		}
	}
	Expect(e.CallsFor("ADD", s)[0].Config()).To(HaveKeyWithValue("runtimeConfig",
		map[string]any{"portMappings": []any{map[string]any{"hostPort": 8080.0, "containerPort": 80.0, "protocol": "tcp"}}}),
		"what the configuration says, decoded")
	if e.Supports(thick.FeatureHotplug) {
		endpointAttributes(ctx, e)
	}
}

// unescapedJSON encodes like mustJSON, but leaves <, > and & as they are.
func unescapedJSON(v any) []byte {
	ginkgo.GinkgoHelper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	Expect(encoder.Encode(v)).To(Succeed())
	return out.Bytes()
}

// endpointAttributes is EP-12 for interfaceAttributes, on /delegate.
func endpointAttributes(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	list := e.FakeList("hot", script.Fake{Capabilities: map[string]bool{"ips": true, "mac": true}})
	r := expect.HotplugRequest(e, s, "ADD", list)
	body := fmt.Appendf(nil, `{"env":%s,"config":"%s","x":{},"interfaceAttributes":{"y":[0],`+
		`"ips":["192.0.2.9/24","2001:db8::9/64"],"mac":"02:00:00:00:00:09","cni-args":{"vlan":"7","deep":{"a":[1]}},"z":null}}`,
		node.MustJSON(r.Env), base64.StdEncoding.EncodeToString(r.Config))
	e.NotePlugged(api.MultusDelegateAPIEndpoint, r)
	Expect(expect.PostRaw(ctx, e, api.MultusDelegateAPIEndpoint, body).Result()).NotTo(BeNil(), "the result")
	calls := e.AwaitCalls(ctx, 1, expect.CallOf(s, "ADD", "hot"))
	got := calls[0].Config()
	Expect(node.MustJSON(got["runtimeConfig"])).To(MatchJSON(`{"ips":["192.0.2.9/24","2001:db8::9/64"],"mac":"02:00:00:00:00:09"}`), "runtimeConfig in the configuration that the delegate got")
	Expect(got).To(HaveKey("args"), "the configuration that the delegate got")
	Expect(node.MustJSON(got["args"])).To(MatchJSON(`{"cni":{"vlan":"7","deep":{"a":[1]}}}`), "args in the configuration that the delegate got")
}
