// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// spare is what a child process gets beyond its case's deadline, to clean up
// and to report.
const spare = 40 * time.Second

// cancelled is why a case that an interrupted run did not finish is skipped.
const cancelled = "the run was cancelled"

// Options is what Judge needs.
type Options struct {
	Settings
	// Catalog has the cases, Selection chooses among them.
	Catalog   *Catalog
	Selection Selection
	// Services are opened before the first case and closed after the last.
	Services []Service
	// Environment is added to that of the cases' processes.
	Environment []string
	// Command makes the command that runs this program as a child: IsChild is
	// true in it, and it must call RunChild with the same Settings.
	Command func(ctx context.Context) *exec.Cmd
	// Parallel is how many cases run side by side; 0 means twice the cores, 8 at
	// most.
	Parallel int
	// Seed decides on the order of the cases. Long cases come first all the same.
	// The report tells it; 0 chooses one.
	Seed uint64
	// Slow multiplies all deadlines, those of cases and those of what they await, on a
	// machine that is so much slower than an ordinary one; see Patience and
	// MeasureSlow. The report tells it. At most 1 means that they stay.
	Slow float64
	// Survey is a case beside the rows: its notes are the features that the subject
	// has and does not declare. Nil means that they are not looked for.
	Survey *Case
	// Keep is a directory for what the cases made: directories, logs, calls and
	// configurations, each in a directory named by the case's id. Empty means that
	// they are removed.
	Keep string
	// Rerun says which command judges a case alone, for the report; may be nil.
	Rerun func(id string) string
	// Progress is called after each case, one call at a time; may be nil.
	Progress func(done, of int, r report.CaseResult)
	// Watch is called when a case begins and when it has ended, one call at a time;
	// may be nil.
	Watch func(Live)
	// Waivers are the failures that are excused; may be nil.
	Waivers *report.Waivers
	// Baseline is an earlier report: only what got worse gates. May be nil.
	Baseline *report.Report
	// Explain says what is to be known of the requirement with an id, for the page of
	// one that failed; may be nil.
	Explain func(id string) string
	// Implementation says whose the subject is, for the report.
	Implementation report.Implementation
}

// Judge executes the selected cases against the subject and reports. It fails
// only when the suite itself cannot run; what the subject does is in the report.
func Judge(ctx context.Context, o Options) (*report.Report, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	s.stop = stop
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.each(ctx, func(i int) { s.keep(i, s.verdict(ctx, i)) })
	s.survey(ctx)
	return s.end(ctx)
}

// survey looks for features that the subject has and does not declare.
func (s *session) survey(ctx context.Context) {
	if s.Survey == nil || ctx.Err() != nil || s.missing != "" {
		return
	}
	r := s.judgeOnce(ctx, s.Survey, "", resultOf(s.Survey))
	if r.State == report.Passed {
		for _, feature := range r.Notes {
			s.report.Target.Undeclared = append(s.report.Target.Undeclared, spec.Feature(feature))
		}
		return
	}
	s.report.Target.Unsurveyed = cmp.Or(r.Headline(), string(r.State))
}

// session is a run in progress.
type session struct {
	Options
	cases  []Case
	report *report.Report
	work   string
	// program is this one, and stop ends the run when it is replaced; may be nil.
	program program
	stop    context.CancelCauseFunc

	opening sync.Once
	openErr error
	// missing is why no case can be run here, "" when they can.
	missing string

	mu       sync.Mutex
	results  []report.CaseResult
	progress []progress
	done     int
}

// begin checks the options and chooses the cases. Services are not opened yet.
func begin(ctx context.Context, o Options) (*session, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("root is needed for namespaces and sockets, this is uid %d", uid)
	}
	cases, err := o.Catalog.selectFor(o.Selection, o.Subject)
	if err == nil {
		err = o.checkWaivers()
	}
	if err == nil {
		err = o.prepareKeep()
	}
	if err != nil {
		return nil, err
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1<<32-1) + 1
	}
	r := &report.Report{Schema: report.SchemaVersion, Started: time.Now().UTC(), Seed: o.Seed}
	if o.Slow > 1 {
		r.Slow = o.Slow
	}
	r.Suite.Name, r.Suite.Version = "thicket-conformance", spec.Version
	r.Target.Name, r.Target.Features = o.Subject.Name(), o.Subject.Features()
	r.Implementation, r.Selection, r.Explain = o.Implementation, o.Selection.reported(), o.Explain
	work, err := os.MkdirTemp(o.WorkDir, "tc-")
	if err != nil {
		return nil, err
	}
	s := &session{Options: o, cases: cases, report: r, work: work, program: thisProgram(), results: make([]report.CaseResult, len(cases)), progress: make([]progress, len(cases))}
	for i := range cases {
		s.results[i] = resultOf(&cases[i])
		s.results[i].State, s.results[i].Failure, s.results[i].Reason = report.Skipped, report.Interrupted, cancelled
	}
	return s, nil
}

// resultOf is the result of a case that has not been run.
func resultOf(c *Case) report.CaseResult {
	return report.CaseResult{ID: c.ID, Level: c.Level, Profile: c.Profile, Title: c.Title, Source: c.Source}
}

// ready opens the services, once.
func (s *session) ready(ctx context.Context) error {
	s.opening.Do(func() {
		for _, service := range s.Services {
			if c, ok := service.(Commander); ok {
				c.UseCommand(s.Command)
			}
			err := service.Open(ctx, s.work)
			var missing *MissingError
			if errors.As(err, &missing) {
				s.missing = err.Error()
				return
			}
			if err != nil {
				s.openErr = err
				return
			}
		}
		// A service may have found out what the version is.
		s.report.Target.Version, s.openErr = s.Subject.Version(ctx)
	})
	return s.openErr
}

// close closes the services and removes the run's files.
func (s *session) close() error {
	var all []error
	for _, service := range slices.Backward(s.Services) {
		all = append(all, service.Close())
	}
	_ = os.RemoveAll(s.work) // mounts of a case that was killed may be in it
	return errors.Join(all...)
}

// end closes the run and makes its report.
func (s *session) end(ctx context.Context) (*report.Report, error) {
	closed := s.close()
	s.report.Cases = s.results
	s.hold()
	s.report.Seconds = time.Since(s.report.Started).Seconds()
	s.report.Summarize()
	return s.report, errors.Join(context.Cause(ctx), closed)
}

// keep records the result of a case.
func (s *session) keep(i int, r report.CaseResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[i] = r
	s.done++
	s.progress[i].done, s.progress[i].took = true, time.Since(s.progress[i].began)
	if s.Progress != nil {
		s.Progress(s.done, len(s.cases), r)
	}
	s.look()
}

// order is the order in which the cases are started: the longest first, then as
// the seed says.
func (s *session) order() []int {
	order := make([]int, len(s.cases))
	for i := range order {
		order[i] = i
	}
	random := rand.New(rand.NewPCG(s.Seed, 0))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.cases[b].Slow, s.cases[a].Slow) })
	return order
}

// each calls f with the index of every case: of several side by side, and then
// of those that have to be alone, one by one.
func (s *session) each(ctx context.Context, f func(i int)) {
	f = unlessDone(ctx, f)
	machine.enter()
	var alone []int
	todo := make(chan int, len(s.cases))
	var workers sync.WaitGroup
	for _, i := range s.order() {
		switch {
		case s.cases[i].Alone:
			alone = append(alone, i)
		case s.cases[i].Waits:
			workers.Go(func() { machine.beside(func() { f(i) }) })
		default:
			todo <- i
		}
	}
	close(todo)
	for range s.parallel() {
		workers.Go(func() {
			for i := range todo {
				machine.beside(func() { f(i) })
			}
		})
	}
	workers.Wait()
	machine.leave()
	for _, i := range alone {
		machine.alone(func() { f(i) })
	}
}

// unlessDone returns f, which does nothing once the context is done.
func unlessDone(ctx context.Context, f func(i int)) func(i int) {
	return func(i int) {
		if ctx.Err() == nil {
			f(i)
		}
	}
}

func (s *session) parallel() int {
	if s.Parallel > 0 {
		return s.Parallel
	}
	return min(2*runtime.NumCPU(), 8)
}

// judge runs one case in a child process with namespaces of its own, and ends
// all of them at the case's deadline.
func (s *session) judge(ctx context.Context, i int) report.CaseResult {
	c := &s.cases[i]
	result := resultOf(c)
	result.State = report.Failed
	if s.missing != "" {
		result.State, result.Reason = report.Skipped, s.missing
		return result
	}
	if c.Editions != nil {
		return s.judgeEditions(ctx, c, result)
	}
	return s.judgeOnce(ctx, c, "", result)
}

// judgeOnce judges one edition of a case, or the case that has none. result is
// what it says before anything is known.
func (s *session) judgeOnce(ctx context.Context, c *Case, edition string, result report.CaseResult) report.CaseResult {
	dir, err := os.MkdirTemp(s.work, strings.ToLower(c.ID)+"-")
	if err != nil {
		result.Failure, result.Reason = report.FailedSuite, err.Error()
		return result
	}
	defer func() { s.remove(dir, c.ID) }()
	defer func() {
		for _, service := range s.Services {
			_ = service.Sweep(ctx, c.ID) // what it leaves is seen when the run closes the service
		}
	}()
	start := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, scaled(c.timeout()+spare, s.Slow), errors.New("it did not end by its deadline and was killed"))
	defer cancel()
	output, spent, runErr := s.runChild(limited, c, edition, dir)
	result.Seconds, result.CPUSeconds = time.Since(start).Seconds(), spent.cpu.Seconds()
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err == nil {
		err = json.Unmarshal(data, &result)
	}
	if replaced := s.program.replaced(); replaced != nil && s.stop != nil {
		s.stop(replaced)
		result, err = resultOf(c), replaced
	}
	if err != nil && ctx.Err() != nil {
		// The subject did nothing wrong: a report must not say that it failed.
		result.State, result.Failure, result.Reason = report.Skipped, report.Interrupted, cancelled
		return result
	}
	if err != nil {
		result.Failure = report.FailedSuite
		result.Reason = fmt.Sprintf("the case's process gave no result: %v", cmp.Or(context.Cause(limited), runErr, err))
		result.Output = spec.LastLines(output, 60)
	}
	if spent.refused != "" {
		result.Notes = append(result.Notes, spent.refused)
	}
	if result.State == report.Failed && s.Rerun != nil {
		result.Rerun = s.Rerun(c.ID)
	}
	if s.Keep != "" {
		_ = os.WriteFile(filepath.Join(dir, "output.txt"), []byte(output), 0o600) // the case's own timeline
	}
	return result
}

// spent is what a case's processes took of the machine: their processor time, and
// what was refused to them.
type spent struct {
	cpu     time.Duration
	refused string
}

// runChild runs the process of a case, whose result it writes into dir.
func (s *session) runChild(ctx context.Context, c *Case, edition, dir string) (output string, took spent, err error) {
	var all bytes.Buffer
	env := append(slices.Clone(s.Environment), envResult+"="+filepath.Join(dir, "result.json"), envWorkDir+"="+dir, envEdition+"="+edition,
		fmt.Sprintf("%s=%g", envPatience, s.Slow))
	if s.Keep != "" {
		env = append(env, envKept+"=1")
	}
	for _, service := range s.Services {
		env = append(env, service.Environment()...)
	}
	tasks := newTaskCgroup(dir, c.processes())
	cmd := s.Command(ctx)
	cmd.Stdout, cmd.Stderr = &all, &all
	err = runIsolated(cmd, c.ID, append(env, tasks.environment()))
	took.refused = tasks.refused()
	if removed := errors.Join(removeCgroup(dir), tasks.remove()); removed != nil {
		err = errors.Join(err, removed)
	}
	if cmd.ProcessState != nil {
		took.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return all.String(), took, err
}

// runIsolated runs this program as a child that is asked for a case or a task,
// with namespaces of its own.
func runIsolated(cmd *exec.Cmd, id string, env []string) error {
	// Pdeathsig follows the thread that forked, so that thread has to wait.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	base := cmd.Env
	if base == nil {
		base = os.Environ()
	}
	cmd.Env = append(append(base, envCase+"="+id, envStage+"="), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
