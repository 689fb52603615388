// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/types/create"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// cniVersions are all that the CNI spec has had.
var cniVersions = []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// shimVersions is SHIM-01. A runtime may send any version, or nothing.
func shimVersions(ctx context.Context, e *thick.Env) {
	s := e.Sandbox()
	for _, config := range []string{`{"cniVersion":"1.1.0"}`, `{"cniVersion":"0.1.0"}`, `{"cniVersion":"9.9.9"}`, "{}", ""} {
		ginkgo.By("standard input " + config)
		run := e.Shim(ctx, "VERSION", s, thick.ShimConfigBytes([]byte(config)), thick.ShimEnv(func(env map[string]string) {
			clear(env)
			env["CNI_COMMAND"] = "VERSION"
		}))
		expect.Succeeded(run)
		var answer struct {
			CNIVersion        string   `json:"cniVersion"`
			SupportedVersions []string `json:"supportedVersions"`
		}
		Expect(json.Unmarshal(run.Stdout, &answer)).To(Succeed(), "stdout %q", run.Stdout)
		Expect(answer.SupportedVersions).To(ContainElements(cniVersions), "supportedVersions in the answer to VERSION")
		Expect(answer.CNIVersion).To(MatchRegexp(`^[0-9]+\.[0-9]+\.[0-9]+$`), "cniVersion")
	}
}

// fullDualStack is a result with something for each field that the versions
// have in different places.
func fullDualStack(s *node.Sandbox) map[string]any {
	return map[string]any{
		"cniVersion": "1.0.0",
		"interfaces": []any{map[string]any{"name": "eth0", "mac": "02:00:00:00:00:07", "sandbox": s.Netns}},
		"ips": []any{
			map[string]any{"interface": 0, "address": "192.0.2.7/24", "gateway": "192.0.2.1"},
			map[string]any{"interface": 0, "address": "2001:db8::7/64", "gateway": "2001:db8::1"},
		},
		"routes": []any{map[string]any{"dst": "0.0.0.0/0", "gw": "192.0.2.1"}, map[string]any{"dst": "::/0", "gw": "2001:db8::1"}},
		"dns":    map[string]any{"nameservers": []any{"192.0.2.53"}, "domain": "example.org"},
	}
}

// resultForms are what fullDualStack looks like by version, without what the
// versions have in common.
func resultForms(s *node.Sandbox) map[string]string {
	old := `"ip4":{"ip":"192.0.2.7/24","gateway":"192.0.2.1","routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1"}]},` +
		`"ip6":{"ip":"2001:db8::7/64","gateway":"2001:db8::1","routes":[{"dst":"::/0","gw":"2001:db8::1"}]}`
	rest := `"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1"},{"dst":"::/0","gw":"2001:db8::1"}],` +
		`"interfaces":[{"name":"eth0","mac":"02:00:00:00:00:07","sandbox":"` + s.Netns + `"}]`
	middle := `"ips":[{"version":"4","interface":0,"address":"192.0.2.7/24","gateway":"192.0.2.1"},` +
		`{"version":"6","interface":0,"address":"2001:db8::7/64","gateway":"2001:db8::1"}],` + rest
	current := `"ips":[{"interface":0,"address":"192.0.2.7/24","gateway":"192.0.2.1"},` +
		`{"interface":0,"address":"2001:db8::7/64","gateway":"2001:db8::1"}],` + rest
	return map[string]string{
		"0.1.0": old, "0.2.0": old, "0.3.0": middle, "0.3.1": middle, "0.4.0": middle, "1.0.0": current, "1.1.0": current,
	}
}

// shimResultVersions is SHIM-02.
func shimResultVersions(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	for _, version := range cniVersions {
		ginkgo.By(version)
		e.CNIVersion = version
		s := e.Sandbox()
		e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Result: fullDualStack(s)}}))
		run := e.Shim(ctx, "ADD", s)
		expect.Succeeded(run)
		Expect(run.Stdout).To(MatchJSON(`{"cniVersion":"`+version+`",`+resultForms(s)[version]+
			`,"dns":{"nameservers":["192.0.2.53"],"domain":"example.org"}}`), "what the shim printed")
		result, err := create.CreateFromBytes(run.Stdout)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Version()).To(Equal(version), "the version of the result")
		expect.SilentSuccess(e.Shim(ctx, "DEL", s), "DEL with cniVersion "+version)
		Expect(e.CallsFor("DEL", s)).To(HaveLen(1), "calls of delegates at DEL")
	}
}

// shimStdoutOnly is SHIM-03, for the ways in which a shim may be told to log,
// a file that cannot be written included. The delegates are noisy.
func shimStdoutOnly(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	noisy := script.FakeStep{Stderr: `{"cniVersion":"1.0.0","noise":"of the delegate"}`, StderrBytes: 100 << 10}
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: noisy, Check: noisy, Del: noisy}))
	refusing := noisy
	refusing.Error = types.NewError(117, "no address is free", "")
	e.Definition("refusing", e.FakeList("refusing", script.Fake{Add: refusing}))
	e.Start(ctx)
	file := filepath.Join(e.Dir, "shim.log")
	unusable := e.File("a-file", "") + "/shim.log"
	Expect(os.Mkdir(filepath.Join(e.Dir, "a-directory.log"), 0o700)).To(Succeed())
	for _, row := range []struct {
		keys           map[string]any
		toFile, stderr bool
	}{
		{keys: map[string]any{}},
		{keys: map[string]any{"logToStderr": true, "logLevel": "debug"}, stderr: true},
		{keys: map[string]any{"logFile": file, "logLevel": "debug"}, toFile: true},
		{keys: map[string]any{"logFile": file, "logToStderr": true, "logLevel": "debug"}, toFile: true, stderr: true},
		{keys: map[string]any{"logFile": unusable, "logLevel": "debug"}},
		{keys: map[string]any{"logFile": filepath.Join(e.Dir, "a-directory.log"), "logLevel": "debug"}},
	} {
		if len(row.keys) > 0 && !e.Supports(thick.FeatureShimLog) {
			continue
		}
		ginkgo.By(string(node.MustJSON(row.keys)))
		runs := shimRuns(ctx, e, thick.ShimConfig(func(config map[string]any) {
			for key, value := range row.keys {
				config[key] = value
			}
		}))
		var logged []byte
		if row.toFile {
			var err error
			logged, err = os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			Expect(bytes.TrimSpace(logged)).NotTo(BeEmpty(), "the log file of two commands that failed")
			Expect(os.Remove(file)).To(Succeed())
		}
		var stderr []byte
		for _, run := range runs {
			stderr = append(stderr, run.Stderr...)
		}
		if row.stderr {
			Expect(bytes.TrimSpace(stderr)).NotTo(BeEmpty(), "log lines were asked for on stderr")
		} else {
			Expect(stderr).To(BeEmpty(), "nobody asked for log lines on stderr")
		}
	}
}

// shimRuns executes each command with success, and two with failure.
func shimRuns(ctx context.Context, e *thick.Env, o thick.ShimOption) []*thick.ShimRun {
	ginkgo.GinkgoHelper()
	s, refused := e.Sandbox(), e.Sandbox(node.Networks("refusing"))
	add := e.Shim(ctx, "ADD", s, o)
	expect.Succeeded(add)
	Expect(expect.OnlyDocument(add)).To(HaveKeyWithValue("cniVersion", e.CNIVersion), "what the shim printed")
	check, del := e.Shim(ctx, "CHECK", s, o), e.Shim(ctx, "DEL", s, o)
	expect.SilentSuccess(check, "CHECK")
	expect.SilentSuccess(del, "DEL")

	failed := e.Shim(ctx, "ADD", refused, o)
	Expect(failed.ExitCode).NotTo(BeZero(), "ADD with a delegate that refuses")
	Expect(expect.OnlyDocument(failed)).To(And(HaveKeyWithValue("code", BeNumerically(">", 0)), HaveKeyWithValue("msg", ContainSubstring("no address is free"))), "what the shim printed")
	missing := e.Shim(ctx, "CHECK", s, o, thick.ShimEnv(func(env map[string]string) { env["CNI_IFNAME"] = "a/b" }))
	Expect(missing.ExitCode).NotTo(BeZero(), "CHECK with a bad interface name")
	Expect(expect.OnlyDocument(missing)).To(And(HaveKeyWithValue("code", BeNumerically(">", 0)), HaveKey("msg")), "what the shim printed")
	return []*thick.ShimRun{add, check, del, failed}
}

// expectWithin asserts on a deadline that the requirement states.
func expectWithin(run *thick.ShimRun, limit time.Duration, what string) {
	ginkgo.GinkgoHelper()
	Expect(run.Duration).To(BeNumerically("<", limit), what)
}
