// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/target"
)

// commandLimit is how long a command may take; saidLimit is how much of what it
// prints is kept.
const (
	commandLimit = 90 * time.Second
	saidLimit    = 64 << 10
)

// adapterCommands are the command lines of an adapter, a program with these
// arguments. All are always given, also empty ones; the exit status says whether
// the command succeeded, and what went wrong is printed.
func adapterCommands(path string) CommandKeys {
	where := []string{"--conf-dir", "{{.ConfDir}}", "--bin-dir", "{{.BinDir}}", "--cache-dir", "{{.CacheDir}}", "--network", "{{.Network}}"}
	container := slices.Concat(where, []string{"--id", "{{.ID}}", "--netns", "{{.Netns}}", "--ifname", "{{.IfName}}", "--args", "{{.Args}}", "--capabilities", "{{.Capabilities}}"})
	line := func(verb string, arguments ...string) []string { return append([]string{path, verb}, arguments...) }
	return CommandKeys{Add: line("add", container...), Del: line("del", container...), Check: line("check", container...),
		GC: line("gc", append(where, "--valid", "{{.Valid}}")...), Status: line("status", where...)}
}

// commands asks a runtime by a process for each command.
type commands struct {
	e *Env

	mu      sync.Mutex
	running []*running
}

// running is a command that runs.
type running struct {
	cmd   *exec.Cmd
	ended string
}

// Takes implements Driver: the caller chooses what the command lines refer to.
func (d *commands) Takes() Takes {
	k := &d.e.Target.file.Runtime.Commands
	refers := func(name string, lines ...[]string) bool {
		texts := slices.Concat(lines...)
		for _, text := range d.e.Target.file.Runtime.Env {
			texts = append(texts, text)
		}
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, name) })
	}
	return Takes{ID: refers(".ID", k.Add), IfName: refers(".IfName", k.Add), Netns: refers(".Netns", k.Add), Args: refers(".Args", k.Add), Valid: refers(".Valid", k.GC)}
}

// Load implements Driver: each command reads the files.
func (d *commands) Load(context.Context) error { return nil }

// Add implements Driver.
func (d *commands) Add(ctx context.Context, a *Attachment) Answer {
	return d.execute(ctx, "ADD", d.valuesOf(a))
}

// Del implements Driver.
func (d *commands) Del(ctx context.Context, a *Attachment) Answer {
	return d.execute(ctx, "DEL", d.valuesOf(a))
}

// Check implements Driver.
func (d *commands) Check(ctx context.Context, a *Attachment) Answer {
	return d.execute(ctx, "CHECK", d.valuesOf(a))
}

// GC implements Driver.
func (d *commands) GC(ctx context.Context, n *Network, valid []*Attachment) Answer {
	ginkgo.GinkgoHelper()
	v := d.e.values()
	v.Network = n.Name
	list := []any{}
	for _, a := range valid {
		list = append(list, map[string]string{"containerID": a.ID, "ifname": a.IfName})
	}
	v.Valid = string(node.MustJSON(list))
	return d.execute(ctx, "GC", v)
}

// Status implements Driver.
func (d *commands) Status(ctx context.Context, n *Network) Answer {
	v := d.e.values()
	v.Network = n.Name
	return d.execute(ctx, "STATUS", v)
}

// Kill implements Killer: it ends the commands that run.
func (d *commands) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.running {
		r.ended = "killed by the case"
		_ = r.cmd.Process.Kill()
	}
}

// Start implements Killer: there is nothing to start.
func (d *commands) Start(context.Context, bool) error { return nil }

func (d *commands) valuesOf(a *Attachment) Values {
	ginkgo.GinkgoHelper()
	v := d.e.values()
	v.ID, v.Netns, v.IfName, v.Args = a.ID, a.Netns, a.IfName, a.CNIArgs
	var names []string
	for _, n := range a.Networks {
		names = append(names, n.Name)
	}
	v.Network = strings.Join(names, ",")
	capabilities := a.Capabilities
	if capabilities == nil {
		capabilities = map[string]any{}
	}
	v.Capabilities = string(node.MustJSON(capabilities))
	return v
}

// execute executes a command in a process group of its own and waits for its
// end. What it prints goes to a file: a plugin that it left behind holds no pipe
// open.
func (d *commands) execute(ctx context.Context, command string, v Values) Answer {
	ginkgo.GinkgoHelper()
	line, err := target.RenderAll("runtime.commands", d.e.Target.file.Runtime.Commands.of(command), v, nil)
	Expect(err).NotTo(HaveOccurred())
	Expect(line).NotTo(BeEmpty(), "the target file has no command for %s", command)
	out, err := os.CreateTemp(filepath.Join(d.e.Dir, "said"), command+"-")
	Expect(err).NotTo(HaveOccurred())
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	r := &running{cmd: exec.Command(line[0], line[1:]...)} //nolint:noctx // the case ends it
	r.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, text := range d.e.Target.file.Runtime.Env {
		value, err := target.Render("runtime.env."+name, text, v, nil)
		Expect(err).NotTo(HaveOccurred())
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.Stdout, r.cmd.Stderr = out, out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	Expect(d.start(r)).To(Succeed(), "execute %s", line[0])
	a := Answer{Command: command}
	a.Memory, a.Ended = d.await(ctx, r)
	a.Took = time.Since(began)
	a.OK = r.cmd.ProcessState.Success() && a.Ended == ""
	a.Said = read(out.Name())
	return a
}

func (d *commands) start(r *running) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = append(d.running, r)
	return node.Harmless(r.cmd.Start)
}

// await waits for the end of a command and returns the most memory that it had,
// and why it was ended. It ends one that takes too long.
func (d *commands) await(ctx context.Context, r *running) (memory int64, ended string) {
	done := make(chan struct{})
	go func() {
		_ = r.cmd.Wait() // its state says it
		close(done)
	}()
	limit := time.After(suite.Patience(commandLimit))
	sample := time.NewTicker(node.PollInterval)
	defer sample.Stop()
	cancelled := ctx.Done()
	for {
		select {
		case <-done:
			d.mu.Lock()
			defer d.mu.Unlock()
			d.running = slices.DeleteFunc(d.running, func(o *running) bool { return o == r })
			return memory, r.ended
		case <-sample.C:
			memory = max(memory, PeakMemory(r.cmd.Process.Pid))
		case <-limit:
			d.end(r, fmt.Sprintf("ended by the suite: it may take %s", suite.Patience(commandLimit)))
		case <-cancelled:
			cancelled = nil
			d.end(r, "ended by the suite: the case's time is over")
		}
	}
}

func (d *commands) end(r *running, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.ended = why
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
}

// read returns the beginning of a file.
func read(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	text := make([]byte, saidLimit)
	n, _ := f.Read(text)
	return string(text[:n])
}
