// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile resilience: what a daemon keeps of each request, and the node's
// CNI configuration.
func init() {
	register(
		mutant{name: "leaks-descriptor", cases: []string{"RES-07"}, daemon: onEvery(leakEvery, leakDescriptor),
			fault: "a file descriptor stays open per request"},
		mutant{name: "leaks-thread", cases: []string{"RES-07"}, daemon: onEvery(leakEvery, leakThread),
			fault: "a goroutine that owns its thread waits for ever"},
		mutant{name: "leaks-process", cases: []string{"RES-07"}, daemon: onEvery(leakEvery, leakProcess),
			fault: "a process is started and not waited for"},
		mutant{name: "leaks-namespace", cases: []string{"RES-07"}, daemon: onEvery(10*leakEvery, leakNamespace),
			fault: "a thread stays in the sandbox's network namespace"},
		mutant{name: "nodeconf-read-once", cases: []string{"RES-08"}, daemon: nodeConfReadOnce,
			fault: "the default network's configuration is read once, at the start"},
		mutant{name: "nodeconf-written-once", cases: []string{"RES-08"}, daemon: nodeConfBy(func(path string, content []byte, first bool) error {
			if !first {
				return nil
			}
			return replaceFile(path, content)
		}), fault: "00-multus.conf is not written again when the default network changes"},
		mutant{name: "nodeconf-written-in-place", cases: []string{"RES-08"}, daemon: nodeConfBy(func(path string, content []byte, _ bool) error {
			return os.WriteFile(path, content, 0o600)
		}), fault: "00-multus.conf is written in place"},
		mutant{name: "nodeconf-loadable-temporary", cases: []string{"RES-08"}, daemon: nodeConfBy(func(path string, content []byte, _ bool) error {
			made := filepath.Join(filepath.Dir(path), "00-multus-new.conf")
			if err := os.WriteFile(made, content, 0o600); err != nil {
				return err
			}
			return os.Rename(made, path)
		}), fault: "00-multus.conf is made under a name that a runtime loads"},
	)
}

// leakEvery is how many requests there are to one leak.
const leakEvery = 20

// onEvery has f called for one request of so many; path is the sandbox's
// namespace.
func onEvery(many int, f func(path string)) func(*assembly) {
	return func(a *assembly) {
		var mu sync.Mutex
		requests := 0
		a.onCommand(func(_ string, req *api.Request) {
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
	_, _ = os.StartProcess("/proc/self/exe", []string{program, "--version", "--mutant", baseline}, &os.ProcAttr{})
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
func nodeConfReadOnce(a *assembly) {
	a.onStart(func() error {
		if a.config.MultusConfigFile == "" {
			return nil
		}
		once, err := os.MkdirTemp(a.config.CNIDir, ".node-")
		if err != nil {
			return err
		}
		a.config.MultusAutoconfigDir = once
		return os.CopyFS(once, os.DirFS(a.config.CNIConfigDir))
	})
	a.onEnd(func() error { return removeNodeDir(a) })
}

func removeNodeDir(a *assembly) error {
	if filepath.Dir(a.config.MultusAutoconfigDir) != filepath.Clean(a.config.CNIDir) {
		return nil
	}
	return os.RemoveAll(a.config.MultusAutoconfigDir)
}

// nodeConfFile is what the daemon calls its configuration.
const nodeConfFile = "00-multus.conf"

// nodeConfBy has the daemon write its configuration to a place of its own, from
// which it is carried to the runtime's in another way.
func nodeConfBy(put func(path string, content []byte, first bool) error) func(*assembly) {
	return func(a *assembly) {
		a.onStart(func() error {
			if a.config.MultusConfigFile == "" {
				return nil
			}
			dir, err := os.MkdirTemp(a.config.CNIDir, ".node-")
			if err != nil {
				return err
			}
			to := a.config.CNIConfigDir
			a.config.MultusAutoconfigDir, a.config.CNIConfigDir = to, dir
			carrying, stop := make(chan struct{}), make(chan struct{})
			go carryNodeConf(dir, to, put, stop, carrying)
			a.onEnd(func() error {
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
