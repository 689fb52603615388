// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/fakes/delegate"
	"github.com/thicket-cni/thicket/fakes/script"
)

// plugins are the suite's recording plugins.
var plugins = []string{"p1", "p2", "p3"}

// Network is a network's configuration as a file of Env.ConfDir.
type Network struct {
	// Name is the network's. Plugins are the plugins' objects in their order.
	Name    string
	Plugins []map[string]any
	// Keys are those of the whole list beside name and plugins, cniVersion among
	// them.
	Keys map[string]any

	// file is what its file is called after; empty for Name.
	file string
	env  *Env
}

// Object is the configuration, to be encoded.
func (n *Network) Object() map[string]any {
	object := maps.Clone(n.Keys)
	object["name"] = n.Name
	if len(n.Plugins) > 0 {
		object["plugins"] = n.Plugins
	}
	return object
}

// Path is where the configuration is.
func (n *Network) Path() string {
	return filepath.Join(n.env.ConfDir, "10-"+cmp.Or(n.file, n.Name)+".conflist")
}

// Version is the network's cniVersion.
func (n *Network) Version() string {
	v, _ := n.Keys["cniVersion"].(string)
	return v
}

// NewNetwork makes a network of the recording plugins of those types, of p1, p2
// and p3 when none is named, in the newest version that the runtime knows. The
// file is written by Write.
func (e *Env) NewNetwork(types ...string) *Network {
	all := e.Target.Versions()
	e.networks++
	n := &Network{Name: fmt.Sprintf("net%d-%s", e.networks, node.RandomHex(3)), Keys: map[string]any{"cniVersion": all[len(all)-1]}, env: e}
	if len(types) == 0 {
		types = plugins
	}
	for _, t := range types {
		n.Plugins = append(n.Plugins, map[string]any{"type": t})
	}
	return n
}

// Write writes the network's file and has the runtime know it.
func (e *Env) Write(n *Network) {
	ginkgo.GinkgoHelper()
	node.ReplaceFile(n.Path(), node.MustJSON(n.Object()))
	e.load()
}

// load has the runtime know the networks.
func (e *Env) load() {
	ginkgo.GinkgoHelper()
	Expect(e.Driver.Load(e.ctx)).To(Succeed(), "the networks' configurations")
}

// Network makes a network and writes its file.
func (e *Env) Network(types ...string) *Network {
	ginkgo.GinkgoHelper()
	n := e.NewNetwork(types...)
	e.Write(n)
	return n
}

// NetworkNamed makes a network of the recording plugins that has a name of the case's
// choice, which need not be one that a file can have, and writes its file.
func (e *Env) NetworkNamed(name string) *Network {
	ginkgo.GinkgoHelper()
	n := e.NewNetwork()
	n.file, n.Name = n.Name, name
	e.Write(n)
	return n
}

// Forget removes the network's file.
func (e *Env) Forget(n *Network) {
	ginkgo.GinkgoHelper()
	Expect(os.Remove(n.Path())).To(Succeed())
	e.load()
}

// Folder writes a plugin's object into the network's folder, a file of its own.
func (e *Env) Folder(n *Network, file string, plugin map[string]any) {
	ginkgo.GinkgoHelper()
	dir := filepath.Join(e.ConfDir, n.Name)
	Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	node.ReplaceFile(filepath.Join(dir, file), node.MustJSON(plugin))
	e.load()
}

// Script says what a recording plugin does from now on at each command. An ADD
// that succeeds appends the plugin's name to dns.search of the result. Every
// execution is recorded: see CallsOf.
func (e *Env) Script(plugin string, f script.Fake) {
	ginkgo.GinkgoHelper()
	f.Add.Mark = plugin
	steps := script.Steps{Calls: e.CallsDir, ADD: &f.Add, DEL: &f.Del, CHECK: &f.Check, GC: &f.GC, STATUS: &f.Status}
	node.ReplaceFile(delegate.ScriptOf(filepath.Join(e.BinDir, plugin)), node.MustJSON(steps))
}

// makePlugins puts the recording plugins where the runtime looks for plugins.
func (e *Env) makePlugins() {
	ginkgo.GinkgoHelper()
	program, err := os.Readlink(filepath.Join(e.BinDir, "fake"))
	Expect(err).NotTo(HaveOccurred())
	for _, p := range plugins {
		Expect(delegate.Link(e.BinDir, p, program)).To(Succeed())
		e.Script(p, script.Fake{})
	}
}

// Hide takes a plugin's executable away until the function is called.
func (e *Env) Hide(plugin string) (back func()) {
	ginkgo.GinkgoHelper()
	path := filepath.Join(e.BinDir, plugin)
	Expect(os.Rename(path, path+".hidden")).To(Succeed())
	return func() {
		ginkgo.GinkgoHelper()
		Expect(os.Rename(path+".hidden", path)).To(Succeed())
	}
}
