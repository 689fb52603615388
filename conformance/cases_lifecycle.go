// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

func init() {
	gc, status := []Feature{FeatureGC}, []Feature{FeatureStatus}
	register(
		Case{
			ID: "GC-01", Profile: "lifecycle", Level: Must, Source: "CNI", Needs: gc, Body: gcInvalidOnly,
			Title: "GC deletes what cni.dev/valid-attachments does not name; what it names keeps its further interfaces",
		},
		Case{
			ID: "GC-02", Profile: "lifecycle", Level: Must, Source: "CNI", Needs: gc, Body: gcDelegates,
			Title: "Each network's delegates get GC with its valid attachments under their own interface names",
		},
		Case{
			ID: "GC-03", Profile: "lifecycle", Level: Must, Source: "CNI", Needs: gc, Body: gcDisabledAndFailing,
			Title: "disableGC is honoured; errors do not stop the rest and are reported",
		},
		Case{
			ID: "GC-04", Profile: "lifecycle", Level: Must, Source: "#1490", Needs: []Feature{FeatureGC, FeatureStatus}, Body: gcWithoutSandbox,
			Title: "GC and STATUS need no pod, container or namespace",
		},
		Case{
			ID: "ST-01", Profile: "lifecycle", Level: Must, Source: "CNI", Needs: status, Body: statusOfDelegates, Live: liveStatus,
			Title: "STATUS is 0 when ADD can be served; a delegate's STATUS error arrives with its code",
		},
		Case{
			ID: "ST-02", Profile: "lifecycle", Level: Must, Source: "CNI", Needs: status, Body: statusWithoutDefault,
			Title: "STATUS answers 50 while the default network's configuration is missing",
		},
	)
}

// validKey is the key by which GC is told what is to stay (CNI spec, section 2).
const validKey = "cni.dev/valid-attachments"

// way is one of the two by which a runtime's request reaches the daemon.
type way struct {
	name string
	// ask sends a request and returns its CNI error, nil for a success.
	ask func(ctx context.Context, r *api.Request) *types.Error
}

// ways are the daemon's socket and the shim.
func (e *Env) ways() []way {
	return []way{
		{"/cni", func(ctx context.Context, r *api.Request) *types.Error {
			ginkgo.GinkgoHelper()
			a := e.Post(ctx, api.MultusCNIAPIEndpoint, r)
			if !a.OK() {
				return expectRefused(a)
			}
			expectEmptySuccess(a, r.Env["CNI_COMMAND"])
			return nil
		}},
		{"the shim", func(ctx context.Context, r *api.Request) *types.Error {
			ginkgo.GinkgoHelper()
			command := r.Env["CNI_COMMAND"]
			run := e.Shim(ctx, command, e.nobody(), ShimConfigBytes(r.Config), ShimEnv(func(env map[string]string) {
				clear(env)
				maps.Copy(env, r.Env)
			}))
			if run.ExitCode != 0 {
				onlyDocument(run)
				Expect(run.Error()).NotTo(BeNil(), "%s: no CNI error on stdout: %q", command, run.Stdout)
				return run.Error()
			}
			expectSilentSuccess(run, command)
			return nil
		}},
	}
}

// nobody stands where a sandbox is asked for and GC and STATUS have none.
func (e *Env) nobody() *Sandbox { return &Sandbox{env: e} }

// statusRequest is a STATUS as the shim posts it.
func statusRequest(e *Env) *api.Request {
	ginkgo.GinkgoHelper()
	return nodeRequest(e, e.nobody(), "STATUS")
}

// gcRequest is a GC as the shim posts it for a runtime that has these
// sandboxes, which it knows by the default network's interface alone.
func gcRequest(e *Env, valid ...*Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	attachments := []any{}
	for _, s := range valid {
		attachments = append(attachments, attachmentOf(s, s.IfName))
	}
	// libcni sends both: an older draft of the spec had the second name.
	return withKey(withKey(nodeRequest(e, e.nobody(), "GC"), validKey, attachments), "cni.dev/attachments", attachments)
}

// attachmentOf is an element of the valid attachments.
func attachmentOf(s *Sandbox, ifName string) map[string]any {
	return map[string]any{"containerID": s.ID, "ifname": ifName}
}

// withKey sets a key of the request's configuration.
func withKey(r *api.Request, key string, value any) *api.Request {
	ginkgo.GinkgoHelper()
	config := map[string]any{}
	Expect(json.Unmarshal(r.Config, &config)).To(Succeed())
	config[key] = value
	r.Config = mustJSON(config)
	return r
}

// expectServed asserts that a request succeeded.
func expectServed(err *types.Error, what string) {
	ginkgo.GinkgoHelper()
	Expect(err).To(BeNil(), what)
}

// expectFailed asserts that a request failed, and returns the error.
func expectFailed(err *types.Error, what string) *types.Error {
	ginkgo.GinkgoHelper()
	Expect(err).NotTo(BeNil(), what)
	return err
}
