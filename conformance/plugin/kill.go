// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
)

// KillADD executes ADD so many times and kills each execution at another moment:
// the moments are spread evenly over the time that an ADD takes, and a little
// beyond. f gets each answer before the next ADD; it has to delete what was added.
func (a *Attachment) KillADD(ctx context.Context, times int, f func(Answer)) {
	ginkgo.GinkgoHelper()
	whole := a.timeADD(ctx, f)
	for i := range times {
		x := a.env.Begin(ctx, a.Request("ADD"))
		kill := time.AfterFunc(whole*time.Duration(i)/time.Duration(times), x.Kill)
		answer := x.Wait()
		kill.Stop()
		f(answer)
		a.Result = nil
	}
}

// timeADD is how long ADD takes, with a quarter more.
func (a *Attachment) timeADD(ctx context.Context, f func(Answer)) time.Duration {
	ginkgo.GinkgoHelper()
	var took []time.Duration
	for range 5 {
		answer := a.env.Execute(ctx, a.Request("ADD"))
		a.env.MustOK(answer)
		f(answer)
		took = append(took, answer.Took)
	}
	slices.Sort(took)
	return took[len(took)/2] * 5 / 4
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
