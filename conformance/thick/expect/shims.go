// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/pkg/api"
)

// daemonAbsent is for how long the shims are left without a daemon.
const daemonAbsent = 500 * time.Millisecond

// ShimsWaiting asserts that the shims still run.
func ShimsWaiting(shims ...*thick.ShimProcess) {
	ginkgo.GinkgoHelper()
	Consistently(func() int {
		ended := 0
		for _, s := range shims {
			select {
			case <-s.Done():
				ended++
			default:
			}
		}
		return ended
	}).WithTimeout(daemonAbsent).Should(BeZero(), "shims that ended instead of waiting for the daemon")
}

// Succeeded asserts that a shim ended with success.
func Succeeded(run *thick.ShimRun) {
	ginkgo.GinkgoHelper()
	Expect(run.ExitCode).To(BeZero(), "the shim printed %s %s", run.Stdout, run.Stderr)
}

// AnswerAll is a daemon to which everything succeeds.
func AnswerAll(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var request api.Request
	if json.NewDecoder(r.Body).Decode(&request) == nil && request.Env["CNI_COMMAND"] == "ADD" {
		_ = json.NewEncoder(w).Encode(api.Response{Result: &types100.Result{
			CNIVersion: "1.0.0", Interfaces: []*types100.Interface{{Name: request.Env["CNI_IFNAME"], Sandbox: request.Env["CNI_NETNS"]}},
		}})
	}
}

// RequestsOf counts a command's requests on /cni.
func RequestsOf(stub *thick.Stub, command string) int {
	n := 0
	for _, r := range stub.RequestsTo(api.MultusCNIAPIEndpoint) {
		if r.Request != nil && r.Request.Env["CNI_COMMAND"] == command {
			n++
		}
	}
	return n
}

// OnlyDocument decodes stdout, which must be one JSON object and no more.
func OnlyDocument(run *thick.ShimRun) map[string]any {
	ginkgo.GinkgoHelper()
	Expect(bytes.TrimSpace(run.Stdout)).NotTo(BeEmpty(), "stdout has neither a result nor an error; stderr has %q", run.Stderr)
	decoder := json.NewDecoder(bytes.NewReader(run.Stdout))
	var document map[string]any
	Expect(decoder.Decode(&document)).To(Succeed(), "stdout %q", run.Stdout)
	Expect(decoder.Decode(new(any))).To(Equal(io.EOF), "something follows the document on stdout %q", run.Stdout)
	return document
}

// SilentSuccess asserts on a command that has no result.
func SilentSuccess(run *thick.ShimRun, what string) {
	ginkgo.GinkgoHelper()
	Expect(run.ExitCode).To(BeZero(), "%s: %s %s", what, run.Stdout, run.Stderr)
	Expect(bytes.TrimSpace(run.Stdout)).To(BeEmpty(), "stdout of %s, which has no result", what)
}
