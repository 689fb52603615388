// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/fakes/delegate"
	"github.com/thicket-cni/thicket/fakes/script"
)

// ipamName is the type of the suite's IPAM plugin.
const ipamName = "conformance-ipam"

// makeIPAM puts the suite's IPAM plugin beside the others. It hands out addresses
// of the network's subnets until it is scripted otherwise.
func (e *Env) makeIPAM() {
	ginkgo.GinkgoHelper()
	Expect(os.Mkdir(e.leasesDir(), 0o700)).To(Succeed())
	program, err := os.Readlink(filepath.Join(e.BinDir, "fake"))
	Expect(err).NotTo(HaveOccurred())
	Expect(delegate.Link(e.BinDir, ipamName, program)).To(Succeed())
	e.ScriptIPAM(script.Fake{})
}

func (e *Env) leasesDir() string { return filepath.Join(e.Dir, "leases") }

// ScriptIPAM says what the suite's IPAM plugin does from now on at each command. A
// step's misbehaviour comes before its part as an IPAM plugin; the zero Fake
// serves. Every execution is recorded: see Calls, CallsOf and AwaitCalls.
func (e *Env) ScriptIPAM(f script.Fake) {
	ginkgo.GinkgoHelper()
	pool := &script.Pool{Leases: e.leasesDir(), Subnets: e.Subnets, Routes: e.Routes}
	for _, step := range []*script.FakeStep{&f.Add, &f.Del, &f.Check, &f.GC, &f.Status} {
		if step.Result == nil {
			step.Pool = pool
		}
	}
	steps := script.Steps{Calls: e.CallsDir, ADD: &f.Add, DEL: &f.Del, CHECK: &f.Check, GC: &f.GC, STATUS: &f.Status}
	node.ReplaceFile(delegate.ScriptOf(filepath.Join(e.BinDir, ipamName)), node.MustJSON(steps))
}

// UseSubnets gives the network other subnets, one of IPv4 and one of IPv6 for
// example.
func (e *Env) UseSubnets(subnets ...string) {
	ginkgo.GinkgoHelper()
	e.Subnets = subnets
	e.ScriptIPAM(script.Fake{})
}

// OtherSubnet is a subnet that the network does not have.
func (e *Env) OtherSubnet() string { return "10.200." + strconv.Itoa(int(e.ID[0])) + ".0/24" }

// UseRoutes gives the network's results other routes than the default ones, or
// none: a container that is attached twice can have one default route.
func (e *Env) UseRoutes(routes ...string) {
	ginkgo.GinkgoHelper()
	e.Routes = routes
	e.ScriptIPAM(script.Fake{})
}

// Lease is an address that the suite's IPAM plugin has given away.
type Lease struct{ Address, ContainerID, IfName string }

// Leases lists what the suite's IPAM plugin has given away and not got back.
func (e *Env) Leases() []Lease {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(e.leasesDir())
	Expect(err).NotTo(HaveOccurred())
	var all []Lease
	for _, entry := range entries {
		holder, err := os.Readlink(filepath.Join(e.leasesDir(), entry.Name()))
		Expect(err).NotTo(HaveOccurred())
		lines := append(strings.Split(holder, "\n"), "", "")
		all = append(all, Lease{entry.Name(), lines[0], lines[1]})
	}
	return all
}

// LeasesOf lists the leases of an attachment.
func (e *Env) LeasesOf(a *Attachment) []Lease {
	ginkgo.GinkgoHelper()
	return slices.DeleteFunc(e.Leases(), func(l Lease) bool { return l.ContainerID != a.ID || l.IfName != a.IfName })
}

// HideIPAM takes the suite's IPAM plugin away until the function is called.
func (e *Env) HideIPAM() (back func()) {
	ginkgo.GinkgoHelper()
	path := filepath.Join(e.BinDir, ipamName)
	Expect(os.Rename(path, path+".hidden")).To(Succeed())
	there := e.Step("the IPAM plugin is taken away")
	return func() {
		Expect(os.Rename(path+".hidden", path)).To(Succeed())
		there("and is there again")
	}
}
