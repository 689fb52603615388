// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// warmTimeout is how long a daemon may need to look things up before its caches
// have them.
const warmTimeout = 20 * time.Second

// Warm returns when an ADD of these networks needs no more look-ups. A daemon
// sees changes in their order, so it then knows all that was made before. What
// it still writes of the sandbox that this was tried with is gone's.
func Warm(ctx context.Context, e *thick.Env, networks string) (gone func(kube.APIRequest) bool) {
	ginkgo.GinkgoHelper()
	last := e.Sandbox(node.Networks(networks))
	Eventually(func() []kube.APIRequest {
		asked := RequestsDuring(e, func() { e.MustOK(e.Add(ctx, last)) })
		e.MustOK(e.Del(ctx, last))
		return slices.DeleteFunc(asked, kube.APIRequest.IsWrite)
	}).WithContext(ctx).WithTimeout(warmTimeout).WithPolling(100*time.Millisecond).Should(BeEmpty(),
		"look-ups of an ADD whose pod and definitions are long there")
	return func(r kube.APIRequest) bool { return r.IsWrite() && r.Name == last.PodName }
}

// RequestsDuring lists what the daemon asks of the API server while f runs,
// events aside.
func RequestsDuring(e *thick.Env, f func()) []kube.APIRequest {
	ginkgo.GinkgoHelper()
	before := len(e.APIRequests())
	f()
	return WithoutEvents(e.APIRequests()[before:])
}

// WithoutEvents leaves the requests out that are about events.
func WithoutEvents(all []kube.APIRequest) []kube.APIRequest {
	return slices.DeleteFunc(slices.Clone(all), func(r kube.APIRequest) bool { return r.Resource == "events" })
}
