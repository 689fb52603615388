// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// clocked are plugins that the clock has to kill, by what they do at ADD.
var clocked = []struct {
	name, script, note string
	// forbid has no process traced.
	forbid bool
	body   func(ctx context.Context, e *plugin.Env)
}{
	{name: "nothing-may-be-traced", forbid: true, script: ": > /run/begun; sleep 0.2; : > /run/done;", note: "a plugin cannot be traced here", body: killedHalfway},
	{name: "nothing-changes", script: "sleep 0.05; exit 0;", note: "it changes neither files nor the network itself", body: killedAtMoments},
}

// clockedKills is how many ADDs are to be killed.
const clockedKills = 20

// killedHalfway asserts that the clock finds the time between two changes.
func killedHalfway(ctx context.Context, e *plugin.Env) {
	found := map[string]int{}
	e.KillADD(ctx, clockedKills, func() *plugin.Attachment { return e.Attach() }, func(a *plugin.Attachment, moment string) {
		if strings.HasPrefix(moment, "killed after") {
			found[there("/run/begun")+there("/run/done")]++
		}
		a.Del(ctx)
		for _, path := range []string{"/run/begun", "/run/done"} {
			_ = os.Remove(path)
		}
	})
	Expect(found["/run/begun "]).To(BeNumerically(">", 0), "ADDs that were killed between the two files: %v", found)
}

// killedAtMoments asserts that ADDs are killed at different moments: as many as were
// asked for, or fewer on a machine that is busy.
func killedAtMoments(ctx context.Context, e *plugin.Env) {
	moments := map[string]bool{}
	e.KillADD(ctx, clockedKills, func() *plugin.Attachment { return e.Attach() }, func(_ *plugin.Attachment, moment string) {
		if strings.HasPrefix(moment, "killed after") {
			moments[moment] = true
		}
	})
	Expect(len(moments)).To(And(BeNumerically(">=", 10), BeNumerically("<=", clockedKills)), "how many moments there were at which ADD was killed")
}

// there is a path with a space behind it, "" when there is nothing.
func there(path string) string {
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path + " "
}

// TestKillByClock has ADDs killed that cannot be followed from change to change.
func TestKillByClock(t *testing.T) {
	if os.Geteuid() != 0 && !suite.IsChild() {
		t.Skip("namespaces need root")
	}
	for _, c := range clocked {
		t.Run(c.name, func(t *testing.T) {
			dir := sharedDir(t)
			target := hostileTarget(t, dir, fmt.Sprintf(behaved, c.script), "")
			setup := plugin.Settings{Target: target, NoPreflight: true}
			settings := suite.Settings{Subject: target, Setup: setup, WorkDir: dir}
			setup.Services() // none, and the target has every version
			catalog, err := suite.NewCatalog(plugin.NewProfile("clock", "killed by the clock", plugin.Kind{Roles: []plugin.Role{plugin.RoleInterface}},
				plugin.Case{ID: "CLOCK-01", Level: spec.Must, Title: "The clock kills", Source: "OPS", Once: true, Body: c.body}))
			if err != nil {
				t.Fatal(err)
			}
			if suite.IsChild() {
				if c.forbid {
					forbidTracing(t)
				}
				suite.RunChild(suite.Child{Settings: settings, Catalog: catalog})
			}
			r, err := suite.Judge(t.Context(), suite.Options{Settings: settings, Catalog: catalog,
				Command: func(ctx context.Context) *exec.Cmd {
					cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^TestKillByClock$/^"+c.name+"$", "-test.timeout=0")
					cmd.Env = append(os.Environ(), "THICKET_TEST_DIR="+dir)
					return cmd
				}})
			if err != nil {
				t.Fatal(err)
			}
			if r.Cases[0].State != report.Passed {
				t.Fatalf("%s: %s\n%s", r.Cases[0].State, r.Cases[0].Reason, r.Cases[0].Story())
			}
			if notes := strings.Join(r.Cases[0].Notes, "\n"); !strings.Contains(notes, c.note) {
				t.Errorf("the notes are %q, and have to say %q", notes, c.note)
			}
		})
	}
}

// forbidTracing has ptrace(2) refused to this process and those that it starts, as
// containers' profiles do.
func forbidTracing(t *testing.T) {
	t.Helper()
	const number = 0 // of the system call, in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PTRACE, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, err := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); err != 0 {
		t.Fatalf("seccomp: %v", err)
	}
}
