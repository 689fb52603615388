// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"maps"
	"os"
	"path/filepath"
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

// hostileMark is in every value that a client has no business to hand on.
const hostileMark = "hostile-value"

// hostileVariables are such as a client may have around it. CNI_PATH is a
// variable of the CNI spec, and yet it is the daemon that knows where its
// delegates are.
func hostileVariables(e *thick.Env) map[string]string {
	dir := filepath.Join(e.Dir, hostileMark)
	return map[string]string{
		"CNI_PATH":           dir,
		"CNI_EVIL":           hostileMark,
		"CNI_PATH_EXTRA":     dir,
		"CNI_NETNS_OVERRIDE": "false " + hostileMark,
		"LD_PRELOAD":         filepath.Join(dir, "evil.so"),
		"LD_LIBRARY_PATH":    dir,
		"PATH":               dir,
		"HOME":               dir,
		"TMPDIR":             dir,
		"BASH_ENV":           filepath.Join(dir, "rc"),
		"GODEBUG":            "http2debug=0," + hostileMark + "=1",
		"HTTP_PROXY":         "http://" + hostileMark,
		"KUBECONFIG":         filepath.Join(dir, "kubeconfig"),
		"SECRET":             hostileMark,
		"cni_command":        hostileMark,
		// Trace context that is none: no version, no key, no value.
		"TRACEPARENT": hostileMark,
		"TRACESTATE":  hostileMark,
		"BAGGAGE":     "=" + hostileMark,
	}
}

// traceContext is a well-formed one (W3C Trace Context and Baggage): it tells a
// delegate nothing that could hurt, and may reach it.
var traceContext = map[string]string{
	"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	"TRACESTATE":  "conformance=t61rcWkgMzE",
	"BAGGAGE":     "userId=alice,serverNode=DF%2028",
}

// securityEnvironment is SEC-01, for requests as a client can write them and
// for a shim that really has such an environment.
func securityEnvironment(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Definition("second", e.FakeList("second"))
	d := e.Start(ctx)
	s := e.Sandbox(node.Networks("second"))
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		ginkgo.By(command + " over the socket")
		r := e.Request(command, s)
		maps.Copy(r.Env, hostileVariables(e))
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
		expectOwnEnvironment(e, d, s, command, "default", "second")
	}
	for _, command := range []string{"ADD", "DEL"} {
		ginkgo.By(command + " over the socket, with a well-formed trace context")
		r := e.Request(command, s)
		maps.Copy(r.Env, traceContext)
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
		expectOwnEnvironment(e, d, s, command, "default", "second")
	}
	hostile := thick.ShimEnv(func(env map[string]string) { maps.Copy(env, hostileVariables(e)) })
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		ginkgo.By(command + " of the shim")
		expect.Succeeded(e.Shim(ctx, command, s, hostile))
		expectOwnEnvironment(e, d, s, command, "default", "second")
	}
	if e.Supports(thick.FeatureHotplug) {
		securityHotplugEnvironment(ctx, e, d)
	}
	if !e.Supports(thick.FeatureRestart) {
		return
	}
	ginkgo.By("DEL of the shim, carried out by the next daemon")
	e.MustOK(e.Add(ctx, s))
	d.Stop(ctx)
	e.ResetCalls()
	expect.Succeeded(e.Shim(ctx, "DEL", s, hostile))
	if recorded, err := os.ReadDir(e.PendingDir); err != nil || len(recorded) == 0 {
		e.AllowLeftovers("a DEL without a daemon") // that it is not lost is SHIM-07's
		return
	}
	d = e.Start(ctx)
	e.AwaitCalls(ctx, 2, func(c script.Call) bool { return c.Command == "DEL" && c.ContainerID == s.ID && !c.End.IsZero() })
	expectOwnEnvironment(e, d, s, "DEL", "default", "second")
}

// securityHotplugEnvironment is SEC-01 on /delegate.
func securityHotplugEnvironment(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.ResetCalls()
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		ginkgo.By(command + " on /delegate")
		r := expect.HotplugRequest(e, s, command, e.FakeList("hot"))
		maps.Copy(r.Env, hostileVariables(e))
		a := e.Post(ctx, api.MultusDelegateAPIEndpoint, r)
		if command != "CHECK" { // that it works there is HOT-03's
			e.MustOK(a)
		}
		expectOwnEnvironment(e, d, s, command, "hot")
	}
}

// delegateVariables are those that the CNI spec gives a plugin.
var delegateVariables = []string{"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"}

// expectOwnEnvironment asserts on the whole environment of each delegate that
// a command ran, and forgets the calls. What is not CNI's has to be the
// daemon's own.
func expectOwnEnvironment(e *thick.Env, d *thick.Daemon, s *node.Sandbox, command string, networks ...string) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor(command, s)
	if command != "CHECK" || len(calls) > 0 { // that CHECK reaches any is CHECK-01's
		Expect(node.NetworksOf(calls)).To(ConsistOf(networks), "delegates that ran for %s", command)
	}
	own, hostile := environmentOf(d), hostileVariables(e)
	for _, c := range calls {
		Expect(c.Path).To(Equal(e.BinDir), "CNI_PATH at %s of %s", command, c.Network)
		for _, variable := range c.Env {
			name, value, _ := strings.Cut(variable, "=")
			if allowed, ok := traceContext[name]; ok && value == allowed {
				continue
			}
			Expect(variable).NotTo(ContainSubstring(hostileMark), "a variable of the client at %s of %s", command, c.Network)
			if strings.HasPrefix(name, "CNI_") {
				// One of the daemon's own making tells a delegate nothing of the client.
				if _, sent := hostile[name]; sent {
					Expect(delegateVariables).To(ContainElement(name), "variables at %s of %s", command, c.Network)
				}
			} else {
				Expect(own).To(ContainElement(variable), "at %s of %s: what is no CNI variable is from the daemon's environment", command, c.Network)
			}
		}
	}
	e.ResetCalls()
}

// environmentOf is a daemon's environment; this process's own for one that is
// linked in.
func environmentOf(d *thick.Daemon) []string {
	ginkgo.GinkgoHelper()
	if d.PID() == 0 {
		return os.Environ()
	}
	data, err := os.ReadFile(filepath.Join("/proc", node.Itoa(d.PID()), "environ"))
	Expect(err).NotTo(HaveOccurred())
	return slices.DeleteFunc(strings.Split(string(data), "\x00"), func(v string) bool { return v == "" })
}
