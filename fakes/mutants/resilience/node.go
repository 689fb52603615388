// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile resilience: what a daemon keeps of each request, and the node's
// CNI configuration.
var nodeMutants = []mutant.Mutant{
	{Name: "leaks-descriptor", Cases: []string{"RES-07"}, Daemon: onEvery(leakEvery, leakDescriptor),
		Fault: "a file descriptor stays open per request"},
	{Name: "leaks-goroutine-per-request", Cases: []string{"RES-07"}, Daemon: func(a *seam.Assembly) {
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			go func() { select {} }()
			next.ServeHTTP(w, r)
		})
	}, Fault: "each request leaves a goroutine that waits for nothing"},
	{Name: "leaks-memory-per-request", Cases: []string{"RES-07"}, Daemon: func(a *seam.Assembly) {
		var mu sync.Mutex
		var all [][]byte
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body := seam.ReadBody(r)
			mu.Lock()
			all = append(all, append(make([]byte, 0, len(body)+2<<10), body...))
			mu.Unlock()
			seam.ReplaceBody(r, body)
			next.ServeHTTP(w, r)
		})
	}, Fault: "every request is remembered for ever"},
	{Name: "leaks-thread", Cases: []string{"RES-07"}, Daemon: onEvery(leakEvery, leakThread),
		Fault: "a goroutine that owns its thread waits for ever"},
	{Name: "leaks-process", Cases: []string{"RES-07"}, Daemon: onEvery(leakEvery, leakProcess),
		Fault: "a process is started and not waited for"},
	{Name: "leaks-namespace", Cases: []string{"RES-07"}, Daemon: onEvery(10*leakEvery, leakNamespace),
		Fault: "a thread stays in the sandbox's network namespace"},
	{Name: "nodeconf-read-once", Cases: []string{"RES-08"}, Daemon: nodeConfReadOnce,
		Fault: "the default network's configuration is read once, at the start"},
	{Name: "nodeconf-written-once", Cases: []string{"RES-08"}, Daemon: nodeConfBy(func(path string, content []byte, first bool) error {
		if !first {
			return nil
		}
		return replaceFile(path, content)
	}), Fault: "00-multus.conf is not written again when the default network changes"},
	{Name: "nodeconf-written-in-place", Cases: []string{"RES-08"}, Daemon: nodeConfBy(func(path string, content []byte, _ bool) error {
		return os.WriteFile(path, content, 0o600)
	}), Fault: "00-multus.conf is written in place"},
	{Name: "nodeconf-loadable-temporary", Cases: []string{"RES-08"}, Daemon: nodeConfBy(func(path string, content []byte, _ bool) error {
		made := filepath.Join(filepath.Dir(path), "00-multus-new.conf")
		if err := os.WriteFile(made, content, 0o600); err != nil {
			return err
		}
		return os.Rename(made, path)
	}), Fault: "00-multus.conf is made under a name that a runtime loads"},
}

// leakEvery is how many requests there are to one leak.
const leakEvery = 20

// onEvery has f called for one request of so many; path is the sandbox's
// namespace.
func onEvery(many int, f func(path string)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var mu sync.Mutex
		requests := 0
		a.OnCommand(func(_ string, req *api.Request) {
			mu.Lock()
			defer mu.Unlock()
			if requests++; requests%many == 0 {
				f(req.Env["CNI_NETNS"])
			}
		})
	}
}

// Raw descriptors: no finalizer closes them.
func leakDescriptor(string) { _, _ = unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0) }

func leakThread(string) {
	go func() {
		runtime.LockOSThread()
		select {}
	}()
}

func leakProcess(string) {
	_, _ = os.StartProcess("/proc/self/exe", []string{mutant.Program, "--version", "--mutant", mutant.Baseline}, &os.ProcAttr{})
}

// leakNamespace leaves one thread behind, so rarely that the number of threads
// does not tell.
func leakNamespace(path string) {
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		if err = unix.Setns(fd, unix.CLONE_NEWNET); unix.Close(fd) != nil || err != nil {
			return
		}
		select {}
	}()
}

// nodeConfReadOnce has the daemon follow a copy that nothing changes.
func nodeConfReadOnce(a *seam.Assembly) {
	a.OnStart(func() error {
		if a.Config.MultusConfigFile == "" {
			return nil
		}
		once, err := os.MkdirTemp(a.Config.CNIDir, ".node-")
		if err != nil {
			return err
		}
		a.Config.MultusAutoconfigDir = once
		return os.CopyFS(once, os.DirFS(a.Config.CNIConfigDir))
	})
	a.OnEnd(func() error { return removeNodeDir(a) })
}

func removeNodeDir(a *seam.Assembly) error {
	if filepath.Dir(a.Config.MultusAutoconfigDir) != filepath.Clean(a.Config.CNIDir) {
		return nil
	}
	return os.RemoveAll(a.Config.MultusAutoconfigDir)
}

// nodeConfFile is what the daemon calls its configuration.
const nodeConfFile = "00-multus.conf"

// nodeConfBy has the daemon write its configuration to a place of its own, from
// which it is carried to the runtime's in another way.
func nodeConfBy(put func(path string, content []byte, first bool) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnStart(func() error {
			if a.Config.MultusConfigFile == "" {
				return nil
			}
			dir, err := os.MkdirTemp(a.Config.CNIDir, ".node-")
			if err != nil {
				return err
			}
			to := a.Config.CNIConfigDir
			a.Config.MultusAutoconfigDir, a.Config.CNIConfigDir = to, dir
			carrying, stop := make(chan struct{}), make(chan struct{})
			go carryNodeConf(dir, to, put, stop, carrying)
			a.OnEnd(func() error {
				close(stop)
				<-carrying
				return os.RemoveAll(dir)
			})
			return nil
		})
	}
}

// carryNodeConf puts each content of the file into its place.
func carryNodeConf(from, to string, put func(path string, content []byte, first bool) error, stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	var last []byte
	for {
		content, err := os.ReadFile(filepath.Join(from, nodeConfFile))
		if err == nil && !bytes.Equal(content, last) && put(filepath.Join(to, nodeConfFile), content, last == nil) == nil {
			last = content
		}
		select {
		case <-stop:
			_ = os.Remove(filepath.Join(to, nodeConfFile))
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// replaceFile replaces a file whole.
func replaceFile(path string, content []byte) error {
	made := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".made")
	if err := os.WriteFile(made, content, 0o600); err != nil {
		return err
	}
	return os.Rename(made, path)
}
