// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var outputCases = []plugin.Case{
	{ID: "PLUG-05", Level: spec.Must, Source: "CNI §2, aws#1248, cni#571",
		Title: "stdout of an ADD is exactly one JSON document: a result with exit 0 or an error with another; logs go to stderr", Body: oneDocument},
	{ID: "PLUG-06", Level: spec.Should, Source: "CNI §5 †, calico#13295",
		Title: "Errors have cniVersion, msg and the table's code (1; 3 no namespace; 4 naming the variable; 6; 7), never 0; a successful DEL, CHECK, GC, STATUS prints nothing", Body: errorStructures},
}

func oneDocument(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	added := a.Add(ctx)
	e.MustOK(added)
	Expect(plugin.OneDocument(added.Stdout)).To(Succeed(), "%s", added.String())
	Expect(added.Error()).To(BeNil(), "an error with status 0: %s", added.String())
	expectErrorAlone(a.Add(ctx), "ADD of an interface that exists")
	a.MustDel(ctx)
	b := e.Attach()
	expectErrorAlone(b.Add(ctx, plugin.Var("CNI_NETNS", filepath.Join(e.Dir, "missing"))), "ADD without a namespace")
	if e.Target.Has(plugin.FeatureIPAM) {
		e.ScriptIPAM(script.Fake{Add: script.FakeStep{Error: types.NewError(types.ErrInternal, "no address for you", "")}})
		expectErrorAlone(b.Add(ctx), "ADD with an IPAM plugin that fails")
	}
}

// expectErrorAlone asserts that a failed ADD printed its error and nothing else.
// The overview of the specification has errors on stderr: nothing on stdout is
// right by it.
func expectErrorAlone(answer plugin.Answer, what string) {
	ginkgo.GinkgoHelper()
	Expect(answer.Failed()).To(BeTrue(), "%s: %s", what, answer.String())
	if len(bytes.TrimSpace(answer.Stdout)) == 0 {
		return
	}
	Expect(plugin.OneDocument(answer.Stdout)).To(Succeed(), "%s: %s", what, answer.String())
	Expect(answer.Error()).NotTo(BeNil(), "%s: what is printed is not an error: %s", what, answer.String())
}

func errorStructures(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	var wrong []said
	for _, p := range []struct {
		what    string
		code    int
		names   string
		options []plugin.Option
	}{
		{"an unknown version", 1, "", []plugin.Option{plugin.Key("cniVersion", "9.9.9")}},
		{"no namespace at CNI_NETNS", 3, "", []plugin.Option{plugin.Var("CNI_NETNS", filepath.Join(e.Dir, "missing"))}},
		{"no CNI_CONTAINERID", 4, "CNI_CONTAINERID", []plugin.Option{plugin.NoVar("CNI_CONTAINERID")}},
		{"no CNI_IFNAME", 4, "CNI_IFNAME", []plugin.Option{plugin.NoVar("CNI_IFNAME")}},
		{"no CNI_NETNS", 4, "CNI_NETNS", []plugin.Option{plugin.NoVar("CNI_NETNS")}},
		{"CNI_COMMAND=ADDD", 4, "CNI_COMMAND", []plugin.Option{plugin.Var("CNI_COMMAND", "ADDD")}},
		{"a configuration that is no JSON", 6, "", []plugin.Option{plugin.Stdin("{")}},
		{"a network without a name", 7, "", []plugin.Option{plugin.Key("name", "")}},
	} {
		answer := a.Add(ctx, p.options...)
		if problem := errorProblem(&answer, p.code, p.names); problem != "" {
			wrong = append(wrong, said{"ADD with " + p.what + ": " + problem, answer.String()})
		}
	}
	wrong = append(wrong, talkative(ctx, e)...)
	if len(wrong) > 0 {
		text := fmt.Sprintf("%s (and %d more)", wrong[0].problem, len(wrong)-1)
		for _, w := range wrong {
			text += "\n" + w.problem + "; " + w.answer
		}
		ginkgo.Fail(text)
	}
}

// said is what is wrong with an answer.
type said struct{ problem, answer string }

// errorProblem says what is wrong with an error, "" when nothing is. The name of
// a variable is only asked for where it is missing.
func errorProblem(a *plugin.Answer, code int, names string) string {
	err := a.Error()
	switch {
	case !a.Failed():
		return "it does not fail"
	case err == nil:
		return "stdout has no error structure"
	}
	var problems []string
	for problem, is := range map[string]bool{
		"the error has no cniVersion": err.CNIVersion == "",
		"the error has no msg":        err.Msg == "",
		fmt.Sprintf("the error's code is %d and not %d", err.Code, code): err.Code != code,
		"the error does not name " + names:                               names != "" && !bytes.Contains(a.Stdout, []byte(names)),
	} {
		if is {
			problems = append(problems, problem)
		}
	}
	slices.Sort(problems)
	return strings.Join(problems, ", ")
}

// talkative lists the successful commands that print something on stdout.
func talkative(ctx context.Context, e *plugin.Env) []said {
	ginkgo.GinkgoHelper()
	a := e.Attach()
	a.MustAdd(ctx)
	var answers []plugin.Answer
	if e.Target.Has(plugin.FeatureCheck) {
		answers = append(answers, a.Check(ctx))
	}
	if plugin.AtLeast(e.Version, "1.1.0") {
		if e.Target.Has(plugin.FeatureStatus) {
			answers = append(answers, e.Status(ctx))
		}
		if e.Target.Has(plugin.FeatureGC) {
			answers = append(answers, e.GC(ctx, a))
		}
	}
	answers = append(answers, a.Del(ctx))
	var wrong []said
	for _, answer := range answers {
		if answer.OK() && len(bytes.TrimSpace(answer.Stdout)) > 0 {
			wrong = append(wrong, said{answer.Request.Vars["CNI_COMMAND"] + " succeeds and prints something", answer.String()})
		}
	}
	return wrong
}
