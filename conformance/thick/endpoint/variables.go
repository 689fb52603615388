// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"maps"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// endpointVariables is EP-07: each variable of each command, not there, empty
// and not as the CNI spec wants it.
func endpointVariables(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Start(ctx)
	s, added := e.Sandbox(), e.Sandbox()
	e.MustOK(e.Add(ctx, added))
	e.ResetCalls()
	endpoints := []string{api.MultusCNIAPIEndpoint}
	if e.Supports(thick.FeatureHotplug) {
		endpoints = append(endpoints, api.MultusDelegateAPIEndpoint)
	}
	required := map[string][]string{
		"ADD":   {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"},
		"CHECK": {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"},
		"DEL":   {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME"},
	}
	invalid := map[string][]string{
		"CNI_COMMAND":     {"BREW", "ADD ", "ADD;DEL", "ADDADD"},
		"CNI_CONTAINERID": {"a b", "-a", "a/b", "ü"},
		"CNI_IFNAME":      {"a b", "a/b", "a:b", "..", "abcdefghijklmnop"},
	}
	for _, endpoint := range endpoints {
		for command, variables := range required {
			who := map[string]*node.Sandbox{"ADD": s, "CHECK": added, "DEL": added}[command]
			for _, variable := range variables {
				for _, value := range append([]string{expect.MissingVariable, ""}, invalid[variable]...) {
					expect.VariableRefused(ctx, e, who, endpoint, command, variable, value)
				}
			}
		}
		a := expect.PostRaw(ctx, e, endpoint, []byte(`{"config":"e30="}`))
		expect.Naming(a, "CNI_COMMAND", "no env at all on "+endpoint)
	}
	Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	expect.NothingLeft(e, s)
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Check(ctx, added))
}

// endpointNoPaths is EP-08. What a request makes or changes anywhere below the
// case's directory is seen, and what it removes of what is not the daemon's own.
func endpointNoPaths(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	usual := e.Sandbox()
	e.MustOK(e.Add(ctx, usual))
	e.MustOK(e.Del(ctx, usual))
	s := e.Sandbox()
	e.ResetCalls()
	e.File("cache/victim", "of a container id")
	e.File("cache/victim.json", "of a container id")
	before := expect.Contents(e)
	for _, id := range []string{
		"..", ".", "../victim", "../../victim", "a/b", "a/../victim", "/" + e.Dir + "/absolute", "./a", ".hidden", "_a", "-rf",
		"a b", "a\nb", "a\x00b", "\x00", "a\\b", "a:b", "a*", "ü", "%2e%2e%2fvictim", "~", "$HOME",
	} {
		expectNoTrace(ctx, e, s, "CNI_CONTAINERID", id, before)
	}
	for _, name := range []string{
		"..", ".", "../x", "eth0/../..", "a/b", "/eth0", "eth0/", "a b", " a", "a\tb", "a\nb", "a:b", "a\u00a0b", "abcdefghijklmnop", strings.Repeat("n", 300),
	} {
		expectNoTrace(ctx, e, s, "CNI_IFNAME", name, before)
	}
	endpointLongID(ctx, e)
	e.MustOK(e.Add(ctx, s))
}

func expectNoTrace(ctx context.Context, e *thick.Env, s *node.Sandbox, variable, value string, before map[string]string) {
	ginkgo.GinkgoHelper()
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		r := e.Request(command, s)
		r.Env[variable] = value
		expect.Naming(e.Post(ctx, api.MultusCNIAPIEndpoint, r), variable, command+" with "+variable+" "+value)
		if e.Supports(thick.FeatureHotplug) {
			r := expect.HotplugRequest(e, s, command, e.FakeList("hot"))
			r.Env[variable] = value
			expect.Naming(e.Post(ctx, api.MultusDelegateAPIEndpoint, r), variable, command+" on /delegate with "+variable+" "+value)
		}
		Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran for %s %q", variable, value)
	}
	after := expect.Contents(e)
	Expect(after).To(Equal(withoutTidied(e, before, after)), "files after requests with %s %q", variable, value)
}

// withoutTidied leaves out what the daemon may have tidied up behind an earlier
// DEL, at a time of its own: files of its own that were there before.
func withoutTidied(e *thick.Env, before, after map[string]string) map[string]string {
	left := maps.Clone(before)
	maps.DeleteFunc(left, func(path, _ string) bool {
		_, stays := after[path]
		return !stays && strings.HasPrefix(path, e.CacheDir+"/") && !strings.HasPrefix(filepath.Base(path), "victim")
	})
	return left
}

// endpointLongID uses ids that the CNI rules allow and that are not file names:
// a daemon may refuse them, or serve them and leave nothing.
func endpointLongID(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	for _, id := range []string{strings.Repeat("a", 255), strings.Repeat("b", 300), strings.Repeat("c", 5000)} {
		s := e.Sandbox(node.ContainerID(id))
		if a := e.Add(ctx, s); !a.OK() {
			_ = expect.CNIError(a)
			expect.NothingLeft(e, s)
			continue
		}
		e.MustOK(e.Check(ctx, s))
		e.MustOK(e.Del(ctx, s))
		expect.Deleted(e, s)
	}
}

// endpointArgs is EP-11, in several orders: a parser that stops at the first
// thing that it does not like loses the pod.
func endpointArgs(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Definition("further", e.FakeList("further"))
	e.Start(ctx)
	unknown := []string{"TOKEN=YWJj==", "QUERY=a=1&b=2", "EQUALS====", "EMPTY=", "PATH_LIKE=/a/b", "SPACED=a b", "UNICODE=Zürich", "lower.case-1=x"}
	for _, ignore := range []string{"IgnoreUnknown=1", "IgnoreUnknown=true"} {
		s := e.Sandbox(node.Networks("further"))
		pod := []string{"K8S_POD_NAMESPACE=" + s.PodNamespace, "K8S_POD_NAME=" + s.PodName, "K8S_POD_INFRA_CONTAINER_ID=" + s.ID, "K8S_POD_UID=" + s.PodUID}
		for _, pairs := range [][]string{
			append(append([]string{ignore}, pod...), unknown...),
			append(append(append([]string{}, unknown...), pod...), ignore),
		} {
			ginkgo.By(strings.Join(pairs, ";"))
			e.ResetCalls()
			for _, command := range []string{"ADD", "CHECK", "DEL"} {
				r := e.Request(command, s)
				r.Env["CNI_ARGS"] = strings.Join(pairs, ";")
				e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
				calls := e.CallsFor(command, s)
				Expect(node.NetworksOf(calls)).To(ConsistOf("default", "further"), "%s of the delegates", command)
				for _, c := range calls {
					Expect(strings.Split(c.Args, ";")).To(ContainElements(append(pod, unknown...)), "CNI_ARGS at %s of %s", command, c.Network)
				}
			}
		}
	}
}
