// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/procfs"
)

const (
	// settleWatch is how long the machine has to be calm before it is measured.
	settleWatch = 500 * time.Millisecond
	// settleLimit is how long that is waited for.
	settleLimit = 30 * time.Second
	// calm is the share of its processors that a machine at rest uses.
	calm = 0.1

	// restLooks is how often in a row, restPause apart, nothing may be running for a
	// machine to be at rest; restLimit is how long that is waited for before a
	// request, burstRestLimit before a burst, which leaves more behind.
	restLooks      = 5
	restPause      = time.Millisecond
	restLimit      = 200 * time.Millisecond
	burstRestLimit = 10 * time.Second
)

// settle waits until an API server that has just started has come to rest.
func (b *bench) settle(ctx context.Context) {
	ginkgo.GinkgoHelper()
	b.progress("waiting until the machine is calm")
	tick := time.NewTicker(settleWatch)
	defer tick.Stop()
	late := time.After(settleLimit)
	idle := idleTime()
	for {
		select {
		case <-tick.C:
		case <-late:
			b.progress("the machine is busy with something else: the times will be too long")
			return
		case <-ctx.Done():
			ginkgo.Fail(ctx.Err().Error())
		}
		before := idle
		idle = idleTime()
		if (idle - before).Seconds() > (1-calm)*settleWatch.Seconds()*float64(runtime.NumCPU()) {
			return
		}
	}
}

// atRest returns when nothing but the benchmark itself is running, or after a while
// on a machine that is never at rest.
func (b *bench) atRest(ctx context.Context) { b.atRestWithin(ctx, restLimit) }

func (b *bench) atRestWithin(ctx context.Context, limit time.Duration) {
	ginkgo.GinkgoHelper()
	b.begun++
	fs, err := procfs.NewDefaultFS()
	Expect(err).NotTo(HaveOccurred())
	tick := time.NewTicker(restPause)
	defer tick.Stop()
	late := time.After(limit)
	for quiet := 0; quiet < restLooks; {
		select {
		case <-tick.C:
		case <-late:
			b.busy++
			return
		case <-ctx.Done():
			ginkgo.Fail(ctx.Err().Error())
		}
		stat, err := fs.Stat()
		Expect(err).NotTo(HaveOccurred())
		quiet++
		if stat.ProcessesRunning > 1 {
			quiet = 0
		}
	}
}

// idleTime is how long all processors together have had nothing to do.
func idleTime() time.Duration {
	ginkgo.GinkgoHelper()
	fs, err := procfs.NewDefaultFS()
	Expect(err).NotTo(HaveOccurred())
	stat, err := fs.Stat()
	Expect(err).NotTo(HaveOccurred())
	return time.Duration(stat.CPUTotal.Idle * float64(time.Second))
}
