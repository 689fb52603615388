// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var concurrentCases = []plugin.Case{
	{ID: "PLUG-25", Level: spec.Must, Source: "CNI §3, containerd#3507, nerdctl#2908", Once: true, Slow: 20 * time.Second, Timeout: 3 * time.Minute,
		Title: "Twenty ADDs, then DELs, of different containers at once succeed with distinct addresses, also the first ones on a fresh host", Body: atOnce},
}

const (
	rounds     = 5
	containers = 20
)

func atOnce(ctx context.Context, e *plugin.Env) {
	var variants []string
	for round := range rounds {
		ginkgo.By(fmt.Sprintf("adding %d at once, round %d", containers, round+1))
		if round >= 2 && e.Target.HasVariant("masquerade") {
			variants = []string{"masquerade"}
		}
		e.FreshNetwork()
		var all []*plugin.Attachment
		for range containers {
			all = append(all, e.Attach(variants...))
		}
		Expect(together(ctx, all, "ADD")).To(BeEmpty(), "ADDs at once that failed")
		seen := map[netip.Addr]string{}
		for _, a := range all {
			Expect(a.Result).NotTo(BeNil(), "the result of an ADD")
			for _, address := range a.Result.Addresses() {
				Expect(seen).NotTo(HaveKey(address), "%s has an address that another container has", a.ID)
				seen[address] = a.ID
			}
		}
		Expect(together(ctx, all, "DEL")).To(BeEmpty(), "DELs at once that failed")
		for _, a := range all {
			Expect(a.InterfaceNames()).To(BeEmpty(), "interfaces after DELs at once")
			Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses after DELs at once")
			a.RemoveNetns()
		}
	}
}

// together executes a command for all attachments at once, and returns what the
// ones that failed said.
func together(ctx context.Context, all []*plugin.Attachment, command string) []string {
	start := make(chan struct{})
	failures := make([]string, len(all))
	var running sync.WaitGroup
	for i, a := range all {
		running.Go(func() {
			defer ginkgo.GinkgoRecover()
			<-start
			if answer := a.Do(ctx, command, plugin.Within(time.Minute)); !answer.OK() {
				failures[i] = answer.String()
			}
		})
	}
	close(start)
	running.Wait()
	var failed []string
	for _, f := range failures {
		if f != "" {
			failed = append(failed, f)
		}
	}
	return failed
}
