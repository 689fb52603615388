// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// executionLimit is how long an execution may take that sets no limit of its own;
// outputLimit is how much it may print on each of its two streams.
const (
	executionLimit = 20 * time.Second
	outputLimit    = 4 << 20
)

// Request is one execution of a plugin.
type Request struct {
	// Path is the executable; empty for the subject.
	Path string
	// Vars is the whole environment but for PATH: CNI_COMMAND and so on.
	Vars map[string]string
	// Stdin is the network configuration.
	Stdin []byte
	// Limit is how long it may take; zero means 20 s.
	Limit time.Duration
}

// Answer is how an execution ended.
type Answer struct {
	Request Request
	// Exit is the exit status; -1 when a signal ended it.
	Exit           int
	Stdout, Stderr []byte
	Took           time.Duration
	// Killed says why the suite ended it, "" when it ended by itself.
	Killed string
}

// OK reports whether it ended by itself and with 0.
func (a *Answer) OK() bool { return a.Exit == 0 && a.Killed == "" }

// Failed reports whether it ended by itself and with another status.
func (a *Answer) Failed() bool { return a.Exit > 0 && a.Killed == "" }

// String tells what happened, for messages.
func (a *Answer) String() string {
	text := fmt.Sprintf("%s %s ended with status %d after %s", a.Request.Vars["CNI_COMMAND"], a.Request.Vars["CNI_IFNAME"], a.Exit, a.Took.Round(time.Millisecond))
	if a.Killed != "" {
		text += " (" + a.Killed + ")"
	}
	for _, stream := range []struct {
		name string
		text []byte
	}{{"stdout", a.Stdout}, {"stderr", a.Stderr}} {
		if s := strings.TrimSpace(string(stream.text)); s != "" {
			text += fmt.Sprintf("\n  %s: %s", stream.name, shorten(s))
		}
	}
	return text
}

func shorten(s string) string {
	if len(s) > 2000 {
		return s[:2000] + fmt.Sprintf(" … (%d bytes)", len(s))
	}
	return s
}

// what says what is executed, for the case's steps.
func (r *Request) what() string {
	text := r.Vars["CNI_COMMAND"]
	if name := r.Vars["CNI_IFNAME"]; name != "" {
		text += " " + name
	}
	if id := r.Vars["CNI_CONTAINERID"]; id != "" {
		text += " of container " + id[:min(len(id), 8)]
	}
	return text
}

// outcome says how it ended, for the case's steps.
func (a *Answer) outcome() string {
	text := fmt.Sprintf("status %d", a.Exit)
	if a.Killed != "" {
		text = a.Killed
	}
	if e := a.Error(); e != nil {
		return fmt.Sprintf("%s, code %d: %s", text, e.Code, e.Msg)
	}
	return text
}

// CNIError is the error structure of section 5.
type CNIError struct {
	CNIVersion string `json:"cniVersion"`
	Code       int    `json:"code"`
	Msg        string `json:"msg"`
	Details    string `json:"details"`
}

// Error decodes the error structure on stdout; nil when there is none.
func (a *Answer) Error() *CNIError {
	var fields map[string]json.RawMessage
	if json.Unmarshal(a.Stdout, &fields) != nil || fields["code"] == nil && fields["msg"] == nil {
		return nil
	}
	var e CNIError
	if json.Unmarshal(a.Stdout, &e) != nil {
		return nil
	}
	return &e
}

// Result decodes the result on stdout. The case fails when there is none.
func (a *Answer) Result() *Result {
	ginkgo.GinkgoHelper()
	r, err := ParseResult(a.Stdout)
	Expect(err).NotTo(HaveOccurred(), "the result of %s", a)
	return r
}

// Execution is a plugin that runs.
type Execution struct {
	answer Answer
	cmd    *exec.Cmd
	began  time.Time
	out    [2]*capped
	timer  *time.Timer
	env    *Env
	// told notes in the case's steps what came of it.
	told func(outcome string)
	// followed gets the outcome of moments.follow; nil for an execution that is not
	// traced.
	followed   chan error
	unfollowed error

	mu     sync.Mutex
	killed string
	ended  bool
}

// Begin starts an execution: in a process group of its own, with less than all
// capabilities, a limit of time and one of output. PATH is the suite's.
func (e *Env) Begin(_ context.Context, r Request) *Execution {
	ginkgo.GinkgoHelper()
	x, err := e.begin(r, nil)
	Expect(err).NotTo(HaveOccurred(), "execute %s", x.cmd.Path)
	return x
}

// begin is Begin for an execution that is followed by m, unless that is nil.
func (e *Env) begin(r Request, m *moments) (*Execution, error) {
	x := e.execution(r)
	x.told = e.Step("%s", r.what())
	started := make(chan error, 1)
	if m != nil {
		x.followed = make(chan error, 1)
		x.cmd.SysProcAttr.Ptrace = true
	}
	go func() {
		_ = suite.OnOwnThread(func() error {
			err := x.start()
			started <- err
			if err == nil && m != nil {
				x.followed <- m.follow(x.cmd.Process.Pid, x.Kill)
			}
			return nil
		})
	}()
	if err := <-started; err != nil {
		x.told(err.Error())
		return x, err
	}
	limit := r.Limit
	if limit == 0 {
		limit = executionLimit
	}
	limit = suite.Patience(limit)
	x.timer = time.AfterFunc(limit, func() { x.end(fmt.Sprintf("ended by the suite: it may take %s", limit)) })
	return x, nil
}

// execution prepares one.
func (e *Env) execution(r Request) *Execution {
	x := &Execution{answer: Answer{Request: r}, env: e, began: time.Now()}
	path := r.Path
	if path == "" {
		path = e.Target.Path()
	}
	x.cmd = exec.Command(path) //nolint:noctx // the limit ends it, with its group
	x.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range r.Vars {
		x.cmd.Env = append(x.cmd.Env, name+"="+value)
	}
	slices.Sort(x.cmd.Env)
	x.cmd.Stdin = bytes.NewReader(r.Stdin)
	for i := range x.out {
		x.out[i] = &capped{full: func() { x.end(fmt.Sprintf("ended by the suite: it printed more than %d bytes", outputLimit)) }}
	}
	x.cmd.Stdout, x.cmd.Stderr = x.out[0], x.out[1]
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What the plugin started may keep its pipes open.
	x.cmd.WaitDelay = 2 * time.Second
	return x
}

// start starts it, by a thread that gives away capabilities for good.
func (x *Execution) start() error {
	if err := node.DropCapabilities(); err != nil {
		return err
	}
	return x.cmd.Start()
}

// Kill ends the plugin, and what it has started in its process group, by SIGKILL.
func (x *Execution) Kill() { x.end("killed by the suite") }

func (x *Execution) end(why string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	if x.killed == "" {
		x.killed = why
	}
	_ = syscall.Kill(-x.cmd.Process.Pid, syscall.SIGKILL)
}

// Wait returns the answer when the execution has ended.
func (x *Execution) Wait() Answer {
	if x.followed != nil { // two that wait for a process would take each other's news
		x.unfollowed = <-x.followed
	}
	err := x.cmd.Wait()
	x.timer.Stop()
	x.mu.Lock()
	x.ended = true
	x.answer.Killed = x.killed
	x.mu.Unlock()
	x.answer.Took = time.Since(x.began)
	x.answer.Exit = x.cmd.ProcessState.ExitCode()
	if x.answer.Exit == 0 && err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		x.answer.Exit, x.answer.Killed = -1, err.Error()
	}
	x.answer.Stdout, x.answer.Stderr = x.out[0].bytes(), x.out[1].bytes()
	x.told(x.answer.outcome())
	x.env.history.add(&x.answer)
	return x.answer
}

// Execute executes a plugin and waits for its end.
func (e *Env) Execute(ctx context.Context, r Request) Answer {
	ginkgo.GinkgoHelper()
	return e.Begin(ctx, r).Wait()
}

// capped keeps what is written up to a limit, and calls full beyond it.
type capped struct {
	mu   sync.Mutex
	data []byte
	full func()
}

func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.data)+len(p) > outputLimit {
		c.full()
		return len(p), nil
	}
	c.data = append(c.data, p...)
	return len(p), nil
}

func (c *capped) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data
}

// history is what was said by the plugins that were executed.
type history struct {
	mu      sync.Mutex
	answers []string
}

// shown is how many of the last answers a failure shows.
const shown = 12

func (h *history) add(a *Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers = append(h.answers, fmt.Sprintf("--- %s\n  stdin: %s\n", a.String(), shorten(string(a.Request.Stdin))))
	h.answers = h.answers[max(0, len(h.answers)-shown):]
}

// last are the last answers.
func (h *history) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.answers, "")
}
