// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// PreflightTask is the name of the task that looks whether a target is set up.
const PreflightTask = "plugin-preflight"

// defaults are the versions of a target that says none and is not asked.
var defaults = judged

// Services are what a run needs beside its cases: the preflight.
func (s *Settings) Services() []suite.Service {
	if s.NoPreflight {
		if len(s.Target.Supported()) == 0 {
			s.Target.facts.Versions = defaults
		}
		return nil
	}
	return []suite.Service{&preflight{target: s.Target}}
}

// Tasks are what a child process of a run can be asked for.
func (s *Settings) Tasks() map[string]suite.Task {
	return map[string]suite.Task{PreflightTask: look}
}

// Preflight looks whether a target is set up: VERSION lists versions, and an ADD
// and a DEL succeed. It returns what the plugin says of itself.
func Preflight(ctx context.Context, dir string, command func(ctx context.Context) *exec.Cmd) (*Facts, error) {
	work := filepath.Join(dir, "preflight")
	if err := os.Mkdir(work, 0o755); err != nil {
		return nil, err
	}
	var found finding
	var said bytes.Buffer
	if err := suite.RunTask(ctx, suite.TaskOptions{Name: PreflightTask, Command: command, WorkDir: work, Progress: &said}, &found); err != nil {
		return nil, fmt.Errorf("the target is not set up, so nothing was judged: the preflight's process did not survive the plugin: %w\n%s",
			err, spec.LastLines(said.String(), 5))
	}
	if found.Problem != "" {
		return nil, fmt.Errorf("the target is not set up, so nothing was judged: %s", found.Problem)
	}
	return &found.Facts, nil
}

// preflight is the Preflight as a service of a run.
type preflight struct {
	target  *Target
	command func(ctx context.Context) *exec.Cmd
}

// UseCommand implements suite.Commander.
func (p *preflight) UseCommand(command func(ctx context.Context) *exec.Cmd) { p.command = command }

// Open implements suite.Service.
func (p *preflight) Open(ctx context.Context, dir string) error {
	if missing := p.target.missingTools(); missing != "" {
		return &suite.MissingError{Err: fmt.Errorf("%s needs %s", p.target.Name(), missing)}
	}
	facts, err := Preflight(ctx, dir, p.command)
	if err != nil {
		return err
	}
	p.target.facts = *facts
	return nil
}

// Environment implements suite.Service.
func (p *preflight) Environment() []string {
	data, err := json.Marshal(p.target.facts)
	if err != nil {
		panic(err) // texts can be encoded
	}
	return []string{envFacts + "=" + string(data)}
}

// Sweep implements suite.Service: what a case leaves goes with its namespaces.
func (p *preflight) Sweep(context.Context, string) error { return nil }

// Close implements suite.Service.
func (p *preflight) Close() error { return nil }

// packages are the packages of Debian that have the tools.
var packages = map[string]string{"nft": "nftables", "iptables": "iptables", "ipset": "ipset", "tc": "iproute2", "ip": "iproute2", "conntrack": "conntrack",
	"dnsmasq": "dnsmasq-base"}

// missingTools names a command that the target needs and that is not installed,
// with the way out.
func (t *Target) missingTools() string {
	for _, tool := range t.file.Host.Needs {
		if _, err := exec.LookPath(tool); err != nil {
			name := packages[tool]
			if name == "" {
				name = tool
			}
			return fmt.Sprintf("the command %s, which is not installed here: apt-get install %s", tool, name)
		}
	}
	return ""
}

// finding is what the preflight's process answers.
type finding struct {
	Facts   Facts  `json:"facts"`
	Problem string `json:"problem,omitempty"`
}

// look is the preflight, in a process of its own.
func look(s suite.Settings) (any, error) {
	setup, ok := s.Setup.(Settings)
	if !ok {
		return nil, errNoTarget
	}
	var f finding
	result := suite.RunSpec(&suite.Case{
		Requirement: spec.Requirement{ID: "PREFLIGHT", Profile: "preflight", Level: spec.Must}, Timeout: 2 * time.Minute,
		Body: func(ctx context.Context, t *suite.T) {
			e := newEnv(setup, t.WorkDir, "1.0.0")
			e.Behind = setup.Target.Role() == RoleChained
			f.Problem = e.ask(ctx, &f.Facts)
			e.teardown()
		},
	}, s)
	if result.State != report.Passed && f.Problem == "" {
		f.Problem = result.Reason
	}
	return f, nil
}

// ask executes VERSION, and ADD and DEL by the newest version by which ADD
// succeeds. The problem is why the target cannot be judged, "" when it can. A
// DEL that fails is none: that is what cases are for.
func (e *Env) ask(ctx context.Context, facts *Facts) (problem string) {
	bare := e.Execute(ctx, Request{})
	facts.About = about(bare.Stderr)
	answer := e.Execute(ctx, Request{Vars: map[string]string{"CNI_COMMAND": "VERSION"}, Stdin: []byte(`{"cniVersion":"1.0.0"}`)})
	var listed struct {
		Supported []string `json:"supportedVersions"`
	}
	err := json.Unmarshal(answer.Stdout, &listed)
	facts.Versions = listed.Supported
	e.Target.facts = *facts
	switch {
	case len(e.Target.file.Versions) > 0:
	case !answer.OK() || err != nil:
		return fmt.Sprintf("%s does not answer VERSION as a CNI plugin does (name its versions in the target file when it is one):\n%s", e.Target.Path(), answer.String())
	case len(listed.Supported) == 0:
		return fmt.Sprintf("%s lists no supportedVersions (name its versions in the target file to have it judged all the same):\n%s", e.Target.Path(), answer.String())
	}
	var said []string
	for _, v := range slices.Backward(e.Target.Versions()) {
		e.Version = v
		a := e.Attach()
		added := a.Add(ctx)
		if added.OK() {
			a.Del(ctx)
			return ""
		}
		said = append(said, "at "+v+": "+added.String()+"\n  stdin: "+shorten(string(added.Request.Stdin)))
		if added.Killed != "" {
			break // it would take as long in every other version
		}
	}
	return "no ADD succeeds\n" + strings.Join(said, "\n")
}

// about is the first line that the plugin prints when nothing is asked of it:
// the reference library has it say its name and version.
func about(stderr []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(stderr)), "\n")
	if len(line) > 100 || strings.HasPrefix(line, "{") {
		return ""
	}
	return line
}
