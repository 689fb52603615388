// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/fakes/script"
)

type outcome struct {
	stdout, stderr string
	state          *os.ProcessState
	calls          []script.Call
}

// execute runs the plugin on a configuration with these members of "fake".
func execute(t *testing.T, dir, command, version, steps, more string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), linked(t))
	cmd.Env = []string{"CNI_COMMAND=" + command, "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0", "CNI_NETNS=/none", "CNI_PATH=/bin"}
	conf := fmt.Sprintf(`{"cniVersion":%q,"name":"net","type":"fake"%s,"fake":{"calls":%q%s}}`, version, more, dir, steps)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(conf), &stdout, &stderr
	_ = cmd.Run() // how it ended is what is judged
	o := outcome{stdout: stdout.String(), stderr: stderr.String(), state: cmd.ProcessState}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var c script.Call
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		if string(c.Stdin) != conf {
			t.Errorf("recorded stdin %q, want %q", c.Stdin, conf)
		}
		o.calls = append(o.calls, c)
	}
	return o
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name, command, steps, more string
		ends, prints               string // the process's end, part of stdout
		unfinished                 bool   // the record has no end
	}{
		{name: "success", command: "ADD", ends: "exit status 0", prints: `"name": "eth0"`},
		{name: "silent", command: "DEL", ends: "exit status 0"},
		{name: "error", command: "ADD", steps: `,"ADD":{"error":{"code":101,"msg":"m","details":"d"}}`, ends: "exit status 1", prints: `"code": 101`},
		{name: "garbage", command: "ADD", steps: `,"ADD":{"stdout":"garbage","exit":3}`, ends: "exit status 3", prints: "garbage"},
		{name: "SIGSEGV", command: "ADD", steps: `,"ADD":{"signal":"SIGSEGV"}`, ends: "signal: segmentation fault", unfinished: true},
		{name: "SIGKILL", command: "CHECK", steps: `,"CHECK":{"signal":"SIGKILL"}`, ends: "signal: killed", unfinished: true},
		{name: "other command", command: "DEL", steps: `,"ADD":{"exit":3}`, ends: "exit status 0"},
		{name: "chained", command: "ADD", more: `,"prevResult":{"ips":[{"address":"192.0.2.7/24"}]}`, ends: "exit status 0", prints: "192.0.2.7/24"},
		{name: "addresses", command: "ADD", steps: `,"ADD":{"addresses":["192.0.2.8/24","2001:db8::8/64"]}`, ends: "exit status 0", prints: "2001:db8::8/64"},
		{name: "unknown command", command: "EAT", ends: "exit status 1", prints: `"code": 4`},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := execute(t, t.TempDir(), c.command, "1.0.0", c.steps, c.more)
			if o.state.String() != c.ends || !strings.Contains(o.stdout, c.prints) {
				t.Errorf("%s, stdout %q; want %s and %q", o.state, o.stdout, c.ends, c.prints)
			}
			if c.prints == "" && o.stdout != "" {
				t.Errorf("stdout %q, want none", o.stdout)
			}
			if len(o.calls) != 1 || o.calls[0].Command != c.command || o.calls[0].End.IsZero() != c.unfinished {
				t.Errorf("records %+v; want one of %s, without end: %t", o.calls, c.command, c.unfinished)
			}
		})
	}
}

func TestMisspelledStepIsNoticed(t *testing.T) {
	o := execute(t, t.TempDir(), "ADD", "1.0.0", `,"ADD":{"dealy":"1s"}`, "")
	if o.state.ExitCode() != 1 || !strings.Contains(o.stdout, `"code": 7`) || !strings.Contains(o.stdout, "dealy") {
		t.Errorf("%s %s; want code 7 that names dealy", o.state, o.stdout)
	}
}

func TestResultInEveryVersion(t *testing.T) {
	for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		o := execute(t, t.TempDir(), "ADD", version, "", "")
		var result struct {
			CNIVersion string `json:"cniVersion"`
		}
		if err := json.Unmarshal([]byte(o.stdout), &result); err != nil || result.CNIVersion != version {
			t.Errorf("version %s: %s %v", version, o.stdout, err)
		}
	}
}

func TestTimesLimitsTheFailures(t *testing.T) {
	dir, failures := t.TempDir(), 0
	for range 5 {
		if !execute(t, dir, "DEL", "1.0.0", `,"DEL":{"times":2,"error":{"code":11,"msg":"m"}}`, "").state.Success() {
			failures++
		}
	}
	if failures != 2 {
		t.Errorf("%d calls failed, want 2", failures)
	}
}

func TestNoiseAndDelay(t *testing.T) {
	start := time.Now()
	o := execute(t, t.TempDir(), "ADD", "1.0.0", `,"ADD":{"delay":"100ms","stderrBytes":100000,"stdoutBytes":3000000}`, "")
	if len(o.stdout) != 3_000_000 || len(o.stderr) != 100_000 || time.Since(start) < 100*time.Millisecond {
		t.Errorf("%d bytes on stdout, %d on stderr in %s", len(o.stdout), len(o.stderr), time.Since(start))
	}
}
