// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"
)

// kubeconfigVariable names the cluster that the tests may use as they like.
const kubeconfigVariable = "THICKET_E2E_KUBECONFIG"

var the *cluster

func TestE2E(t *testing.T) {
	if os.Getenv(kubeconfigVariable) == "" {
		t.Skipf("no cluster: %s is not set; make kind-e2e makes a cluster and runs these tests on it", kubeconfigVariable)
	}
	RegisterFailHandler(Fail)
	// What is left behind is a few lines for each node: none may be cut.
	format.TruncatedDiff = false
	// Without this a context's deadline alone would count, and none is set.
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(200 * time.Millisecond)
	RunSpecs(t, "Thicket on a cluster of real nodes", Label("e2e"))
}

var _ = BeforeSuite(func(ctx SpecContext) {
	the = connect(ctx, os.Getenv(kubeconfigVariable))
	the.awaitDaemons(ctx)
	for _, node := range the.workers {
		the.joinUplinks(ctx, node)
	}
})
