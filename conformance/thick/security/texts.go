// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var textsCases = []thick.Case{
	{
		ID: "SEC-12", Level: spec.Must, Source: "seen: an event of 600 KB", Body: longErrors,
		Title: "The text of an error is bounded: 1 KiB in a log line and in an event, 64 KiB in an answer, cut visibly; in logs, events and what the daemon says itself it steers no terminal",
	},
}

const (
	// longText is the length of a delegate's msg, and of its details.
	longText = 600 << 10
	// mostInLine and mostInAnswer are the bounds; a line says more than the error.
	mostInLine   = 1 << 10
	restOfLine   = 1 << 10
	mostInAnswer = 64 << 10
)

// talkative is a plugin whose errors at ADD and CHECK are long.
func talkative(e *thick.Env, kind, letter string) string {
	ginkgo.GinkgoHelper()
	name := "talkative-" + kind
	script := fmt.Sprintf(`#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
printf '{"cniVersion":"1.0.0","code":117,"msg":"'
head -c %[1]d /dev/zero | tr '\0' '%[2]s'
printf '","details":"'
head -c %[1]d /dev/zero | tr '\0' '%[2]s'
printf '"}'
exit 1
`, longText, letter)
	Expect(os.WriteFile(filepath.Join(e.BinDir, name), []byte(script), 0o700)).To(Succeed())
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":%q,"plugins":[{"type":%q}]}`, name, name)
}

// longErrors is SEC-12.
func longErrors(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("letters", talkative(e, "letters", "x"))
	e.Definition("escapes", talkative(e, "escapes", `\177`))
	d := e.Start(ctx)
	for _, network := range []string{"letters", "escapes"} {
		ginkgo.By("a delegate's error of " + network)
		s := e.Sandbox(node.Networks(network))
		before := len(d.Log())
		a := e.Add(ctx, s)
		expectShort(a)
		Expect(expect.CNIError(a).Code).To(Equal(uint(117)), "the delegate's code")
		e.MustOK(e.Del(ctx, s))
		expectShortLines(d.Log()[before:], network)
		expectShortEvents(ctx, e, s)
	}
	ginkgo.By("an annotation that is malformed at length")
	s := e.Sandbox(node.Networks(`[{"name":"a","mac":"` + strings.Repeat("m", 100<<10) + `"}]`))
	before := len(d.Log())
	expectShort(e.Add(ctx, s))
	expectShortLines(d.Log()[before:], "an annotation")
	e.MustOK(e.Del(ctx, s))
	ginkgo.By("an annotation that is malformed and would steer a terminal")
	s = e.Sandbox(node.Networks(`[{"name":"a"},` + strings.Repeat("\x1b[2J\u202e", 20)))
	before = len(d.Log())
	err := expect.CNIError(e.Add(ctx, s))
	expectPlain(err.Msg+err.Details, "the error of an annotation")
	expectShortLines(d.Log()[before:], "an annotation")
	expectShortEvents(ctx, e, s)
	e.MustOK(e.Del(ctx, s))
	if e.Supports(thick.FeatureHotplug) {
		ginkgo.By("a hot-plug")
		s := e.Sandbox()
		e.MustOK(e.Add(ctx, s))
		before := len(d.Log())
		expectShort(expect.Hotplug(ctx, e, s, "ADD", "hot0", talkative(e, "letters", "x")))
		expectShortLines(d.Log()[before:], "a hot-plug")
		e.MustOK(e.Del(ctx, s))
	}
}

// expectShort asserts on an answer, and that a reader sees that it was cut.
func expectShort(a *thick.Answer) {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeFalse(), "a request that has to fail succeeded: %s", a)
	Expect(len(a.Body)).To(BeNumerically("<=", mostInAnswer), "bytes of the answer")
	err := expect.CNIError(a)
	Expect(err.Error()).To(MatchRegexp(`…|\.\.\.|(?i)\bcut\b|truncat|more bytes|omitted|too long`), "the error says that it was cut")
}

// expectPlain asserts that a text does not steer the terminal that shows it.
func expectPlain(text, what string) {
	ginkgo.GinkgoHelper()
	steers := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
	}
	if at := strings.IndexFunc(text, steers); at >= 0 {
		ginkgo.Fail(fmt.Sprintf("%s has a character that steers a terminal, as it was written: …%.60q", what, text[max(0, at-20):]))
	}
}

func expectShortLines(log, what string) {
	ginkgo.GinkgoHelper()
	for line := range strings.SplitSeq(log, "\n") {
		Expect(len(line)).To(BeNumerically("<=", 2*mostInLine+restOfLine), "bytes of a log line of %s, which begins %.200q", what, line)
		expectPlain(line, "a log line of "+what)
	}
}

func expectShortEvents(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureKubernetes) {
		return
	}
	// Whether there has to be one is NET-12's.
	failed := func() []string {
		var all []string
		for _, event := range e.Events(s) {
			if event.Type == "Warning" {
				all = append(all, event.Message)
			}
		}
		return all
	}
	Eventually(failed).WithContext(ctx).WithTimeout(5*time.Second).WithPolling(50*time.Millisecond).ShouldNot(BeEmpty(), "requests that failed")
	for _, message := range failed() {
		Expect(len(message)).To(BeNumerically("<=", mostInLine), "bytes of an event's message, which begins %.200q", message)
		expectPlain(message, "an event")
	}
}
