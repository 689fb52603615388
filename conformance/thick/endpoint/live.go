// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"net/http"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// liveMethods is EP-02 with empty bodies.
func liveMethods(ctx context.Context, e *thick.Env) {
	for _, endpoint := range expect.OperationEndpoints {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			a, err := e.Do(ctx, method, endpoint, nil, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(a.Status).To(Equal(http.StatusMethodNotAllowed), "%s %s was answered with %s", method, endpoint, a)
			Expect(expect.AllowedMethods(a)).To(ConsistOf(http.MethodPost), "Allow in the answer to %s %s", method, endpoint)
		}
	}
	for _, path := range []string{"/", "/nope", "/cni/x", "/delegate/x"} {
		a, err := e.Do(ctx, http.MethodPost, path, nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(a.Status).To(Equal(http.StatusNotFound), "%s was answered with %s", path, a)
	}
}

// liveGarbage is EP-06.
func liveGarbage(ctx context.Context, e *thick.Env) {
	for _, body := range []string{"", "ADD", "<request/>", "\x00\x01\xfe\xff", `{"env":{"CNI_COMMAND":"CHECK"`, `["a"]`, `{"env":{"CNI_COMMAND":5}}`} {
		a := expect.PostRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte(body))
		Expect(a.Status).To(Equal(http.StatusBadRequest), "%q was answered with %s", body, a)
		Expect(expect.CNIError(a).Code).To(Equal(uint(6)), "%q was answered with %s", body, a)
	}
}

// liveVariables is EP-07 with CHECK, which changes nothing.
func liveVariables(ctx context.Context, e *thick.Env) {
	s := expect.Stranger(e)
	for variable, values := range map[string][]string{
		"CNI_COMMAND": {expect.MissingVariable, "BREW"}, "CNI_CONTAINERID": {expect.MissingVariable, "a b", "-a", "a/b"}, "CNI_IFNAME": {expect.MissingVariable, "a/b", ".."},
	} {
		for _, value := range values {
			expect.VariableRefused(ctx, e, s, api.MultusCNIAPIEndpoint, "CHECK", variable, value)
		}
	}
}

// liveLimit is EP-09 without a look at the daemon's memory.
func liveLimit(ctx context.Context, e *thick.Env) {
	body := `{"env":{"CNI_COMMAND":"CHECK"},"config":"` + strings.Repeat("A", 5<<20) + `"}`
	Expect(expect.PostRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte(body)).Status).To(Equal(http.StatusRequestEntityTooLarge), "the HTTP status of the answer")
	expect.Probe(ctx, e, api.MultusHealthAPIEndpoint, http.StatusOK)
}
