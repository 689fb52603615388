// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// KillADD executes ADD again and again, of what next returns, and kills each
// execution at another moment: after each of the changes that an ADD makes to files
// and to the network, or after times of them, spread evenly, when it makes more. f
// has to delete what was added; moment says where ADD was killed.
//
// Where ptrace(2) is not permitted, and for a plugin that keeps everything with a
// daemon or an API, the clock decides: times moments that are spread evenly over the
// time that an ADD takes, fewer when it takes long.
func (e *Env) KillADD(ctx context.Context, times int, next func() *Attachment, f func(a *Attachment, moment string)) {
	ginkgo.GinkgoHelper()
	a := next()
	e.MustOK(a.Add(ctx)) // the first one may make what the others share
	f(a, "that succeeded")
	a = next()
	whole := &moments{}
	answer, err := e.executeTo(whole, a.Request("ADD"))
	if err != nil {
		e.Notef("ADD was killed by the clock: a plugin cannot be traced here (%v)", err)
		e.killByClock(ctx, times, next, f)
		return
	}
	e.MustOK(a.kept("ADD", answer))
	f(a, "that succeeded")
	all := len(whole.made)
	if all == 0 {
		e.Notef("ADD was killed by the clock: it changes neither files nor the network itself")
		e.killByClock(ctx, times, next, f)
		return
	}
	kills := min(all, times)
	e.Notef("ADD makes %d changes; it was killed after %d of them", all, kills)
	for i := range kills {
		a := next()
		m := &moments{kill: (i + 1) * all / kills}
		answer, err := e.executeTo(m, a.Request("ADD"))
		Expect(err).NotTo(HaveOccurred(), "follow ADD from change to change")
		moment := fmt.Sprintf("killed after change %d of %d", len(m.made), all)
		if len(m.made) > 0 {
			moment += ", " + shorten(m.made[len(m.made)-1])
		}
		if answer.Killed == "" {
			moment = "that makes fewer changes than another one, and ended"
		}
		f(a, moment)
	}
}

// executeTo executes a plugin that is followed from change to change. The error
// says that it cannot be.
func (e *Env) executeTo(m *moments, r Request) (Answer, error) {
	ginkgo.GinkgoHelper()
	x, err := e.begin(r, m)
	if err != nil {
		return Answer{}, err
	}
	answer := x.Wait()
	return answer, x.unfollowed
}

// clockLimit is about how long kills by the clock may take, and executions how many
// there are for each of them.
const (
	clockLimit = time.Minute
	executions = 5
)

// killByClock is KillADD without ptrace.
func (e *Env) killByClock(ctx context.Context, times int, next func() *Attachment, f func(*Attachment, string)) {
	ginkgo.GinkgoHelper()
	var took []time.Duration
	for range 5 {
		a := next()
		answer := e.Execute(ctx, a.Request("ADD"))
		e.MustOK(answer)
		f(a, "that succeeded")
		took = append(took, answer.Took)
	}
	slices.Sort(took)
	whole := took[len(took)/2] * 5 / 4
	times = min(times, max(10, int(clockLimit/(executions*whole))))
	for i := range times {
		a := next()
		x := e.Begin(ctx, a.Request("ADD"))
		after := whole * time.Duration(i) / time.Duration(times)
		kill := time.AfterFunc(after, x.Kill)
		_ = x.Wait()
		kill.Stop()
		f(a, "killed after "+after.Round(time.Microsecond).String())
	}
}

// BeginAll starts a command for all attachments at once and returns the answers
// in their order. The results of ADDs that succeeded are kept.
func (e *Env) BeginAll(ctx context.Context, command string, all []*Attachment) []Answer {
	ginkgo.GinkgoHelper()
	var running []*Execution
	for _, a := range all {
		running = append(running, e.Begin(ctx, a.Request(command)))
	}
	var answers []Answer
	for i, x := range running {
		answers = append(answers, all[i].kept(command, x.Wait()))
	}
	return answers
}
