// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var killedCases = []thick.Case{
	{
		ID: "HOT-10", Level: spec.Must, Source: "seen in chaos",
		Needs: []spec.Feature{thick.FeatureHotplug, thick.FeatureKill, thick.FeatureRestart}, Body: hotKilledAnywhere,
		Slow: 60 * time.Second, Timeout: 600 * time.Second,
		Title: "Killed, or with a disk that is read-only, at any moment of /delegate ADD or DEL: CHECK succeeds afterwards, hot-plugs work, nothing is left",
	},
}

const (
	// hotKills is how often the daemon is killed at a random moment.
	hotKills = 150
	// hotKillSeed fixes those moments, as far as a machine's timing can be fixed.
	hotKillSeed = 20180323
	// hotKillWithin bounds the moment, counted from the request.
	hotKillWithin = 90 * time.Millisecond
)

// hotKilledAnywhere is HOT-10.
func hotKilledAnywhere(ctx context.Context, e *thick.Env) {
	Expect(unix.Mount("tmpfs", e.CacheDir, "tmpfs", 0, "size=16m,mode=0700")).To(Succeed())
	e.AtEnd(func() { _ = unix.Unmount(e.CacheDir, unix.MNT_DETACH) })
	e.RealPlugins()
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	w := &hotWorld{e: e, d: e.Start(ctx), s: e.Sandbox()}
	e.MustOK(e.Add(ctx, w.s))
	for _, command := range []string{"ADD", "DEL"} {
		w.killedAtDelegate(ctx, command)
		w.readOnly(ctx, command)
	}
	w.killedAtRandom(ctx)
	e.MustOK(e.Del(ctx, w.s))
	Expect(append(e.Leftovers(w.s), e.HostLeftovers()...)).To(BeEmpty(), "after the sandbox's DEL")
}

// hotWorld is one sandbox whose network "hot" comes and goes as hot0.
type hotWorld struct {
	e *thick.Env
	d *thick.Daemon
	s *node.Sandbox
}

// request is one for hot0, by a real plugin, whose CHECK looks. Another one waits
// for a gate, unless that is empty, when the real one has done its work at a
// command.
func (w *hotWorld) request(command, at, gate string) *api.Request {
	ginkgo.GinkgoHelper()
	var list, other struct {
		CNIVersion string            `json:"cniVersion"`
		Name       string            `json:"name"`
		Plugins    []json.RawMessage `json:"plugins"`
	}
	Expect(json.Unmarshal([]byte(expect.RealBridge(w.e, "hot", "br-hot", "10.69.0.0/16")), &list)).To(Succeed())
	if gate != "" {
		wait := script.FakeStep{WaitFor: gate}
		f := script.Fake{Add: wait}
		if at == "DEL" {
			f = script.Fake{Del: wait}
		}
		Expect(json.Unmarshal([]byte(w.e.FakeList("hot", f)), &other)).To(Succeed())
		if at == "ADD" {
			list.Plugins = append(list.Plugins, other.Plugins...)
		} else {
			list.Plugins = append(other.Plugins, list.Plugins...)
		}
	}
	r := expect.HotplugRequest(w.e, w.s, command, string(node.MustJSON(list)))
	r.Env["CNI_IFNAME"] = "hot0"
	return r
}

// begin asks without waiting for the answer.
func (w *hotWorld) begin(ctx context.Context, r *api.Request) <-chan thick.Outcome {
	out := make(chan thick.Outcome, 1)
	go func() {
		a, err := w.e.TryPost(ctx, api.MultusDelegateAPIEndpoint, r)
		out <- thick.Outcome{Answer: a, Err: err}
	}()
	return out
}

// held has one request whose delegate waits, and returns its outcome and the gate.
func (w *hotWorld) held(ctx context.Context, command string) (flying <-chan thick.Outcome, gate string) {
	ginkgo.GinkgoHelper()
	gate = filepath.Join(w.e.Dir, "gate-"+node.RandomHex(3))
	if command == "DEL" {
		w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request("ADD", command, gate)))
	}
	w.e.ResetCalls()
	flying = w.begin(ctx, w.request(command, command, gate))
	w.e.AwaitCalls(ctx, 1, func(c script.Call) bool { return c.ContainerID == w.s.ID && c.Command == command && c.Network == "hot" })
	return flying, gate
}

// killedAtDelegate kills the daemon while the delegate of a hot-plug runs.
func (w *hotWorld) killedAtDelegate(ctx context.Context, command string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("killed at the delegate of a hot-plug's " + command)
	flying, gate := w.held(ctx, command)
	w.d.Kill()
	Eventually(flying).WithContext(ctx).Should(Receive(), "an answer to the request")
	if command == "DEL" {
		w.e.Touch(gate) // it may end now or be ended
	}
	w.d = w.e.Start(ctx)
	w.expectSound(ctx, "after a kill at "+command)
	if command == "ADD" {
		Eventually(w.s.InterfaceNames).WithContext(ctx).WithTimeout(5*time.Second).Should(ConsistOf("eth0"), "of a hot-plug that was not answered")
	}
	w.e.Touch(gate)
	w.again(ctx, command)
}

// readOnly takes the right to write away while the delegate of a hot-plug runs.
func (w *hotWorld) readOnly(ctx context.Context, command string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a disk that becomes read-only at the delegate of a hot-plug's " + command)
	flying, gate := w.held(ctx, command)
	w.remount(unix.MS_RDONLY)
	w.e.Touch(gate)
	a := expect.AwaitAnswer(flying)
	w.expectSound(ctx, fmt.Sprintf("after %s on a disk that became read-only, which was answered %s", command, a))
	if !a.OK() && command == "ADD" {
		Expect(w.s.InterfaceNames()).To(ConsistOf("eth0"), "of a hot-plug that failed")
	}
	w.remount(0)
	w.expectSound(ctx, "when the disk can be written again")
	if !a.OK() {
		w.again(ctx, command)
	} else {
		w.settle(ctx)
	}
	ginkgo.By("a disk that is read-only before " + command)
	w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request("ADD", "", "")))
	w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request("DEL", "", "")))
	if command == "DEL" {
		w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request("ADD", "", "")))
	}
	w.remount(unix.MS_RDONLY)
	a = w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request(command, "", ""))
	w.expectSound(ctx, "after "+command+" on a read-only disk")
	w.remount(0)
	w.expectSound(ctx, "when the disk can be written again")
	if !a.OK() {
		w.again(ctx, command)
	} else {
		w.settle(ctx)
	}
}

func (w *hotWorld) remount(flags uintptr) {
	ginkgo.GinkgoHelper()
	Expect(unix.Mount("", w.e.CacheDir, "", unix.MS_REMOUNT|flags, "")).To(Succeed())
}

// expectSound asserts that the sandbox's CHECK succeeds.
func (w *hotWorld) expectSound(ctx context.Context, when string) {
	ginkgo.GinkgoHelper()
	a := w.e.Check(ctx, w.s)
	Expect(a.OK()).To(BeTrue(), "CHECK of the sandbox %s: %s", when, a)
}

// again repeats a request that was not answered with success, as its client
// does, and asserts that it has done its work.
func (w *hotWorld) again(ctx context.Context, command string) {
	ginkgo.GinkgoHelper()
	a := w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request(command, "", ""))
	Expect(a.OK()).To(BeTrue(), "the same %s once more: %s", command, a)
	if command == "ADD" {
		Expect(w.s.InterfaceNames()).To(ConsistOf("eth0", "hot0"), "after the second attempt")
	}
	w.settle(ctx)
}

// settle plugs another network, unplugs both, and asserts that nothing is left.
func (w *hotWorld) settle(ctx context.Context) {
	ginkgo.GinkgoHelper()
	other := expect.HotplugRequest(w.e, w.s, "ADD", w.e.FakeList("other", expect.RealInterface()))
	other.Env["CNI_IFNAME"] = "hot1"
	w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, other))
	w.expectSound(ctx, "with another hot-plug")
	other.Env["CNI_COMMAND"] = "DEL"
	w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, other))
	w.e.MustOK(w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request("DEL", "", "")))
	Expect(w.s.InterfaceNames()).To(ConsistOf("eth0"), "when all is unplugged")
	w.expectSound(ctx, "when all is unplugged")
}

// killedAtRandom plugs and unplugs, and kills the daemon meanwhile, over and
// over.
func (w *hotWorld) killedAtRandom(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("seed " + node.Itoa(hotKillSeed))
	random := rand.New(rand.NewPCG(hotKillSeed, 0))
	answered := map[bool]int{}
	for i := range hotKills {
		command := []string{"ADD", "DEL"}[i%2]
		flying := w.begin(ctx, w.request(command, "", ""))
		select {
		case <-time.After(time.Duration(random.Int64N(int64(hotKillWithin)))):
		case <-ctx.Done():
		}
		w.d.Kill()
		var o thick.Outcome
		Eventually(flying).WithContext(ctx).Should(Receive(&o), "an answer to the request")
		w.d = w.e.Start(ctx)
		w.expectSound(ctx, fmt.Sprintf("after kill %d, during %s", i, command))
		known := o.Err == nil && o.Answer.OK()
		answered[known]++
		if !known {
			a := w.e.Post(ctx, api.MultusDelegateAPIEndpoint, w.request(command, "", ""))
			Expect(a.OK()).To(BeTrue(), "the same %s once more, after kill %d: %s", command, i, a)
		}
		want := []string{"eth0", "hot0"}
		if command == "DEL" {
			want = want[:1]
		}
		Expect(w.s.InterfaceNames()).To(ConsistOf(want), "after kill %d, during %s", i, command)
		w.expectSound(ctx, fmt.Sprintf("after kill %d and a second %s", i, command))
	}
	w.e.Notef("%d kills with seed %d: %d of the requests had been answered", hotKills, hotKillSeed, answered[true])
}
