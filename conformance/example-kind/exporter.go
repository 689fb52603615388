// SPDX-License-Identifier: Apache-2.0

// Package exporter shows how somebody else judges something of their own with
// the suite's engine: a kind of target that the suite does not know, profiles
// with cases of their own, and both beside the suite's profiles.
//
// Nothing here is private to the suite: each case runs in a process of its own
// with its own namespaces, and reports, selection and skips are the suite's.
package exporter

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Exporter is a kind of target: a command that prints metrics in Prometheus'
// text format.
type Exporter struct {
	Command []string
	// Labelled means that every sample has labels.
	Labelled bool
}

// FeatureLabels means that every sample has labels.
const FeatureLabels conformance.Feature = "labels"

// Name implements conformance.Subject.
func (e Exporter) Name() string { return e.Command[0] }

// Version implements conformance.Subject.
func (e Exporter) Version(context.Context) (string, error) { return "", nil }

// Features implements conformance.Subject.
func (e Exporter) Features() []conformance.Feature {
	if e.Labelled {
		return []conformance.Feature{FeatureLabels}
	}
	return nil
}

// Profile is a profile for targets of that kind. Its features are its own.
func Profile() conformance.Profile {
	return conformance.Profile{
		Name: "exporter", Title: "Exporters of metrics",
		Features: map[conformance.Feature]string{FeatureLabels: "labels on every sample"},
		Judges:   func(s conformance.Subject) bool { _, ok := s.(Exporter); return ok },
		Cases: []conformance.Case{
			{Requirement: spec.Requirement{ID: "EXP-01", Level: conformance.Must, Source: "Prometheus exposition formats",
				Title: "Every metric has a type before its first sample"}, Body: typed},
			{Requirement: spec.Requirement{ID: "EXP-02", Level: conformance.Should, Source: "Prometheus exposition formats",
				Title: "Every sample has labels"}, Needs: []conformance.Feature{FeatureLabels}, Body: labelled},
		},
	}
}

// samples executes the target and returns the lines that it prints.
func samples(ctx context.Context, t *suite.T) []string {
	ginkgo.GinkgoHelper()
	command := t.Subject.(Exporter).Command
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	t.Tell(suite.Story{Output: string(out)}) // shown when the case fails
	Expect(err).NotTo(HaveOccurred(), "%q", command)
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		lines = append(lines, s.Text())
	}
	Expect(lines).NotTo(BeEmpty(), "%q prints no metric", command)
	t.Note(fmt.Sprintf("%d lines", len(lines)))
	return lines
}

// name is the name of the metric that a sample is of.
func name(sample string) string {
	return sample[:strings.IndexAny(sample+" ", "{ ")]
}

func typed(ctx context.Context, t *suite.T) {
	types := map[string]bool{}
	for _, line := range samples(ctx, t) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "# TYPE ") {
			types[fields[2]] = true
		} else if !strings.HasPrefix(line, "#") {
			Expect(types).To(HaveKey(name(line)), "the type of %q", line)
		}
	}
}

func labelled(ctx context.Context, t *suite.T) {
	for _, line := range samples(ctx, t) {
		if !strings.HasPrefix(line, "#") {
			Expect(line).To(ContainSubstring("{"))
		}
	}
}

// quick is what this site asks of thick plugins, beyond the suite's contract.
const quick = 5 * time.Second

// SiteProfile has a case of one's own for thick plugins: thick.Env gives it a
// node with the target's daemon, sandboxes and networks, and finds what is left.
func SiteProfile() conformance.Profile {
	return thick.NewProfile("site", "What this site asks of thick plugins", thick.Case{
		ID: "SITE-01", Level: conformance.Must, Source: "our operations handbook",
		Title: "An ADD of one network takes no longer than five seconds", Body: addIsQuick,
	})
}

func addIsQuick(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	sandbox := e.Sandbox()
	began := time.Now()
	e.MustOK(e.Add(ctx, sandbox))
	took := time.Since(began)
	e.Notef("the ADD took %s", took.Round(time.Millisecond))
	Expect(took).To(BeNumerically("<", quick))
}
