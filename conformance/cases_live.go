// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"net/http"
	"os"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// What cases ask of a daemon that already runs. Nothing here could attach or
// delete anything, also by a faulty daemon: containers have random ids, and no
// request is a complete ADD.

// liveSocket is SOCK-01 as far as it shows from outside.
func liveSocket(_ context.Context, e *Env) {
	info, err := os.Lstat(e.Socket())
	Expect(err).NotTo(HaveOccurred())
	Expect(info.Mode().Type()).To(Equal(os.ModeSocket), "%s is %s", e.Socket(), info.Mode())
}

// liveMode is SOCK-02 now, and not at every instant.
func liveMode(_ context.Context, e *Env) { Expect(owned(e.Socket())).To(Equal("0:0 0600")) }

// liveRunDir is SOCK-07 for the directory that the daemon has accepted.
func liveRunDir(_ context.Context, e *Env) {
	Expect(owned(e.RunDir)).To(MatchRegexp(`^0:0 0[0-7][0145][0145]$`), "a run directory that is root's, and that nobody else writes in")
}

// liveReady is READY-07 on a node in use: ready, and saying so.
func liveReady(ctx context.Context, e *Env) {
	expectProbe(ctx, e, api.MultusReadyAPIEndpoint, http.StatusOK)
	Expect(api.CheckAPIReadyNow(e.RunDir)).To(Succeed())
}

// liveMethods is EP-02 with empty bodies.
func liveMethods(ctx context.Context, e *Env) {
	for _, endpoint := range operationEndpoints {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			a, err := e.Do(ctx, method, endpoint, nil, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(a.Status).To(Equal(http.StatusMethodNotAllowed), "%s %s was answered with %s", method, endpoint, a)
			Expect(allowedMethods(a)).To(ConsistOf(http.MethodPost), "Allow in the answer to %s %s", method, endpoint)
		}
	}
	for _, path := range []string{"/", "/nope", "/cni/x", "/delegate/x"} {
		a, err := e.Do(ctx, http.MethodPost, path, nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(a.Status).To(Equal(http.StatusNotFound), "%s was answered with %s", path, a)
	}
}

// liveGarbage is EP-06.
func liveGarbage(ctx context.Context, e *Env) {
	for _, body := range []string{"", "ADD", "<request/>", "\x00\x01\xfe\xff", `{"env":{"CNI_COMMAND":"CHECK"`, `["a"]`, `{"env":{"CNI_COMMAND":5}}`} {
		a := postRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte(body))
		Expect(a.Status).To(Equal(http.StatusBadRequest), "%q was answered with %s", body, a)
		Expect(expectCNIError(a).Code).To(Equal(uint(6)), "%q was answered with %s", body, a)
	}
}

// stranger is a sandbox that exists nowhere.
func stranger(e *Env) *Sandbox {
	return &Sandbox{env: e, gone: true, ID: randomHex(32), Netns: "/proc/self/no/" + randomHex(8), IfName: "eth0",
		PodNamespace: "ns-" + randomHex(4), PodName: "pod-" + randomHex(4), PodUID: randomHex(16)}
}

// liveVariables is EP-07 with CHECK, which changes nothing.
func liveVariables(ctx context.Context, e *Env) {
	s := stranger(e)
	for variable, values := range map[string][]string{
		"CNI_COMMAND": {missingVariable, "BREW"}, "CNI_CONTAINERID": {missingVariable, "a b", "-a", "a/b"}, "CNI_IFNAME": {missingVariable, "a/b", ".."},
	} {
		for _, value := range values {
			expectVariableRefused(ctx, e, s, api.MultusCNIAPIEndpoint, "CHECK", variable, value)
		}
	}
}

// liveLimit is EP-09 without a look at the daemon's memory.
func liveLimit(ctx context.Context, e *Env) {
	body := `{"env":{"CNI_COMMAND":"CHECK"},"config":"` + strings.Repeat("A", 5<<20) + `"}`
	Expect(postRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte(body)).Status).To(Equal(http.StatusRequestEntityTooLarge))
	expectProbe(ctx, e, api.MultusHealthAPIEndpoint, http.StatusOK)
}

// liveUnknown is DEL-02 and CHECK-06 for a container that nobody has.
func liveUnknownDel(ctx context.Context, e *Env) { e.MustOK(e.Del(ctx, stranger(e))) }

func liveUnknownCheck(ctx context.Context, e *Env) { _ = expectCNIError(e.Check(ctx, stranger(e))) }

// liveStatus is ST-01 on a node in use, whose default network is there.
func liveStatus(ctx context.Context, e *Env) {
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, statusRequest(e)))
}
