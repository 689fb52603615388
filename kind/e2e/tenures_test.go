// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// tenure is the time in which a pod certainly held its addresses: from its
// first look at them until it was told to go. The taking down after that may
// free an address before the interface is gone, so it does not count.
type tenure struct {
	pod, node string
	addresses map[string][]string
	from, to  time.Time
}

// place is where an address may be held by one pod only: the default network
// spans the cluster, and the tests' other networks one node each.
func (t tenure) place(ifname string) string {
	if ifname == "eth0" {
		return "the cluster"
	}
	return t.node
}

// conflicts returns a line for each address that two pods held at the same time.
func conflicts(tenures []tenure) []string {
	held := map[string][]tenure{}
	var found []string
	for _, t := range tenures {
		for ifname, addresses := range t.addresses {
			for _, address := range addresses {
				key := t.place(ifname) + " " + address
				for _, other := range held[key] {
					if t.from.Before(other.to) && other.from.Before(t.to) {
						found = append(found, fmt.Sprintf("%s of %s: %s since %s, %s since %s", address, t.place(ifname),
							other.pod, other.from.Format(time.TimeOnly), t.pod, t.from.Format(time.TimeOnly)))
					}
				}
				held[key] = append(held[key], t)
			}
		}
	}
	return found
}

func TestConflicts(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 11, 26, 14, 0, second, 0, time.UTC) }
	held := func(pod, node, ifname, address string, from, to int) tenure {
		return tenure{pod: pod, node: node, addresses: map[string][]string{ifname: {address}}, from: at(from), to: at(to)}
	}
	for name, test := range map[string]struct {
		first, second tenure
		conflicts     int
	}{
		"one after the other":       {held("a", "n", "net1", "10.96.0.2", 1, 5), held("b", "n", "net1", "10.96.0.2", 5, 9), 0},
		"at the same time":          {held("a", "n", "net1", "10.96.0.2", 1, 5), held("b", "n", "net1", "10.96.0.2", 4, 9), 1},
		"under different names":     {held("a", "n", "net1", "10.96.0.2", 1, 5), held("b", "n", "left", "10.96.0.2", 2, 3), 1},
		"a network of each node":    {held("a", "n", "net1", "10.96.0.2", 1, 5), held("b", "m", "net1", "10.96.0.2", 1, 5), 0},
		"the default network's":     {held("a", "n", "eth0", "10.244.1.2", 1, 5), held("b", "m", "eth0", "10.244.1.2", 1, 5), 1},
		"other addresses meanwhile": {held("a", "n", "net1", "10.96.0.2", 1, 5), held("b", "n", "net1", "10.96.0.3", 1, 5), 0},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(conflicts([]tenure{test.first, test.second})).To(HaveLen(test.conflicts))
		})
	}
}
