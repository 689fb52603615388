// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/fakes/delegate"
	"github.com/thicket-cni/thicket/pkg/api"
)

// TestRunningDaemon judges a daemon that the suite has not started.
func TestRunningDaemon(t *testing.T) {
	// A child ends within Run, so it makes nothing that would have to be removed.
	runDir, reports := os.Getenv("THICKET_TEST_RUNNING"), ""
	if !conformance.IsChild() {
		runDir, reports = runDaemon(t), t.TempDir()
		t.Setenv("THICKET_TEST_RUNNING", runDir)
	}
	target, err := conformance.SocketTarget(runDir)
	if err != nil {
		t.Fatal(err)
	}
	c := config(target)
	c.ReportDir = reports
	conformance.Run(t, c)
	data, err := os.ReadFile(filepath.Join(c.ReportDir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report conformance.Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	must := report.Count(conformance.Must)
	if must.Passed < 10 || must.Failed > 0 {
		t.Errorf("passed %d, failed %d", must.Passed, must.Failed)
	}
	if entries, err := os.ReadDir(filepath.Join(filepath.Dir(runDir), "cni", "ledger")); err != nil || len(entries) > 1 {
		t.Errorf("the suite left %v in the ledger, %v", entries, err)
	}
}

// TestNoRunningDaemon names the socket.
func TestNoRunningDaemon(t *testing.T) {
	if _, err := conformance.SocketTarget(t.TempDir()); err == nil {
		t.Error("a directory without a socket is a target")
	}
}

// runDaemon starts the built daemon, without Kubernetes, and returns its run
// directory.
func runDaemon(t *testing.T) string {
	t.Helper()
	// Socket paths are short.
	dir, err := os.MkdirTemp("", "rd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"cluster", "bin", "conf"} {
		if err := os.Mkdir(path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	calls, err := json.Marshal(map[string]string{"calls": dir})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"conf/default.conflist": `{"cniVersion":"1.1.0","name":"default","plugins":[{"type":"fake","fake":` + string(calls) + `}]}`,
		"daemon.json": `{"socketDir":"` + path("run") + `","cniDir":"` + path("cni") + `","binDir":"` + path("bin") + `","confDir":"` + path("conf") +
			`","clusterNetwork":"default","multusConfigFile":"","cluster":{"directory":"` + path("cluster") + `"},"logLevel":"error"}`,
	}
	for name, content := range files {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := delegate.Link(path("bin"), "fake", ""); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(filepath.Join(root, "bin/thicketd"), "--config", path("daemon.json"))
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	})
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for api.CheckAPIReadyNow(path("run")) != nil {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the daemon does not serve")
		}
	}
	return path("run")
}
