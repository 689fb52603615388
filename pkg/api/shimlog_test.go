// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func TestShimLogLevels(t *testing.T) {
	for level, want := range map[string][2]bool{ // is a success, is a failure written?
		"": {true, true}, "debug": {true, true}, "Verbose": {true, true}, "info": {true, true},
		"warning": {false, true}, "error": {false, true}, "panic": {false, false}, "loud": {true, true},
	} {
		path := filepath.Join(t.TempDir(), "new", "shim.log")
		log := openShimLog(&ShimNetConf{LogFile: path, LogLevel: level})
		log.outcome(nil, "sandbox", "fine")
		log.outcome(types.NewError(11, "later", ""), "sandbox", "broken")
		log.close()
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := [2]bool{strings.Contains(string(content), "sandbox=fine"), strings.Contains(string(content), "sandbox=broken code=11")}
		if got != want {
			t.Errorf("level %q wrote\n%s", level, content)
		}
		if unknown := strings.Contains(string(content), "unknown logLevel"); unknown != (level == "loud") {
			t.Errorf("level %q wrote\n%s", level, content)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
}

func TestShimLogAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shim.log")
	for range 2 {
		log := openShimLog(&ShimNetConf{LogFile: path})
		log.outcome(errors.New("x"))
		log.close()
	}
	content, err := os.ReadFile(path)
	if err != nil || strings.Count(string(content), "\n") != 2 {
		t.Errorf("got %q, %v", content, err)
	}
}

func TestOpenLogFileRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"shim.log", dir, fifo, link, "/dev/stdout", "/proc/self/fd/1", filepath.Join(fifo, "x")} {
		if file, err := openLogFile(path); err == nil {
			_ = file.Close()
			t.Errorf("%s was opened", path)
		}
	}
	if file, err := openLogFile(""); file != nil || err != nil {
		t.Errorf("no path: got %v, %v", file, err)
	}
}
