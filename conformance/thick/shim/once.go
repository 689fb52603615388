// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var onceCases = []thick.Case{{
	ID: "SHIM-16", Level: spec.Must, Source: "false pass found", Body: shimPostsOnce,
	Title: "A request that was answered, with success or error, is posted once",
}}

// shimPostsOnce is SHIM-16. A second ADD would attach what the first was told
// not to, and a second DEL hides what the first one's error said.
func shimPostsOnce(ctx context.Context, e *thick.Env) {
	var status atomic.Int64
	var code atomic.Uint64
	stub := e.Stub(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status.Load() == http.StatusOK {
			expect.AnswerAll(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write(node.MustJSON(types.NewError(uint(code.Load()), "not now", "")))
	}))
	s := e.Sandbox()
	commands := []string{"ADD", "CHECK", "DEL"}
	if e.Supports(thick.FeatureGC) {
		commands = append(commands, "GC")
	}
	if e.Supports(thick.FeatureStatus) {
		commands = append(commands, "STATUS")
	}
	for _, answer := range []struct {
		status int
		code   uint
	}{
		{http.StatusOK, 0}, {http.StatusInternalServerError, 999}, {http.StatusBadRequest, 4}, {http.StatusForbidden, 100},
		{http.StatusServiceUnavailable, 11}, {http.StatusInternalServerError, 11}, {http.StatusInternalServerError, 50},
	} {
		ginkgo.By(http.StatusText(answer.status))
		status.Store(int64(answer.status))
		code.Store(uint64(answer.code))
		for _, command := range commands {
			before := len(stub.RequestsTo(api.MultusCNIAPIEndpoint))
			run := e.Shim(ctx, command, s)
			if answer.status == http.StatusOK {
				expect.Succeeded(run)
			} else {
				Expect(run.ExitCode).NotTo(BeZero(), "%s that was answered with %d: %s", command, answer.status, run.Stdout)
			}
			Expect(stub.RequestsTo(api.MultusCNIAPIEndpoint)[before:]).To(HaveLen(1),
				"requests for one %s that was answered with %d and code %d", command, answer.status, answer.code)
		}
	}
}
