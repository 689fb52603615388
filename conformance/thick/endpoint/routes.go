// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// endpointAnswered is EP-01, with a raw client and with the published one.
func endpointAnswered(ctx context.Context, e *thick.Env) {
	for _, endpoint := range append([]string{api.MultusHealthAPIEndpoint}, expect.OperationEndpoints...) {
		u, err := url.Parse(api.GetAPIEndpoint(endpoint))
		Expect(err).NotTo(HaveOccurred())
		Expect(u.Scheme).To(Equal("http"), "the scheme of %s", u)
		Expect(u.Path).To(Equal(endpoint), "the path of %s", u)
		Expect(u.Host).NotTo(BeEmpty(), "HTTP/1.1 wants a host in %s", u)
		Expect(u.RawQuery+u.Fragment).To(BeEmpty(), "what follows the path of %s", u)
	}
	e.Start(ctx)
	s, other := e.Sandbox(), e.Sandbox()
	Expect(e.Add(ctx, s).Result().IPs).NotTo(BeEmpty(), "addresses in the result")

	e.NoteAddOf(other.ID)
	body, err := api.DoCNI(api.GetAPIEndpoint(api.MultusCNIAPIEndpoint), e.Request("ADD", other), api.SocketPath(e.RunDir))
	Expect(err).NotTo(HaveOccurred())
	var response api.Response
	Expect(json.Unmarshal(body, &response)).To(Succeed(), "JSON is expected here: %s", body)
	Expect(response.Result).NotTo(BeNil(), "the published client got %s", body)
	Expect(e.CallsFor("ADD", other)).To(HaveLen(1), "calls of delegates at ADD")

	a := e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", e.FakeList("hot")))
	if e.Supports(thick.FeatureHotplug) {
		Expect(a.Result().IPs).NotTo(BeEmpty(), "addresses in the result")
		Expect(e.AwaitCalls(ctx, 1, expect.CallOf(s, "ADD", "hot"))).To(HaveLen(1), "calls of delegates")
		return
	}
	Expect(a.Status).NotTo(BeElementOf(http.StatusNotFound, http.StatusMethodNotAllowed), "a POST to /delegate was answered with %s", a)
}

// endpointOtherMethods is EP-02. Every body is an ADD that would succeed, so
// that a daemon that does not look at method or path is seen to execute it.
func endpointOtherMethods(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	s := e.Sandbox()
	e.NoteAddOf(s.ID)
	ask := func(method, path string) *thick.Answer {
		ginkgo.GinkgoHelper()
		header := http.Header{"Content-Type": {"application/json"}}
		a, err := e.Do(ctx, method, path, header, bytes.NewReader(node.MustJSON(e.Request("ADD", s))))
		Expect(err).NotTo(HaveOccurred(), "%s %s", method, path)
		return a
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"}
	for _, endpoint := range expect.OperationEndpoints {
		for _, method := range methods {
			a := ask(method, endpoint)
			Expect(a.Status).To(Equal(http.StatusMethodNotAllowed), "%s %s was answered with %s", method, endpoint, a)
			Expect(expect.AllowedMethods(a)).To(ConsistOf(http.MethodPost), "Allow in the answer to %s %s", method, endpoint)
		}
	}
	for _, path := range []string{"/", "/nope", "/cni/", "/cni/x", "/CNI", "/cn", "/cnix", "/delegate/", "/delegate/x", "/healthz/x", "/api/cni"} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			a := ask(method, path)
			Expect(a.Status).To(Equal(http.StatusNotFound), "%s %s was answered with %s", method, path, a)
		}
	}
	Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	expect.NothingLeft(e, s)
	e.MustOK(ask(http.MethodPost, api.MultusCNIAPIEndpoint))
}
