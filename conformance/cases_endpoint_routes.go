// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// operationEndpoints are those that carry out a Request.
var operationEndpoints = []string{api.MultusCNIAPIEndpoint, api.MultusDelegateAPIEndpoint}

// endpointAnswered is EP-01, with a raw client and with the published one.
func endpointAnswered(ctx context.Context, e *Env) {
	for _, endpoint := range append([]string{api.MultusHealthAPIEndpoint}, operationEndpoints...) {
		u, err := url.Parse(api.GetAPIEndpoint(endpoint))
		Expect(err).NotTo(HaveOccurred())
		Expect(u.Scheme).To(Equal("http"), "the scheme of %s", u)
		Expect(u.Path).To(Equal(endpoint), "the path of %s", u)
		Expect(u.Host).NotTo(BeEmpty(), "HTTP/1.1 wants a host in %s", u)
		Expect(u.RawQuery+u.Fragment).To(BeEmpty(), "what follows the path of %s", u)
	}
	e.Start(ctx)
	s, other := e.Sandbox(), e.Sandbox()
	Expect(e.Add(ctx, s).Result().IPs).NotTo(BeEmpty())

	e.noteAddOf(other.ID)
	body, err := api.DoCNI(api.GetAPIEndpoint(api.MultusCNIAPIEndpoint), e.Request("ADD", other), api.SocketPath(e.RunDir))
	Expect(err).NotTo(HaveOccurred())
	var response api.Response
	Expect(json.Unmarshal(body, &response)).To(Succeed())
	Expect(response.Result).NotTo(BeNil(), "the published client got %s", body)
	Expect(e.CallsFor("ADD", other)).To(HaveLen(1))

	a := e.Post(ctx, api.MultusDelegateAPIEndpoint, hotplugRequest(e, s, "ADD", e.FakeList("hot")))
	if e.Supports(FeatureHotplug) {
		Expect(a.Result().IPs).NotTo(BeEmpty())
		Expect(e.AwaitCalls(ctx, 1, callOf(s, "ADD", "hot"))).To(HaveLen(1))
		return
	}
	Expect(a.Status).NotTo(BeElementOf(http.StatusNotFound, http.StatusMethodNotAllowed), "a POST to /delegate was answered with %s", a)
}

// hotplugRequest is a request for the interface hot0 of a sandbox.
func hotplugRequest(e *Env, s *Sandbox, command, config string) *api.Request {
	return api.CreateDelegateRequest(command, s.ID, s.Netns, "hot0", s.PodNamespace, s.PodName, s.PodUID, []byte(config), nil)
}

// endpointOtherMethods is EP-02. Every body is an ADD that would succeed, so
// that a daemon that does not look at method or path is seen to execute it.
func endpointOtherMethods(ctx context.Context, e *Env) {
	e.Start(ctx)
	s := e.Sandbox()
	e.noteAddOf(s.ID)
	ask := func(method, path string) *Answer {
		ginkgo.GinkgoHelper()
		header := http.Header{"Content-Type": {"application/json"}}
		a, err := e.Do(ctx, method, path, header, bytes.NewReader(mustJSON(e.Request("ADD", s))))
		Expect(err).NotTo(HaveOccurred(), "%s %s", method, path)
		return a
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"}
	for _, endpoint := range operationEndpoints {
		for _, method := range methods {
			a := ask(method, endpoint)
			Expect(a.Status).To(Equal(http.StatusMethodNotAllowed), "%s %s was answered with %s", method, endpoint, a)
			Expect(allowedMethods(a)).To(ConsistOf(http.MethodPost), "Allow in the answer to %s %s", method, endpoint)
		}
	}
	for _, path := range []string{"/", "/nope", "/cni/", "/cni/x", "/CNI", "/cn", "/cnix", "/delegate/", "/delegate/x", "/healthz/x", "/api/cni"} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			a := ask(method, path)
			Expect(a.Status).To(Equal(http.StatusNotFound), "%s %s was answered with %s", method, path, a)
		}
	}
	Expect(trace(attachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	expectNothingLeft(e, s)
	e.MustOK(ask(http.MethodPost, api.MultusCNIAPIEndpoint))
}

func allowedMethods(a *Answer) []string {
	var allowed []string
	for _, m := range strings.Split(strings.Join(a.Header.Values("Allow"), ","), ",") {
		allowed = append(allowed, strings.TrimSpace(m))
	}
	return allowed
}
