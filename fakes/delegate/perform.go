// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/fakes/script"
)

// parseSteps is strict: a case that misspells a step must not pass by it.
// Numbers stay as they are written.
func parseSteps(raw json.RawMessage) (*script.Steps, error) {
	var s script.Steps
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(&s); err != nil {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, "fake: "+err.Error(), "")
	}
	if s.Calls == "" {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, "fake.calls is missing: the directory for the record of this call", "")
	}
	return &s, nil
}

// stepOf returns the step of a command; known is false for a command that there
// is not.
func stepOf(s *script.Steps, command string) (step *script.FakeStep, known bool) {
	step, known = map[string]*script.FakeStep{"ADD": s.ADD, "DEL": s.DEL, "CHECK": s.CHECK, "GC": s.GC, "STATUS": s.STATUS}[command]
	if step == nil {
		step = &script.FakeStep{}
	}
	return step, known
}

// perform plays one step.
func perform(command string, s *script.FakeStep, conf *configuration, rec *record) error {
	if s.Stderr != "" {
		fmt.Fprintln(os.Stderr, s.Stderr)
	}
	if err := noise(os.Stderr, s.StderrBytes); err != nil {
		return err
	}
	if s.Delay != "" {
		d, err := time.ParseDuration(s.Delay)
		if err != nil {
			return err
		}
		time.Sleep(d) // as the case's script has it
	}
	if s.WaitFor != "" {
		awaitFile(s.WaitFor)
	}
	if s.Times == 0 || claim(rec.dir, conf, s.Times) {
		if done, err := misbehave(s, rec); done {
			return err
		}
	}
	return succeed(command, s, conf)
}

// misbehave does what the step scripts instead of a success, if anything.
func misbehave(s *script.FakeStep, rec *record) (done bool, err error) {
	if s.Leave != "" {
		if err := leave(s.Leave, rec); err != nil {
			return true, err
		}
	}
	if s.Child {
		if err := leaveChild(rec); err != nil {
			return true, err
		}
	}
	if s.Hang {
		forever()
	}
	if s.Signal != "" {
		return true, crash(s.Signal)
	}
	if s.Error != nil {
		return true, s.Error
	}
	if s.Stdout != "" || s.StdoutBytes > 0 || s.Exit != 0 {
		if s.Veth && s.Exit == 0 && os.Getenv("CNI_COMMAND") == "DEL" {
			if err := deleteVeth(); err != nil {
				return true, err
			}
		}
		fmt.Print(s.Stdout)
		if err := noise(os.Stdout, s.StdoutBytes); err != nil {
			return true, err
		}
		rec.end()
		os.Exit(s.Exit)
	}
	return false, nil
}

func noise(w io.Writer, n int64) error {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for n > 0 {
		some := min(n, int64(len(chunk)))
		if _, err := w.Write(chunk[:some]); err != nil {
			return err
		}
		n -= some
	}
	return nil
}

// awaitFile polls: the file's directory need not be there yet, and inotify(7) would
// have to follow each of its parents. It ends with the plugin, which the case kills if
// nothing else does.
func awaitFile(path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func leaveChild(rec *record) error {
	child := exec.Command("/proc/self/exe") //nolint:noctx // it outlives the plugin on purpose
	child.Env = []string{modeVariable + "=" + modeChild}
	// It holds the plugin's own pipes, as a careless plugin's child would.
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	rec.call.ChildPID = child.Process.Pid
	rec.write()
	return nil
}

func crash(name string) error {
	sig := unix.SignalNum(name)
	if sig == 0 {
		return fmt.Errorf("fake: signal %q is unknown", name)
	}
	// A core file would land in the suite's directory.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	return resetAndRaise(sig)
}

// claim takes one of the first n numbers for this command, network, container
// and interface; it is false when they are all taken.
func claim(dir string, conf *configuration, n int) bool {
	key := strings.Join([]string{os.Getenv("CNI_COMMAND"), conf.Name, conf.Type, os.Getenv("CNI_CONTAINERID"), os.Getenv("CNI_IFNAME")}, "\x00")
	sum := sha256.Sum256([]byte(key))
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf(".count-%s-%d", hex.EncodeToString(sum[:8]), i))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_ = f.Close()
			return true
		}
	}
	return false
}
