// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"net/http"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/pkg/api"
)

// ProbeStatus is the status that a probe is answered with, 0 without answer.
func ProbeStatus(ctx context.Context, e *thick.Env, endpoint string) int {
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(2*time.Second))
	defer cancel()
	a, err := e.Do(ctx, http.MethodGet, endpoint, nil, nil)
	if err != nil {
		return 0
	}
	return a.Status
}

// Probe asserts the status that a probe endpoint answers with.
func Probe(ctx context.Context, e *thick.Env, endpoint string, status int) {
	ginkgo.GinkgoHelper()
	Expect(ProbeStatus(ctx, e, endpoint)).To(Equal(status), "%s (0 means no answer)", endpoint)
}

// AwaitUnready waits until the daemon shows that SIGTERM has arrived: a signal
// takes its time, but no more than a second.
func AwaitUnready(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	Eventually(func() int { return ProbeStatus(ctx, e, api.MultusReadyAPIEndpoint) }).WithContext(ctx).
		WithTimeout(time.Second).WithPolling(node.PollInterval).ShouldNot(Equal(http.StatusOK),
		func() string {
			return "/readyz must not be 200 from SIGTERM on; the daemon's log:\n" + spec.LastLines(d.Log(), 40)
		})
}

// ReadyNow asserts that a daemon's client function, which asks once and for a second
// at most, finds it ready. One that was put off by the machine is asked again.
func ReadyNow(ctx context.Context, check func(runDir string) error, runDir, what string) {
	ginkgo.GinkgoHelper()
	Eventually(check).WithArguments(runDir).WithContext(ctx).WithTimeout(5*time.Second).Should(Succeed(), what)
}
