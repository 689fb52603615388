// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/vm"
	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// parts are those in the directory that THICKET_TEST_VM names. Without it the tests
// are skipped: they take minutes, and need qemu (make vm-test).
func parts(t *testing.T) vm.Parts {
	t.Helper()
	dir := os.Getenv("THICKET_TEST_VM")
	if dir == "" {
		t.Skip("THICKET_TEST_VM names no directory with the parts of a machine: make vm-test")
	}
	return vm.PartsIn(dir)
}

// number is what an environment variable says, or something else.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv(variable), fmt.Sprint(otherwise)), 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// judged runs the suite in a machine and keeps its report.
func judged(t *testing.T, name string, kinds []string, args ...string) {
	t.Helper()
	const report = "/tmp/report"
	args = append([]string{vm.ProgramsAt + "/bin/thicket-conformance", "run", "--slow", "auto", "--parallel", "2", "--report", report}, args...)
	files := []string{report + "/report.json", report + "/report.html", report + "/junit.xml"}
	m, err := vm.Start(t.Context(), vm.Options{Parts: parts(t), Kinds: kinds, Dir: t.TempDir(), Console: os.Stdout, Job: event.Job{Command: args, Files: files}})
	if err != nil {
		t.Fatal(err)
	}
	keep := func(e event.Event) {
		if artifacts := os.Getenv("THICKET_ARTIFACTS"); e.Kind == event.File && artifacts != "" {
			dir := filepath.Join(artifacts, "vm", name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(filepath.Join(dir, path.Base(e.Text)), e.Data, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	ended, err := m.Await(event.Ended, 20*time.Minute, keep)
	if err != nil {
		t.Fatal(err)
	}
	m.CutPower(keep)
	if ended.Status != 0 {
		t.Errorf("thicket-conformance ended with status %d", ended.Status)
	}
}

// What only a limit of cgroup v2 can show, and what a machine does that boots. RES-09
// and RES-15 are asked after each power cut, too.
func TestSuite(t *testing.T) {
	t.Parallel() // a machine has one processor; the power cuts before have two
	judged(t, "thicket", nil, "--target", vm.ProgramsAt+"/conformance/targets/thicket.yaml", "--only", "RES-02,RES-06,SEC-06")
}

// The plugins whose kinds of interfaces a kernel may lack: what of their rows depends on
// the kind. THICKET_TEST_ROWS names others, * all; those take up to an hour a plugin.
func TestPlugins(t *testing.T) {
	t.Parallel()
	const device, chained = "PLUG-03,PLUG-08,PLUG-12,PLUG-14,PLUG-16,PLUG-17", "CHN-01,CHN-07,CHN-09"
	for _, p := range []struct {
		name, rows string
		kinds      []string
	}{
		{"dummy", device, []string{"dummy"}},
		{"ipvlan", device, []string{"ipvlan", "dummy"}},
		{"vlan", device, []string{"8021q", "dummy"}},
		{"vrf", chained, []string{"vrf", "dummy"}},
	} {
		t.Run(p.name, func(t *testing.T) {
			rows := cmp.Or(os.Getenv("THICKET_TEST_ROWS"), p.rows)
			judged(t, p.name, p.kinds, "--target", vm.ProgramsAt+"/conformance/targets/plugins/"+p.name+".yaml", "--only", rows)
		})
	}
}

// cut cuts the power of so many machines at a time.
func cut(t *testing.T, c vm.Cuts, cuts, lanes int, seed uint64) *vm.Outcome {
	t.Helper()
	t.Logf("%d power cuts, seed %d", cuts, seed)
	c.Dir = t.TempDir()
	var err error
	if c.From, err = c.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	lanes = min(lanes, cuts)
	var all vm.Outcome
	var mu sync.Mutex
	var running sync.WaitGroup
	for lane := range lanes {
		c := c
		c.Seed, c.Dir, c.Count = seed+uint64(lane), t.TempDir(), cuts/lanes
		if lane < cuts%lanes {
			c.Count++
		}
		c.Progress = func(text string) { fmt.Printf("vm: machine %d: %s\n", lane+1, text) }
		running.Go(func() {
			o, err := c.Cut(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			all.Add(o)
		})
	}
	running.Wait()
	t.Logf("cuts met %v; answered before %v; on the disks after cuts %v; deadlines were multiplied by %g", all.Cuts, all.Answered, all.Counts, all.Slow)
	return &all
}

// TestPowerCuts: THICKET_TEST_CUTS is how often the power is cut, THICKET_TEST_SEED
// repeats the moments.
func TestPowerCuts(t *testing.T) {
	c := vm.Cuts{Parts: parts(t), Target: vm.ProgramsAt + "/conformance/targets/thicket.yaml"}
	lanes := int(number(t, "THICKET_TEST_LANES", uint64(min(runtime.NumCPU(), 2))))
	all := cut(t, c, int(number(t, "THICKET_TEST_CUTS", 50)), lanes, number(t, "THICKET_TEST_SEED", rand.Uint64N(1<<32-1)+1))
	if len(all.Found) > 0 {
		t.Errorf("%d things that must not be:\n%s", len(all.Found), strings.Join(all.Found, "\n"))
	}
}

// TestPowerCutsCanFail: a daemon that makes nothing durable is found out.
func TestPowerCutsCanFail(t *testing.T) {
	t.Parallel()
	c := vm.Cuts{Parts: parts(t), Target: vm.ProgramsAt + "/conformance/targets/power-nothing-synced.yaml"}
	all := cut(t, c, 6, 1, number(t, "THICKET_TEST_SEED", 1))
	if len(all.Found) == 0 {
		t.Error("nothing was found")
	}
	t.Logf("found, first of %d: %s", len(all.Found), strings.Join(all.Found[:min(1, len(all.Found))], ""))
}
