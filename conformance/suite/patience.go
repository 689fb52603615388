// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
)

// envPatience tells a case's process by how much its deadlines are multiplied.
const envPatience = "THICKET_CONFORMANCE_PATIENCE"

// factor returns the multiplier of deadlines in this process, which is 1 unless it runs a case.
var factor = sync.OnceValue(func() float64 {
	if f, err := strconv.ParseFloat(os.Getenv(envPatience), 64); err == nil && f > 1 {
		return f
	}
	return 1
})

// Patience returns how long something may take on this machine that may take d on
// one of ordinary speed: d multiplied by Options.Slow, which the report tells. It
// is for bounds of what the subject does. What a case gives the subject as its own
// limit, and how long a case disturbs it, stay as they are.
func Patience(d time.Duration) time.Duration { return scaled(d, factor()) }

// Fewer returns how many of n things that a subject has to get done at once are asked
// of it on this machine: all of them if Options.Slow is 3 or less, or else n divided by
// it, and never fewer than least. Use it where the subject has a limit of its own, which
// a slow machine makes no longer. With least things a case still has to show what it is
// there for.
func Fewer(n, least int) int { return divided(n, least, factor()) }

// sharedMachine is by how much deadlines are multiplied where other work runs beside
// the suite, on a machine that is not slow.
const sharedMachine = 3

// divided divides a number by a factor, if that is a slow machine's.
func divided(n, least int, factor float64) int {
	if factor <= sharedMachine {
		return n
	}
	return max(min(n, least), int(float64(n)/factor))
}

// BeSlow sets the factor for a program that runs cases itself, by RunSpec, before
// it does.
func BeSlow(factor float64) error { return os.Setenv(envPatience, fmt.Sprint(factor)) }

// scaled multiplies a deadline by a factor; below 1, as the zero value of Options,
// it stays.
func scaled(d time.Duration, factor float64) time.Duration {
	return time.Duration(float64(d) * max(1, factor))
}

// The limits that Gomega has for what sets none.
const (
	eventually   = time.Second
	consistently = 100 * time.Millisecond
)

// bePatient has Gomega multiply the limits of all that it awaits. What must stay as
// it is has to stay so for longer, too: a slow machine shows a change later.
func bePatient() {
	if factor() == 1 {
		return
	}
	gomega.SetDefaultEventuallyTimeout(Patience(eventually))
	gomega.SetDefaultConsistentlyDuration(Patience(consistently))
	gomega.Default = patient{gomega.Default}
}

// patient is a Gomega that waits longer.
type patient struct{ gomega.Gomega }

// Inner is what package gomega itself asks of whatever stands for its default.
func (p patient) Inner() gomega.Gomega { return p.Gomega }

// Eventually implements gomega.Gomega.
func (p patient) Eventually(actual any, args ...any) gomegatypes.AsyncAssertion {
	return awaiting{p.Gomega.Eventually(actual, args...)}
}

// EventuallyWithOffset implements gomega.Gomega.
func (p patient) EventuallyWithOffset(offset int, actual any, args ...any) gomegatypes.AsyncAssertion {
	return awaiting{p.Gomega.EventuallyWithOffset(offset, actual, args...)}
}

// Consistently implements gomega.Gomega.
func (p patient) Consistently(actual any, args ...any) gomegatypes.AsyncAssertion {
	return awaiting{p.Gomega.Consistently(actual, args...)}
}

// ConsistentlyWithOffset implements gomega.Gomega.
func (p patient) ConsistentlyWithOffset(offset int, actual any, args ...any) gomegatypes.AsyncAssertion {
	return awaiting{p.Gomega.ConsistentlyWithOffset(offset, actual, args...)}
}

// awaiting is an assertion of one.
type awaiting struct{ gomegatypes.AsyncAssertion }

// WithTimeout implements gomega.AsyncAssertion.
func (a awaiting) WithTimeout(d time.Duration) gomegatypes.AsyncAssertion {
	return awaiting{a.AsyncAssertion.WithTimeout(Patience(d))}
}

// Within implements gomega.AsyncAssertion.
func (a awaiting) Within(d time.Duration) gomegatypes.AsyncAssertion { return a.WithTimeout(d) }

// WithOffset implements gomega.AsyncAssertion.
func (a awaiting) WithOffset(offset int) gomegatypes.AsyncAssertion {
	return awaiting{a.AsyncAssertion.WithOffset(offset)}
}

// WithPolling implements gomega.AsyncAssertion.
func (a awaiting) WithPolling(d time.Duration) gomegatypes.AsyncAssertion {
	return awaiting{a.AsyncAssertion.WithPolling(d)}
}

// ProbeEvery implements gomega.AsyncAssertion.
func (a awaiting) ProbeEvery(d time.Duration) gomegatypes.AsyncAssertion { return a.WithPolling(d) }

// WithContext implements gomega.AsyncAssertion.
func (a awaiting) WithContext(ctx context.Context) gomegatypes.AsyncAssertion {
	return awaiting{a.AsyncAssertion.WithContext(ctx)}
}

// WithArguments implements gomega.AsyncAssertion.
func (a awaiting) WithArguments(args ...any) gomegatypes.AsyncAssertion {
	return awaiting{a.AsyncAssertion.WithArguments(args...)}
}

// MustPassRepeatedly implements gomega.AsyncAssertion.
func (a awaiting) MustPassRepeatedly(count int) gomegatypes.AsyncAssertion {
	return awaiting{a.AsyncAssertion.MustPassRepeatedly(count)}
}

// startTask is the id of a child that has nothing to do but to start.
const startTask = "START"

const (
	// ordinaryStart is what the start of a case's process takes, in the CI of this
	// repository and on the machines that its deadlines were chosen on.
	ordinaryStart = 20 * time.Millisecond
	// starts is how many are measured.
	starts = 9
)

// mostSlow bounds Options.Slow: a case that may take a minute may then take 100.
const mostSlow = 100

// ParseSlow reads a factor for Options.Slow.
func ParseSlow(text string) (float64, error) {
	factor, err := strconv.ParseFloat(text, 64)
	if err != nil || !(factor >= 1 && factor <= mostSlow) {
		return 0, fmt.Errorf("%q: want a factor from 1 to %d", text, mostSlow)
	}
	return factor, nil
}

// MeasureSlow measures how much slower this machine is than an ordinary one, now:
// 1 when it is not. It starts this program as a child, several times, because
// starting processes is what most of the time of cases goes into.
func MeasureSlow(ctx context.Context, command func(ctx context.Context) *exec.Cmd) (float64, error) {
	took := make([]time.Duration, starts)
	for i := range took {
		cmd := command(ctx)
		if cmd.Env == nil {
			cmd.Env = os.Environ()
		}
		cmd.Env = append(cmd.Env, envCase+"="+startTask)
		began := time.Now()
		if output, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("measure how slow this machine is: %w: %s", err, output)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	tenths := math.Ceil(10 * took[starts/2].Seconds() / ordinaryStart.Seconds())
	return max(1, tenths/10), nil
}
