// SPDX-License-Identifier: Apache-2.0

// Package delegating has a thick plugin asked as a runtime: the one that executes
// the delegates of a pod. A network of a case is a definition without a
// configuration of its own, which stands for the node's file of its name. The
// first network of a container takes the default network's place (annotation
// v1.multus-cni.io/default-network), further ones are selected beside it. Requests
// go through the target's shim.
package delegating

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
)

const (
	defaultNetwork = "v1.multus-cni.io/default-network"
	networks       = "k8s.v1.cni.cncf.io/networks"
)

// delegateTimeout is how long a delegate may run, where the target can be told.
const delegateTimeout = 20 * time.Second

// Make returns what makes the driver of a thick plugin.
func Make(s thick.Settings) runtime.MakeDriver {
	return func(ctx context.Context, e *runtime.Env) (runtime.Driver, error) {
		s.FakeDelegate = e.FakeDelegate
		d := &driver{e: e, env: thick.NewEnv(s, filepath.Dir(e.Dir), "RUNTIME"), defined: map[string]bool{}}
		e.AtEnd(d.env.CloseAll)
		d.env.BinDir, d.env.CacheDir, d.env.ConfDir = e.BinDir, e.CacheDir, e.ConfDir
		d.env.PendingDir = filepath.Join(e.CacheDir, "pending")
		// A network of every pod that does not say otherwise: a daemon may not do
		// without one. Its plugin's calls are not the case's.
		d.env.DefaultNetwork(d.env.FakeList("default", script.Fake{}))
		return d, d.Start(ctx, false)
	}
}

// Directories are those that have to be visible for the target's programs.
func Directories(t thick.Target) []string {
	paths := []string{t.ShimPath()}
	if more, ok := t.(interface{ Executables() []string }); ok {
		paths = append(paths, more.Executables()...)
	}
	var dirs []string
	for _, p := range paths {
		dirs = append(dirs, filepath.Dir(p))
	}
	return dirs
}

// driver implements runtime.Driver.
type driver struct {
	e   *runtime.Env
	env *thick.Env

	mu      sync.Mutex
	daemon  *thick.Daemon
	defined map[string]bool
	// asDefault is the file of the default network; empty for the one of every pod.
	asDefault string
}

// Takes implements runtime.Driver: a shim gets what every plugin gets, and GC's
// attachments. Which arguments delegates get is the thick plugin's to choose: they
// are asked to have the same environment by a "should" (CNI spec, section 4), which
// ADD-03 and DEL-04 judge.
func (d *driver) Takes() runtime.Takes {
	return runtime.Takes{ID: true, IfName: true, Netns: true, Valid: true}
}

// Load implements runtime.Driver: it makes and removes definitions.
func (d *driver) Load(context.Context) error {
	ginkgo.GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(d.e.ConfDir, "*.conflist"))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "10-"), ".conflist")
		if name == "default" {
			continue
		}
		there[name] = true
		if !d.defined[name] {
			d.env.Definition(name, "")
			d.defined[name] = true
		}
	}
	for name := range d.defined {
		if !there[name] {
			d.env.DeleteDefinition(name)
			delete(d.defined, name)
		}
	}
	return nil
}

// Add implements runtime.Driver: it makes the container's pod, and executes the
// shim.
func (d *driver) Add(ctx context.Context, a *runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	if a.PodNamespace != d.env.Namespace {
		a.PodNamespace = d.env.Namespace
		annotations := map[string]string{defaultNetwork: d.env.Namespace + "/" + a.Networks[0].Name}
		var further []string
		for _, n := range a.Networks[1:] {
			further = append(further, d.env.Namespace+"/"+n.Name)
		}
		if len(further) > 0 {
			annotations[networks] = strings.Join(further, ",")
		}
		d.env.WritePod(a.Sandbox, annotations)
	}
	return d.shim(ctx, "ADD", a)
}

// Del implements runtime.Driver.
func (d *driver) Del(ctx context.Context, a *runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	return d.shim(ctx, "DEL", a)
}

// Check implements runtime.Driver.
func (d *driver) Check(ctx context.Context, a *runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	return d.shim(ctx, "CHECK", a)
}

// GC implements runtime.Driver: a runtime names the attachments of the shim's own
// network, which are the containers'.
func (d *driver) GC(ctx context.Context, _ *runtime.Network, valid []*runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	list := []map[string]string{}
	for _, a := range valid {
		list = append(list, map[string]string{"containerID": a.ID, "ifname": a.IfName})
	}
	return d.nobody(ctx, "GC", func(config map[string]any) {
		config["cni.dev/valid-attachments"], config["cni.dev/attachments"] = list, list
	})
}

// Status implements runtime.Driver. A thick plugin's STATUS is its default
// network's, so the daemon is started anew with this one as the default network.
func (d *driver) Status(ctx context.Context, n *runtime.Network) runtime.Answer {
	ginkgo.GinkgoHelper()
	if d.asDefault != n.Path() {
		d.asDefault = n.Path()
		d.Kill()
		if err := d.Start(ctx, false); err != nil {
			return runtime.Answer{Command: "STATUS", Said: err.Error()}
		}
	}
	return d.nobody(ctx, "STATUS", func(map[string]any) {})
}

// nobody executes the shim for no container.
func (d *driver) nobody(ctx context.Context, command string, patch func(map[string]any)) runtime.Answer {
	ginkgo.GinkgoHelper()
	s := &node.Sandbox{Node: d.e.Node}
	return d.execute(ctx, command, s, thick.ShimConfig(patch), thick.ShimEnv(func(env map[string]string) {
		for _, name := range []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"} {
			delete(env, name)
		}
	}))
}

// shim executes the shim for a container.
func (d *driver) shim(ctx context.Context, command string, a *runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	return d.execute(ctx, command, a.Sandbox,
		thick.ShimEnv(func(env map[string]string) {
			if a.CNIArgs != "" {
				env["CNI_ARGS"] += ";" + a.CNIArgs
			}
		}),
		thick.ShimConfig(func(config map[string]any) {
			if len(a.Capabilities) > 0 {
				config["runtimeConfig"] = a.Capabilities
			}
		}))
}

// execute executes the shim and waits for its end, or for the context's.
func (d *driver) execute(ctx context.Context, command string, s *node.Sandbox, options ...thick.ShimOption) runtime.Answer {
	ginkgo.GinkgoHelper()
	began := time.Now()
	p := d.env.StartShim(ctx, command, s, options...)
	answer := runtime.Answer{Command: command}
	select {
	case <-p.Done():
	case <-ctx.Done():
		answer.Ended = "ended by the suite: the case's time is over"
		p.Kill()
	}
	run := p.Wait(context.Background())
	answer.OK = run.ExitCode == 0 && answer.Ended == ""
	answer.Said = string(bytes.TrimSpace(append(run.Stdout, run.Stderr...)))
	answer.Took = time.Since(began)
	answer.Memory = d.memory()
	return answer
}

// memory is the most memory that the daemon has had.
func (d *driver) memory() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.daemon == nil {
		return 0
	}
	return runtime.PeakMemory(d.daemon.PID())
}

// Kill implements runtime.Killer.
func (d *driver) Kill() {
	ginkgo.GinkgoHelper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.daemon != nil {
		d.daemon.Kill()
		d.daemon = nil
	}
}

// Start implements runtime.Killer.
func (d *driver) Start(ctx context.Context, rebooted bool) error {
	ginkgo.GinkgoHelper()
	if rebooted {
		if err := os.RemoveAll(d.env.RunDir); err != nil {
			return err
		}
	}
	options := []thick.StartOption{thick.DelegateTimeout(delegateTimeout)}
	if d.asDefault != "" {
		options = append(options, thick.DefaultNetworkIs(d.asDefault))
	}
	daemon := d.env.Start(ctx, options...)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.daemon = daemon
	return nil
}

// Story implements runtime.Teller: the daemons' logs.
func (d *driver) Story() string { return spec.LastLines(d.env.Story(), 60) }
