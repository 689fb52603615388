// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

const (
	// randomEdits is how often annotations are edited, editedPods of how many pods.
	randomEdits = 60
	editedPods  = 10
	// editPause bounds the pause between two edits.
	editPause = 300 * time.Millisecond
	// killEvery is every how many edits the daemon is killed, on average.
	killEvery = 6
	// settled is how long all pods may take in the end: what was killed at its
	// work is tried again.
	settled = 90 * time.Second
	// editsVariable and seedVariable have more edits made, or those of another run.
	editsVariable, seedVariable = "THICKET_EDITS", "THICKET_SEED"
)

// selected is one element of the model of an annotation.
type selected struct {
	network, ifName string
	// asks is written as cni-args, 0 for none.
	asks int
}

func (s selected) String() string {
	text := fmt.Sprintf(`{"name":%q`, s.network)
	if s.ifName != "" {
		text += fmt.Sprintf(`,"interface":%q`, s.ifName)
	}
	if s.asks != 0 {
		text += fmt.Sprintf(`,"cni-args":{"n":%d}`, s.asks)
	}
	return text + "}"
}

// modelled is a pod with what its annotation asks for.
type modelled struct {
	edited
	model []selected
}

// editedAtRandom edits the annotations of some pods at random, and kills the
// daemon meanwhile. In the end interfaces, leases, records and status have to be
// what the annotations say.
func editedAtRandom(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	edits, seed := fromEnvironment(editsVariable, randomEdits), fromEnvironment(seedVariable, rand.IntN(1<<30))
	ginkgo.By(fmt.Sprintf("%d edits with kills of the daemon, %s=%d", edits, seedVariable, seed))
	e.Notef("%d edits of the annotations of %d pods, %s=%d", edits, editedPods, seedVariable, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	e.RealPlugins()
	for n := range 3 {
		name := fmt.Sprintf("real%d", n)
		e.Definition(name, expect.RealBridge(e, name, "br-"+name, fmt.Sprintf("10.%d.0.0/16", 70+n)))
	}
	d := e.Start(ctx, thick.Reconciling())
	var pods []*modelled
	for range editedPods {
		p := &modelled{edited: edited{e, e.Sandbox(node.Networks("real0"))}, model: []selected{{network: "real0"}}}
		e.MustOK(e.Add(ctx, p.s))
		pods = append(pods, p)
	}
	kills := 0
	for range edits {
		p := pods[random.IntN(len(pods))]
		p.change(random)
		p.write(random.IntN(10) == 0)
		select {
		case <-time.After(time.Duration(random.Int64N(int64(editPause)))):
		case <-ctx.Done():
		}
		if random.IntN(killEvery) == 0 {
			d.Kill()
			kills++
			d = e.Start(ctx, thick.Reconciling(), thick.WithoutWaiting())
		}
	}
	e.AwaitServing(ctx, d)
	for _, p := range pods {
		p.write(false)
	}
	Eventually(func() []string {
		var wrong []string
		for _, p := range pods {
			wrong = append(wrong, p.wrong()...)
		}
		return wrong
	}).WithContext(ctx).WithTimeout(settled).WithPolling(500*time.Millisecond).Should(BeEmpty(),
		"after %d edits and %d kills, %s=%d: what is not as the annotations say", edits, kills, seedVariable, seed)
	for _, p := range pods {
		// No CHECK: the bridge's address, which that compares, follows its ports.
		e.MustOK(e.Del(ctx, p.s))
		Expect(append(e.Leftovers(p.s), e.Leases(p.s)...)).To(BeEmpty(), "after the sandbox's DEL")
	}
	e.Notef("after %d kills all was as the annotations said", kills)
}

// fromEnvironment is a number that the environment may set.
func fromEnvironment(variable string, otherwise int) int {
	ginkgo.GinkgoHelper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), strconv.Itoa(otherwise)))
	Expect(err).NotTo(HaveOccurred(), variable)
	return n
}

// change makes one edit of the model.
func (p *modelled) change(random *rand.Rand) {
	switch n := random.IntN(10); {
	case n < 5 && len(p.model) < 6:
		s := selected{network: []string{"real0", "real1", "real2", "blue"}[random.IntN(4)]}
		if name := fmt.Sprintf("x%d", random.IntN(4)); random.IntN(2) == 0 && !slices.ContainsFunc(p.model, func(o selected) bool { return o.ifName == name }) {
			s.ifName = name
		}
		p.model = slices.Insert(p.model, random.IntN(len(p.model)+1), s)
	case n < 8 && len(p.model) > 0:
		at := random.IntN(len(p.model))
		p.model = slices.Delete(p.model, at, at+1)
	case n == 8 && len(p.model) > 0:
		p.model[random.IntN(len(p.model))].asks++
	default:
		random.Shuffle(len(p.model), func(i, j int) { p.model[i], p.model[j] = p.model[j], p.model[i] })
	}
}

// write writes the annotation, or a malformed one for a while.
func (p *modelled) write(malformed bool) {
	ginkgo.GinkgoHelper()
	var all []string
	for _, s := range p.model {
		all = append(all, s.String())
	}
	text := "[" + strings.Join(all, ",") + "]"
	if malformed {
		text = text[:len(text)-1]
	}
	p.edit(text)
}

// wrong says what of the sandbox is not as the model has it.
func (p *modelled) wrong() []string {
	ginkgo.GinkgoHelper()
	var wrong []string
	complain := func(format string, args ...any) {
		wrong = append(wrong, p.s.PodName+": "+fmt.Sprintf(format, args...))
	}
	want := []string{"default"}
	leases := 0
	for _, s := range p.model {
		want = append(want, p.e.Namespace+"/"+s.network)
		if strings.HasPrefix(s.network, "real") {
			leases++
		}
	}
	var shown, interfaces []string
	under := map[string]string{}
	for _, element := range p.e.Status(p.s) {
		name, _ := element["name"].(string)
		ifName, _ := element["interface"].(string)
		shown, interfaces = append(shown, name), append(interfaces, ifName)
		under[ifName] = name
	}
	if !sameElements(want, shown) {
		complain("network-status has %v, the annotation %v", shown, want)
	}
	for _, s := range p.model {
		if s.ifName != "" && under[s.ifName] != p.e.Namespace+"/"+s.network {
			complain("%s is %q, the annotation has it for %s", s.ifName, under[s.ifName], s.network)
		}
	}
	if there := p.s.InterfaceNames(); !sameElements(there, interfaces) {
		complain("the sandbox has %v, network-status %v", there, interfaces)
	}
	if held := p.e.Leases(p.s); len(held) != leases {
		complain("%d leases are held, want %d: %v", len(held), leases, held)
	}
	if records := p.e.RecordsOf(p.s); records != nil && len(records) != len(want) {
		complain("%d attachments are recorded, want %d: %v", len(records), len(want), records)
	}
	return wrong
}

// sameElements reports whether two lists have the same elements.
func sameElements(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
