// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
)

// Attachment is one interface of one container, as a runtime asks for it.
type Attachment struct {
	// Sandbox is the container, with its id and network namespace.
	*node.Sandbox
	// IfName is CNI_IFNAME. Args are more CNI_ARGS than the target file's.
	IfName, Args string
	// Config is the network configuration, without a previous result.
	Config map[string]any
	// Base is the previous plugin's result, which ADD gets; nil without one.
	Base map[string]any
	// Result is what the last successful ADD returned, which later commands get as
	// prevResult; nil before.
	Result *Result

	env *Env
	// args are the target file's CNI_ARGS, rendered.
	args string
}

// Attach makes a container with a network namespace, to be attached to the
// target's network. A plugin that works behind another one gets what the target
// file says as its base, and that one's result.
func (e *Env) Attach(variants ...string) *Attachment {
	ginkgo.GinkgoHelper()
	return e.AttachTo(e.NewSandbox(""), "eth0", variants...)
}

// AttachTo is Attach for a container that there is, by another interface.
func (e *Env) AttachTo(s *node.Sandbox, ifName string, variants ...string) *Attachment {
	ginkgo.GinkgoHelper()
	a := &Attachment{Sandbox: s, IfName: ifName, env: e}
	values := e.values()
	values.ContainerID = s.ID
	if e.prepares(prepareDevice) {
		values.Device = e.device()
	}
	if e.prepares(prepareDHCP) {
		e.plugIn(s, ifName)
	}
	if e.Behind {
		a.Base = e.base(s, ifName)
		values.PrevResult = string(node.MustJSON(a.Base))
	}
	config, err := e.Target.Config(values, variants...)
	Expect(err).NotTo(HaveOccurred(), "the network configuration")
	delete(config, "prevResult")
	a.Config = config
	a.args, err = render("plugin.args", e.Target.file.Plugin.Args, values)
	Expect(err).NotTo(HaveOccurred())
	return a
}

// Option changes one execution for an attachment.
type Option func(r *call)

// call is an execution in the making.
type call struct {
	vars   map[string]string
	config map[string]any
	limit  time.Duration
	stdin  []byte
}

// Var sets an environment variable.
func Var(name, value string) Option { return func(c *call) { c.vars[name] = value } }

// NoVar leaves environment variables out.
func NoVar(names ...string) Option {
	return func(c *call) {
		for _, name := range names {
			delete(c.vars, name)
		}
	}
}

// Key sets a key of the network configuration; nil removes it.
func Key(name string, value any) Option {
	return func(c *call) {
		if value == nil {
			delete(c.config, name)
			return
		}
		c.config[name] = value
	}
}

// NoPrevResult leaves the previous result out.
func NoPrevResult() Option { return Key("prevResult", nil) }

// Stdin takes the place of the network configuration.
func Stdin(data string) Option { return func(c *call) { c.stdin = []byte(data) } }

// Within limits the execution's time; 20 s without it.
func Within(limit time.Duration) Option { return func(c *call) { c.limit = limit } }

// Request is what a runtime executes for a command of the attachment: ADD gets
// the base as prevResult, every other command the result of ADD.
func (a *Attachment) Request(command string, options ...Option) Request {
	ginkgo.GinkgoHelper()
	a.env.alive.asked(command, a.ID, a.IfName)
	c := &call{vars: map[string]string{
		"CNI_COMMAND": command, "CNI_CONTAINERID": a.ID, "CNI_NETNS": a.Netns, "CNI_IFNAME": a.IfName, "CNI_PATH": a.env.CNIPath(),
	}, config: maps.Clone(a.Config)}
	if args := strings.Trim(a.args+";"+a.Args, ";"); args != "" {
		c.vars["CNI_ARGS"] = args
	}
	switch {
	case command == "ADD" && a.Base != nil:
		c.config["prevResult"] = a.Base
	case command != "ADD" && a.Result != nil:
		c.config["prevResult"] = json.RawMessage(a.Result.Raw)
	}
	for _, o := range options {
		o(c)
	}
	if c.stdin == nil {
		c.stdin = node.MustJSON(c.config)
	}
	return Request{Vars: c.vars, Stdin: c.stdin, Limit: c.limit}
}

// Do executes a command for the attachment, and keeps the result of an ADD that
// succeeded.
func (a *Attachment) Do(ctx context.Context, command string, options ...Option) Answer {
	ginkgo.GinkgoHelper()
	return a.kept(command, a.env.Execute(ctx, a.Request(command, options...)))
}

func (a *Attachment) kept(command string, answer Answer) Answer {
	if command == "ADD" {
		if r, err := ParseResult(answer.Stdout); err == nil && answer.OK() {
			a.Result = r
		}
	}
	return answer
}

// Add executes ADD.
func (a *Attachment) Add(ctx context.Context, options ...Option) Answer {
	ginkgo.GinkgoHelper()
	return a.Do(ctx, "ADD", options...)
}

// Del executes DEL.
func (a *Attachment) Del(ctx context.Context, options ...Option) Answer {
	ginkgo.GinkgoHelper()
	return a.Do(ctx, "DEL", options...)
}

// Check executes CHECK.
func (a *Attachment) Check(ctx context.Context, options ...Option) Answer {
	ginkgo.GinkgoHelper()
	return a.Do(ctx, "CHECK", options...)
}

// MustAdd executes ADD and fails the case when it does not succeed.
func (a *Attachment) MustAdd(ctx context.Context, options ...Option) *Result {
	ginkgo.GinkgoHelper()
	a.env.MustOK(a.Add(ctx, options...))
	Expect(a.Result).NotTo(BeNil(), "ADD printed no result")
	return a.Result
}

// MustDel executes DEL and fails the case when it does not succeed.
func (a *Attachment) MustDel(ctx context.Context, options ...Option) {
	ginkgo.GinkgoHelper()
	a.env.MustOK(a.Del(ctx, options...))
}

// MustOK fails the case when an execution did not succeed.
func (e *Env) MustOK(a Answer) {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeTrue(), "%s", a.String())
}

// MustFail fails the case when an execution succeeded, or did not end by itself.
func (e *Env) MustFail(a Answer, why string) {
	ginkgo.GinkgoHelper()
	Expect(a.Failed()).To(BeTrue(), "%s: it has to fail, and not to be ended; %s", why, a.String())
}

// Command is a request of a command that is of no container: VERSION, STATUS or
// GC.
func (e *Env) Command(command string, config map[string]any) Request {
	ginkgo.GinkgoHelper()
	return Request{Vars: map[string]string{"CNI_COMMAND": command, "CNI_PATH": e.CNIPath()}, Stdin: node.MustJSON(config)}
}

// GC executes GC with the attachments that are valid.
func (e *Env) GC(ctx context.Context, valid ...*Attachment) Answer {
	ginkgo.GinkgoHelper()
	list := []any{}
	for _, a := range valid {
		list = append(list, map[string]string{"containerID": a.ID, "ifname": a.IfName})
	}
	config := e.Config()
	config["cni.dev/valid-attachments"] = list
	return e.Execute(ctx, e.Command("GC", config))
}

// Status executes STATUS.
func (e *Env) Status(ctx context.Context) Answer {
	ginkgo.GinkgoHelper()
	return e.Execute(ctx, e.Command("STATUS", e.Config()))
}

// CNIPath is CNI_PATH: the suite's own plugins, and those that the target file
// names.
func (e *Env) CNIPath() string {
	return strings.Join(append([]string{e.BinDir}, e.Target.search...), ":")
}

// Inside runs f in the container's network namespace; f may assert.
func (a *Attachment) Inside(f func()) {
	ginkgo.GinkgoHelper()
	a.Sandbox.Do(func() error {
		defer ginkgo.GinkgoRecover() // it runs in another goroutine
		f()
		return nil
	})
}
