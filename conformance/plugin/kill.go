// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
)

// KillADD executes ADD so many times, of what next returns, and kills each
// execution at another moment: the moments are spread evenly over the time that
// an ADD takes, and a little beyond. f has to delete what was added.
func (e *Env) KillADD(ctx context.Context, times int, next func() *Attachment, f func(*Attachment)) {
	ginkgo.GinkgoHelper()
	whole := e.timeADD(ctx, next, f)
	for i := range times {
		a := next()
		x := e.Begin(ctx, a.Request("ADD"))
		kill := time.AfterFunc(whole*time.Duration(i)/time.Duration(times), x.Kill)
		_ = x.Wait()
		kill.Stop()
		f(a)
	}
}

// timeADD is how long ADD takes, with a quarter more.
func (e *Env) timeADD(ctx context.Context, next func() *Attachment, f func(*Attachment)) time.Duration {
	ginkgo.GinkgoHelper()
	var took []time.Duration
	for range 5 {
		a := next()
		answer := e.Execute(ctx, a.Request("ADD"))
		e.MustOK(answer)
		f(a)
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
