// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runByLibrary is process.go by package os/exec, with the same promises: a process
// group and a cgroup of its own, bounded output, pipes that are given up when they
// are held after the plugin's end, all that it has started killed when ctx ends
// or when it fails, the latter before its number can become another's, and a
// plugin that cannot be ended given up. It is here to be measured.
func runByLibrary(ctx context.Context, path string, environ []string, stdin []byte, in *cell, stdout, stderr io.Writer) error {
	pidfd := -1
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, bytes.NewReader(stdin), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd}
	if in != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, in.fd()
	}
	p := &process{path: path, cell: in}
	known := make(chan struct{})
	cmd.Cancel = func() error {
		<-known
		p.kill()
		return nil
	}
	cmd.WaitDelay = pipeGrace
	if err := cmd.Start(); err != nil {
		return err
	}
	p.pid, p.pidfd = cmd.Process.Pid, pidfd
	close(known)
	ended := make(chan error, 1)
	defer closeAll(p.pidfd)
	go func() {
		// Wait gives the number away. What a plugin that failed leaves behind is
		// ended before.
		var info unix.Siginfo
		for errors.Is(unix.Waitid(unix.P_PID, p.pid, &info, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		}
		if info.Code != cldExited || exitStatus(&info) != 0 {
			p.killRest()
		}
		ended <- cmd.Wait()
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		select {
		case err = <-ended:
		case <-time.After(killPatience):
			return fmt.Errorf("was killed %s ago and has not ended", killPatience)
		}
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

// runByHand is process.go.
func runByHand(ctx context.Context, path string, environ []string, stdin []byte, in *cell, stdout, stderr io.Writer) error {
	p, err := startProcess(path, environ, stdin, "", in)
	if err != nil {
		return err
	}
	return p.run(ctx, stdout, stderr, nil)
}

// BenchmarkProcess executes a plugin that prints what it reads, by process.go and
// by os/exec in turns, and reports the medians of time, the ratios of
// time and of processor time, and what each allocates.
func BenchmarkProcess(b *testing.B) {
	path, err := exec.LookPath("cat")
	if err != nil {
		b.Skip(err)
	}
	config := bytes.Repeat([]byte(`{"cniVersion":"1.0.0","name":"bench","type":"bridge"}`), 8)
	cells := NewCells(slog.New(slog.DiscardHandler))
	defer cells.Close()
	once := func(run func(context.Context, string, []string, []byte, *cell, io.Writer, io.Writer) error) cost {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		cell := cells.take()
		defer cells.give(cell)
		out, errs := boundedBuffer{limit: 1 << 20}, tail{limit: stderrTail}
		begun, used := time.Now(), processorTime(b)
		if err := run(ctx, path, []string{"PATH=/bin"}, config, cell, &out, &errs); err != nil || !bytes.Equal(out.Bytes(), config) {
			b.Fatalf("%v, %d bytes printed", err, len(out.Bytes()))
		}
		return cost{time.Since(begun), processorTime(b) - used}
	}
	var hand, library []cost
	for b.Loop() {
		hand = append(hand, once(runByHand))
		library = append(library, once(runByLibrary))
	}
	h, l := middle(hand), middle(library)
	b.ReportMetric(float64(h.took.Microseconds()), "process.go-µs")
	b.ReportMetric(float64(l.took.Microseconds()), "os/exec-µs")
	b.ReportMetric(float64(l.took)/float64(h.took), "time:os/exec÷process.go")
	b.ReportMetric(float64(l.used)/float64(h.used), "cpu:os/exec÷process.go")
	b.ReportMetric(testing.AllocsPerRun(20, func() { once(runByHand) }), "process.go-allocs")
	b.ReportMetric(testing.AllocsPerRun(20, func() { once(runByLibrary) }), "os/exec-allocs")
}

// cost is what one execution takes: time, and processor time of the daemon and the
// plugin together.
type cost struct{ took, used time.Duration }

// middle returns the medians.
func middle(all []cost) cost {
	of := func(what func(cost) time.Duration) time.Duration {
		var values []time.Duration
		for _, c := range all {
			values = append(values, what(c))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return cost{of(func(c cost) time.Duration { return c.took }), of(func(c cost) time.Duration { return c.used })}
}

// processorTime is what this process and its children have used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var sum int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			b.Fatal(err)
		}
		sum += usage.Utime.Nano() + usage.Stime.Nano()
	}
	return time.Duration(sum)
}
