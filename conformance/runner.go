// SPDX-License-Identifier: Apache-2.0

package conformance

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
)

// spare is what a child process gets beyond its case's deadline, to clean up
// and to report.
const spare = 40 * time.Second

// cancelled is why a case that an interrupted run did not finish is skipped.
const cancelled = "the run was cancelled"

// Options is what Judge needs.
type Options struct {
	Settings
	Selection Selection
	// Command makes the command that runs this program as a child: IsChild is
	// true in it, and it must call RunChild with the same Settings.
	Command func(ctx context.Context) *exec.Cmd
	// Parallel is how many cases run side by side; 0 for twice the cores, 8 at most.
	Parallel int
	// Seed decides on the order of the cases, but for those that take long, which
	// come first; the report tells it. 0 is a seed by chance.
	Seed uint64
	// Progress is called after each case, one call at a time; may be nil.
	Progress func(done, of int, r CaseResult)
	// API is what a target with the feature kubernetes gets, when runs share one;
	// nil is one of this run's own.
	API *API

	// api serves the cases of a target that needs an API server; unserved is
	// why it does not.
	api      *hostedAPI
	unserved string
}

// Judge executes the selected cases against the target and reports. It fails
// only when the suite itself cannot run; what the target does is in the report.
func Judge(ctx context.Context, o Options) (*Report, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("root is needed for namespaces and sockets, this is uid %d", uid)
	}
	if _, err := exec.LookPath(o.FakeDelegate); err != nil {
		return nil, fmt.Errorf("the fake delegate: %w; build it with: go build -o fake-delegate github.com/thicket-cni/thicket/fakes/delegate", err)
	}
	cases, err := Select(o.Selection)
	if err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, errors.New("no case is selected")
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1<<32-1) + 1
	}
	report := &Report{Started: time.Now().UTC(), Seed: o.Seed}
	report.Suite.Name, report.Suite.Version = "thicket-conformance", Version
	report.Target.Name, report.Target.Features = o.Target.Name(), o.Target.Features()
	if report.Target.Version, err = o.Target.Version(ctx); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(o.WorkDir, "tc-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := o.openAPI(ctx, work); err != nil {
		return nil, err
	}
	report.Cases = runAll(ctx, o, cases, work)
	closed := o.closeAPI()
	report.Seconds = time.Since(report.Started).Seconds()
	report.summarize()
	return report, errors.Join(context.Cause(ctx), closed)
}

// runAll runs the cases side by side, the longest first, and returns their
// results in the order of the cases.
func runAll(ctx context.Context, o Options, cases []Case, work string) []CaseResult {
	order := make([]int, len(cases))
	for i := range order {
		order[i] = i
	}
	random := rand.New(rand.NewPCG(o.Seed, 0))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cases[b].Slow, cases[a].Slow) })
	todo := make(chan int)
	go func() {
		defer close(todo)
		for _, i := range order {
			select {
			case todo <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	results := make([]CaseResult, len(cases))
	for i, c := range cases {
		results[i] = CaseResult{ID: c.ID, Level: c.Level, Profile: c.Profile, Title: c.Title, Source: c.Source,
			State: Skipped, Reason: cancelled}
	}
	var mu sync.Mutex
	var workers sync.WaitGroup
	done := 0
	for range o.parallel() {
		workers.Go(func() {
			// Pdeathsig follows the thread that forked, so the thread has to
			// live as long as the worker.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for i := range todo {
				r := runCase(ctx, o, &cases[i], work)
				mu.Lock()
				results[i] = r
				done++
				if o.Progress != nil {
					o.Progress(done, len(cases), r)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return results
}

func (o *Options) parallel() int {
	if o.Parallel > 0 {
		return o.Parallel
	}
	return min(2*runtime.NumCPU(), 8)
}

// runCase runs one case in a child process with namespaces of its own, and
// ends all of them at the case's deadline.
func runCase(ctx context.Context, o Options, c *Case, work string) CaseResult {
	result := CaseResult{ID: c.ID, Level: c.Level, Profile: c.Profile, Title: c.Title, Source: c.Source, State: Failed}
	if o.unserved != "" {
		result.State, result.Reason = Skipped, o.unserved
		return result
	}
	dir, err := os.MkdirTemp(work, strings.ToLower(c.ID)+"-")
	if err != nil {
		result.Failure, result.Reason = FailedSuite, err.Error()
		return result
	}
	defer func() { _ = os.RemoveAll(dir) }()
	start := time.Now()
	run := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout()+spare, errors.New("it did not end by its deadline and was killed"))
	defer cancel()
	var output bytes.Buffer
	cmd := o.Command(ctx)
	resultFile := filepath.Join(dir, "result.json")
	cmd.Env = append(os.Environ(), envCase+"="+c.ID, envResult+"="+resultFile, envWorkDir+"="+dir, envStage+"=", o.apiVariable())
	defer o.sweepAPI(ctx, c)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	cmd.WaitDelay = 5 * time.Second
	runErr := cmd.Run()
	if err := removeCgroup(dir); err != nil {
		runErr = errors.Join(runErr, err)
	}
	result.Seconds = time.Since(start).Seconds()
	data, err := os.ReadFile(resultFile)
	if err == nil {
		err = json.Unmarshal(data, &result)
	}
	if err != nil && run.Err() != nil {
		// The target did nothing wrong: a report must not say that it failed.
		result.State, result.Reason = Skipped, cancelled
		return result
	}
	if err != nil {
		result.Failure = FailedSuite
		result.Reason = fmt.Sprintf("the case's process gave no result: %v", cmp.Or(context.Cause(ctx), runErr, err))
		result.Output = lastLines(output.String(), 60)
	}
	return result
}

// lastLines keeps the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = append([]string{fmt.Sprintf("… %d lines before …", len(lines)-n)}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}
