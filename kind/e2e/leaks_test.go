// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// count is what one node has of what sandboxes leave behind.
type count struct {
	Interfaces, Leases, Records, Pending, Results, Namespaces int
}

// countScript prints the fields of count.
const countScript = `
	shopt -s nullglob
	files() { echo $#; }
	ip -o link show type veth | grep -vc ' eth0@' || true
	files /var/lib/cni/networks/*/[0-9]*
	files /var/lib/cni/multus/ledger/*.json /var/lib/cni/multus/ledger/damaged/*
	files /var/lib/cni/multus/pending/*
	files /var/lib/cni/multus/results/*
	files /run/netns/*
`

func countOn(ctx context.Context, node string) (c count, err error) {
	out, err := the.onNode(ctx, node, countScript)
	if err != nil {
		return c, err
	}
	_, err = fmt.Sscan(out, &c.Interfaces, &c.Leases, &c.Records, &c.Pending, &c.Results, &c.Namespaces)
	return c, err
}

// countAll counts on all workers.
func countAll(ctx context.Context) map[string]count {
	GinkgoHelper()
	all := map[string]count{}
	for _, node := range the.workers {
		c, err := countOn(ctx, node)
		Expect(err).NotTo(HaveOccurred())
		all[node] = c
	}
	return all
}

// expectNoLeaks waits until the workers have what they had before, which a
// kubelet that still takes sandboxes down delays, and prints what is left.
func expectNoLeaks(ctx context.Context, before map[string]count) {
	GinkgoHelper()
	left := func() string {
		var lines []string
		for _, node := range the.workers {
			c, err := countOn(ctx, node)
			if err != nil {
				return err.Error()
			}
			b := before[node]
			lines = append(lines, fmt.Sprintf("%s: %d interfaces, %d leases, %d records, %d pending, %d results, %d namespaces", node,
				c.Interfaces-b.Interfaces, c.Leases-b.Leases, c.Records-b.Records, c.Pending-b.Pending, c.Results-b.Results, c.Namespaces-b.Namespaces))
		}
		return strings.Join(lines, "\n")
	}
	var none []string
	for _, node := range the.workers {
		none = append(none, node+": 0 interfaces, 0 leases, 0 records, 0 pending, 0 results, 0 namespaces")
	}
	Eventually(left).WithContext(ctx).Should(Equal(strings.Join(none, "\n")), "left behind")
	fmt.Printf("leaks after %q:\n%s\n", CurrentSpecReport().LeafNodeText, left())
}
