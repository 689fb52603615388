// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

const (
	// delegatesAtOnce bounds their memory. One that runs longer than patience no
	// longer counts, so that those that hang do not hold up others (SEC-11).
	delegatesAtOnce = 2
	patience        = 1500 * time.Millisecond
	// longestOutput is what a delegate may print, in bytes.
	longestOutput = 2 << 20
)

// runner executes delegates for libcni.
type runner struct {
	version.PluginDecoder
	dir    string
	groups string
	limit  time.Duration
	slots  chan struct{}
}

var _ invoke.Exec = (*runner)(nil)

func newRunner(dir, state string, limit time.Duration) *runner {
	return &runner{dir: dir, groups: cgroupPrefix(state), limit: limit, slots: make(chan struct{}, delegatesAtOnce)}
}

// FindInPath implements invoke.Exec: there is one directory, whatever a client
// says (SEC-17).
func (x *runner) FindInPath(plugin string, _ []string) (string, error) {
	path, err := invoke.FindInPath(plugin, []string{x.dir})
	if err != nil {
		return "", fmt.Errorf("plugin %q is not in %s", cut(plugin, 64), x.dir)
	}
	return path, nil
}

// limited is an output that ends the delegate at longestOutput.
type limited struct {
	data []byte
	full context.CancelFunc
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.data)+len(p) > longestOutput && !broken("any-output") {
		l.full()
		return 0, errors.New("too long")
	}
	l.data = append(l.data, p...)
	return len(p), nil
}

func (x *runner) slot(ctx context.Context) (release func(), err error) {
	select {
	case x.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	once := sync.OnceFunc(func() { <-x.slots })
	if broken("hanging-keep-their-slot") {
		return once, nil
	}
	t := time.AfterFunc(patience, once)
	return func() { t.Stop(); once() }, nil
}

// ExecPlugin implements invoke.Exec.
func (x *runner) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	release, err := x.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	limit := x.limit
	if broken("no-time-limit") || broken("no-time-limit-at-del") && slices.Contains(environ, "CNI_COMMAND=DEL") {
		limit = time.Hour
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out := &limited{full: cancel}
	cmd := exec.Command(path) //nolint:noctx // it is ended together with what it started
	cmd.Env = environ
	if !broken("runs-anything") {
		cmd.Env = append(slices.Clone(environ), delegateMark+"=1")
	}
	cmd.Stdin, cmd.Stdout, cmd.WaitDelay = bytes.NewReader(stdin), out, 2*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if broken("leaves-strays") {
		cmd.SysProcAttr.Pdeathsig = 0
	}
	group, fd := newCgroup(x.groups)
	if fd != nil {
		defer func() { _ = fd.Close(); removeCgroup(group) }()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(fd.Fd())
	}
	err = x.wait(ctx, cmd, group)
	return x.outcome(ctx, path, stdin, out, err)
}

// wait executes a delegate to its end, or ends it with all that it started.
func (x *runner) wait(ctx context.Context, cmd *exec.Cmd, group string) error {
	// The thread that starts a process has to outlive it, or it is killed.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		if broken("leaves-grandchildren") {
			_ = cmd.Process.Kill()
			return
		}
		x.end(cmd.Process.Pid, group)
	}()
	err := cmd.Wait()
	close(done)
	<-stopped
	return err
}

// outcome makes the answer, or the error, of what a delegate did.
func (x *runner) outcome(ctx context.Context, path string, stdin []byte, out *limited, err error) ([]byte, error) {
	var conf struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(stdin, &conf)
	what := fmt.Sprintf("plugin %s of network %s", filepath.Base(path), conf.Name)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, refuse(types.ErrTryAgainLater, "%s did not end within %s", what, x.limit)
	case err == nil && ctx.Err() == nil, errors.Is(err, exec.ErrWaitDelay):
		if err := sane(out.data); err != nil {
			return nil, fmt.Errorf("%s answered with %w", what, err)
		}
		return out.data, nil
	case len(out.data) > longestOutput-(64<<10):
		return nil, fmt.Errorf("%s printed more than %d bytes", what, longestOutput)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s was stopped", what)
	}
	var e types.Error
	if json.Unmarshal(out.data, &e) == nil && (e.Code != 0 || e.Msg != "") {
		return nil, &e
	}
	return nil, fmt.Errorf("%s failed without a CNI error: %w", what, err)
}

// sane refuses results in which libcni would trip: null where an object belongs,
// and an interface that is not in the list (SEC-08).
func sane(output []byte) error {
	if len(bytes.TrimSpace(output)) == 0 || broken("trusts-results") {
		return nil
	}
	type routes struct {
		Routes []*json.RawMessage `json:"routes"`
	}
	var r struct {
		Interfaces []*json.RawMessage `json:"interfaces"`
		IPs        []*struct {
			Interface *int `json:"interface"`
		} `json:"ips"`
		routes
		IP4 *routes `json:"ip4"`
		IP6 *routes `json:"ip6"`
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return errors.New("no result in JSON, or one of wrong types")
	}
	all := r.Routes
	for _, old := range []*routes{r.IP4, r.IP6} {
		if old != nil {
			all = append(all, old.Routes...)
		}
	}
	for _, element := range append(all, r.Interfaces...) {
		if element == nil {
			return errors.New("a result with null in a list")
		}
	}
	for _, ip := range r.IPs {
		if ip == nil || ip.Interface != nil && (*ip.Interface < 0 || *ip.Interface >= len(r.Interfaces)) {
			return errors.New("a result whose addresses are null or of no interface in it")
		}
	}
	return nil
}
