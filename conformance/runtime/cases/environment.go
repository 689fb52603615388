// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var environmentCases = []runtime.Case{
	{ID: "RT-02", Level: spec.Must, Source: "CNI §3", Body: environmentIsSet,
		Title: "COMMAND, CONTAINERID, NETNS, IFNAME, ARGS and PATH are set on ADD, DEL and CHECK; the name of a container, an interface or a network that the rules forbid is refused before any plugin"},
	{ID: "RT-03", Level: spec.Must, Source: "CNI §2, §3", Body: ownNamespace,
		Title: "Plugins run in the runtime's own network namespace; the container's exists before the first ADD and until DEL is done"},
}

func environmentIsSet(ctx context.Context, e *runtime.Env) {
	takes := e.Driver.Takes()
	n := e.Network()
	a := e.Attach(n)
	if takes.IfName {
		a.IfName = "net7"
	}
	if takes.Args {
		a.CNIArgs = "IgnoreUnknown=1;CASE=RT-02"
	}
	for _, calls := range life(ctx, e, a) {
		for _, c := range calls {
			expectEnvironment(e, a, c)
		}
	}
	refuseNames(ctx, e, a)
	e.Forget(n)
	refuseNetworks(ctx, e)
}

// expectEnvironment asserts on the variables of one execution.
func expectEnvironment(e *runtime.Env, a *runtime.Attachment, c script.Call) {
	ginkgo.GinkgoHelper()
	takes := e.Driver.Takes()
	for name, want := range map[string]struct {
		value  string
		chosen bool
	}{"CNI_CONTAINERID": {a.ID, takes.ID}, "CNI_NETNS": {a.Netns, takes.Netns}, "CNI_IFNAME": {a.IfName, takes.IfName}, "CNI_ARGS": {a.CNIArgs, takes.Args}} {
		value, set := runtime.Variable(c, name)
		switch {
		case !want.chosen && name == "CNI_ARGS": // the runtime may have none
		case !want.chosen:
			Expect(value).NotTo(BeEmpty(), "%s of %s at %s", name, c.Type, c.Command)
		case name == "CNI_ARGS":
			Expect(set).To(BeTrue(), "CNI_ARGS of %s at %s", c.Type, c.Command)
			Expect(strings.Split(value, ";")).To(ContainElements(strings.Split(want.value, ";")), "CNI_ARGS of %s at %s", c.Type, c.Command)
		default:
			Expect(value).To(Equal(want.value), "%s of %s at %s", name, c.Type, c.Command)
		}
	}
	path, _ := runtime.Variable(c, "CNI_PATH")
	Expect(filepath.SplitList(path)).To(ContainElement(e.BinDir), "CNI_PATH of %s at %s", c.Type, c.Command)
}

// refuseNames asks for containers and interfaces whose names the specification
// forbids, as far as the caller chooses them.
func refuseNames(ctx context.Context, e *runtime.Env, like *runtime.Attachment) {
	ginkgo.GinkgoHelper()
	var wrong []*runtime.Attachment
	takes := e.Driver.Takes()
	for _, id := range []string{"../x", "a b", "_x", ""} {
		if a := e.Attach(like.Networks...); takes.ID {
			a.ID = id
			wrong = append(wrong, a)
		}
	}
	for _, name := range []string{"sixteen-letters-", "a/b", ".."} {
		if a := e.Attach(like.Networks...); takes.IfName {
			a.IfName = name
			wrong = append(wrong, a)
		}
	}
	if len(wrong) == 0 {
		e.Notef("names that the rules forbid were not asked for: the runtime chooses the container's id and the interface's name")
	}
	for _, a := range wrong {
		what := fmt.Sprintf("ADD for the container id %q and the interface name %q", a.ID, a.IfName)
		e.ResetCalls()
		e.MustFail(e.Add(ctx, a), what)
		expectNone(e, what)
	}
}

// refuseNetworks asks for networks whose names the specification forbids (section 1): of
// a name a runtime makes the paths of what it keeps. DEL may follow: an ADD that failed
// is followed by it (RT-11).
func refuseNetworks(ctx context.Context, e *runtime.Env) {
	ginkgo.GinkgoHelper()
	for _, name := range []string{"../x", "a/b", "a b", "_x"} {
		n := e.NetworkNamed(name)
		e.ResetCalls()
		what := fmt.Sprintf("ADD of a network that is called %q", name)
		e.MustFail(e.Add(ctx, e.Attach(n)), what)
		Expect(runtime.Types(e.Node.CallsOf("ADD"))).To(BeEmpty(), "plugins that were executed with %s", what)
		e.Forget(n)
	}
}

func ownNamespace(ctx context.Context, e *runtime.Env) {
	a := e.Attach(e.Network())
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	host := e.HostNamespace()
	for _, command := range []string{"ADD", "DEL"} {
		calls := e.CallsOf(command, a)
		Expect(runtime.Types(calls)).To(HaveLen(3), "executions with %s", command)
		for _, c := range calls {
			Expect(c.Host).To(Equal(host), "the network namespace in which %s was executed at %s (the runtime's own is wanted)", c.Type, command)
			Expect(c.Container).NotTo(BeZero(), "the network namespace at CNI_NETNS %q of %s at %s", c.Netns, c.Type, command)
			Expect(c.Container).NotTo(Equal(host), "the network namespace at CNI_NETNS %q of %s at %s is the runtime's own", c.Netns, c.Type, command)
		}
	}
}
