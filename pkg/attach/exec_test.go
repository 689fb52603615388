// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/admission"
)

// plugin writes a shell script that stands for a delegate.
func plugin(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sick")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

var stdin = []byte(`{"name":"mynet"}`)

func execError(t *testing.T, e *Exec, script string) *types.Error {
	t.Helper()
	_, err := e.ExecPlugin(t.Context(), plugin(t, script), stdin, os.Environ())
	var cni *types.Error
	if !errors.As(err, &cni) {
		t.Fatalf("got %v, want a CNI error", err)
	}
	return cni
}

func TestExecErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		code   uint
		msg    string
	}{
		"its own error": {`echo '{"code":117,"msg":"no","details":"why"}'; exit 1`, 117, "no"},
		"garbage":       {`echo garbage; exit 3`, types.ErrInternal, `plugin "sick" of network "mynet" exit status 3`},
		"crash":         {`kill -SEGV $$`, types.ErrInternal, "segmentation fault"},
		"no end":        {`sleep 1000 & sleep 1000`, types.ErrTryAgainLater, "did not end within"},
		"no end of it":  {`exec cat /dev/zero`, types.ErrInternal, "printed more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := time.Minute
			if name == "no end" {
				limit = time.Second
			}
			got := execError(t, &Exec{TimeLimit: limit, OutputLimit: 1 << 16}, tc.script)
			if got.Code != tc.code || !strings.Contains(got.Msg, tc.msg) {
				t.Errorf("code %d, msg %q", got.Code, got.Msg)
			}
		})
	}
}

// TestExecErrorIsPlain: what a plugin prints in colour does not steer the terminal
// on which somebody reads why it failed (SEC-12).
func TestExecErrorIsPlain(t *testing.T) {
	got := execError(t, &Exec{}, `printf '\033[31mred\033[0m\nmore'; printf '\033[2J' >&2; exit 1`)
	if want := `stdout: \x1b[31mred\x1b[0m` + "\n" + `more; stderr: \x1b[2J`; got.Details != want {
		t.Errorf("details %q, want %q", got.Details, want)
	}
}

func TestExecKillsTheWholeGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	path := plugin(t, `sleep 1000 & echo $! > `+pidFile+`.tmp; mv `+pidFile+`.tmp `+pidFile+`; wait`)
	ended := make(chan error)
	go func() {
		_, err := (&Exec{}).ExecPlugin(ctx, path, stdin, os.Environ())
		ended <- err
	}()
	var child int
	await(t, func() bool {
		data, err := os.ReadFile(pidFile)
		child, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil
	})
	cancel(errors.New("the test said so"))
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "the test said so") {
		t.Errorf("got %v", err)
	}
	await(t, func() bool { return !alive(child) })
}

// alive says whether a process runs; one that is dead and not yet waited for
// by init does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("not within 10 s")
		}
	}
}

func TestExecEnvironment(t *testing.T) {
	out, err := (&Exec{}).ExecPlugin(t.Context(), plugin(t, "env"), stdin,
		[]string{"CNI_COMMAND=DEL", "CNI_COMMAND=ADD", "LD_PRELOAD=/evil.so", "PATH=/usr/bin:/bin", "KUBECONFIG=/secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"LD_PRELOAD", "KUBECONFIG"} {
		if strings.Contains(string(out), bad) {
			t.Errorf("%s reached the plugin", bad)
		}
	}
	if !strings.Contains(string(out), "CNI_COMMAND=ADD") || strings.Contains(string(out), "CNI_COMMAND=DEL") {
		t.Errorf("CNI_COMMAND did not: %s", out)
	}
}

func TestExecKeepsOutputOfAPluginThatLeavesAService(t *testing.T) {
	out, err := (&Exec{}).ExecPlugin(t.Context(), plugin(t, `sleep 4 & echo '{}'`), stdin, os.Environ())
	if err != nil || strings.TrimSpace(string(out)) != "{}" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestExecPassesLargeConfigurations is about what does not fit into a pipe.
func TestExecPassesLargeConfigurations(t *testing.T) {
	large := []byte(`{"name":"` + strings.Repeat("x", 1<<20) + `"}`)
	out, err := (&Exec{}).ExecPlugin(t.Context(), plugin(t, `wc -c`), large, os.Environ())
	if err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(len(large)) {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := (&Exec{}).ExecPlugin(t.Context(), plugin(t, `exit 0`), large, os.Environ()); err != nil {
		t.Errorf("a plugin that does not read: %v", err)
	}
}

// TestExecLeavesNothingOpen counts the daemon's descriptors.
func TestExecLeavesNothingOpen(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	scripts := []string{`echo '{}'`, `exit 1`, `exec cat /dev/zero`, `sleep 1000`, `cat >&2 /dev/zero | head -c 1000000`}
	run := func(script string) {
		e := &Exec{TimeLimit: 200 * time.Millisecond, OutputLimit: 1 << 16}
		_, _ = e.ExecPlugin(t.Context(), plugin(t, script), stdin, os.Environ())
	}
	run(scripts[0])
	before := open()
	for _, script := range scripts {
		run(script)
	}
	if _, err := (&Exec{}).ExecPlugin(t.Context(), filepath.Join(t.TempDir(), "none"), stdin, os.Environ()); err == nil {
		t.Error("a plugin that does not exist has run")
	}
	await(t, func() bool { return open() <= before })
}

func TestFindInPathRefusesPaths(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../sick", "a/b"} {
		if _, err := (&Exec{}).FindInPath(name, []string{t.TempDir()}); err == nil {
			t.Errorf("%q was found", name)
		}
	}
}

func TestLockIsFirstComeFirstServed(t *testing.T) {
	var l locks
	first, err := l.acquire(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.acquire(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	other()
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	if _, err := l.acquire(gone, "c"); err == nil {
		t.Error("a lock that is held was given twice")
	}
	got := make(chan int, 2)
	for i := range 2 {
		go func() {
			release, err := l.acquire(context.Background(), "c")
			if err == nil {
				got <- i
				release()
			}
		}()
		await(t, func() bool { return l.usersOf("c") == i+2 })
	}
	first()
	if a, b := <-got, <-got; a > b {
		t.Errorf("served in order %d, %d", a, b)
	}
	await(t, func() bool { return !l.busy("c") && !l.busy("another") })
}

// TestPeakMemoryIsThePluginsOwn has a large parent: the kernel's ru_maxrss
// would count it.
func TestPeakMemoryIsThePluginsOwn(t *testing.T) {
	ballast := make([]byte, 64<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	r := &pluginRun{path: "/bin/sh", stdin: []byte("sleep 0.5; echo '{}'"), limit: DefaultTimeLimit}
	r.stdout = boundedBuffer{limit: 100}
	e := &Exec{Gate: admission.New(admission.Options{Budget: func() int64 { return 1 << 30 }})}
	if err := e.start(t.Context(), r, []string{"PATH=/usr/bin:/bin"}); err != nil {
		t.Fatal(err)
	}
	if r.peak <= 0 || r.peak > int64(len(ballast))/4 {
		t.Errorf("a shell has used %d bytes beside %d of this process", r.peak, len(ballast))
	}
}
