// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/pkg/api"
)

// NodeRequest is a GC or STATUS as a shim posts it: without a container. GC
// names the sandbox as one that is to stay.
func NodeRequest(e *thick.Env, s *node.Sandbox, command string) *api.Request {
	ginkgo.GinkgoHelper()
	r := e.Request(command, s)
	r.Env = map[string]string{"CNI_COMMAND": command, "CNI_PATH": e.BinDir}
	if command == "GC" {
		var config map[string]any
		Expect(json.Unmarshal(r.Config, &config)).To(Succeed(), "JSON is expected here: %s", r.Config)
		config["cni.dev/valid-attachments"] = []any{map[string]any{"containerID": s.ID, "ifname": s.IfName}}
		r.Config = node.MustJSON(config)
	}
	return r
}

// EmptySuccess asserts an answer of 200 with no body or an empty JSON object.
func EmptySuccess(a *thick.Answer, what string) {
	ginkgo.GinkgoHelper()
	Expect(a.Status).To(Equal(http.StatusOK), "%s was answered with %s", what, a)
	body := bytes.TrimSpace(a.Body)
	if len(body) > 0 {
		Expect(body).To(MatchJSON("{}"), "the body of a successful %s", what)
	}
}

// PostRaw posts any bytes as JSON.
func PostRaw(ctx context.Context, e *thick.Env, endpoint string, body []byte) *thick.Answer {
	ginkgo.GinkgoHelper()
	a, err := e.Do(ctx, http.MethodPost, endpoint, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	return a
}

// SameError asserts that an answer is this CNI error, with its details.
func SameError(a *thick.Answer, want *types.Error) {
	ginkgo.GinkgoHelper()
	got := CNIError(a)
	Expect([]any{got.Code, got.Msg, got.Details}).To(Equal([]any{want.Code, want.Msg, want.Details}), "the delegate's error, in the answer %s", a)
}

// OperationEndpoints are those that carry out a Request.
var OperationEndpoints = []string{api.MultusCNIAPIEndpoint, api.MultusDelegateAPIEndpoint}

// HotplugRequest is a request for the interface hot0 of a sandbox.
func HotplugRequest(e *thick.Env, s *node.Sandbox, command, config string) *api.Request {
	return api.CreateDelegateRequest(command, s.ID, s.Netns, "hot0", s.PodNamespace, s.PodName, s.PodUID, []byte(config), nil)
}

// AllowedMethods lists the methods of an answer's header Allow.
func AllowedMethods(a *thick.Answer) []string {
	var allowed []string
	for _, m := range strings.Split(strings.Join(a.Header.Values("Allow"), ","), ",") {
		allowed = append(allowed, strings.TrimSpace(m))
	}
	return allowed
}

// MissingVariable stands for a variable that is not in the request.
const MissingVariable = "(missing)"

// VariableRefused asserts that a request with this value of a variable is
// refused with code 4, by a message that names the variable.
func VariableRefused(ctx context.Context, e *thick.Env, s *node.Sandbox, endpoint, command, variable, value string) {
	ginkgo.GinkgoHelper()
	r := e.Request(command, s)
	if endpoint == api.MultusDelegateAPIEndpoint {
		r = HotplugRequest(e, s, command, e.FakeList("hot"))
	}
	r.Env[variable] = value
	if value == MissingVariable {
		delete(r.Env, variable)
	}
	Naming(e.Post(ctx, endpoint, r), variable, command+" on "+endpoint+" with "+variable+" "+value)
}

// Naming asserts on a 400 with code 4 whose msg names the variable.
func Naming(a *thick.Answer, variable, what string) {
	ginkgo.GinkgoHelper()
	Expect(a.Status).To(Equal(http.StatusBadRequest), "%s was answered with %s", what, a)
	err := CNIError(a)
	Expect(err.Code).To(Equal(uint(4)), "%s was answered with %s", what, a)
	Expect(err.Msg).To(ContainSubstring(variable), "%s: the msg names the variable", what)
}

// Contents are the files below the case's directory with what is in them,
// directories included; the daemon's log is left out.
func Contents(e *thick.Env) map[string]string {
	ginkgo.GinkgoHelper()
	all := map[string]string{}
	Expect(node.Walk(e.Dir, func(path string, entry fs.DirEntry) error {
		if path == filepath.Join(e.Dir, "daemon.log") {
			return nil
		}
		all[path] = entry.Type().String()
		if !entry.Type().IsRegular() || path == filepath.Join(e.Dir, "netns", entry.Name()) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			delete(all, path)
			return err
		}
		all[path] += " " + string(data)
		return nil
	})).To(Succeed())
	return all
}

// Hotplug posts a request for an interface of a sandbox to /delegate.
func Hotplug(ctx context.Context, e *thick.Env, s *node.Sandbox, command, ifName, config string) *thick.Answer {
	ginkgo.GinkgoHelper()
	r := HotplugRequest(e, s, command, config)
	r.Env["CNI_IFNAME"] = ifName
	return e.Post(ctx, api.MultusDelegateAPIEndpoint, r)
}

// ValidKey is the key by which GC is told what is to stay (CNI spec, section 2).
const ValidKey = "cni.dev/valid-attachments"

// Way is one of the two by which a runtime's request reaches the daemon.
type Way struct {
	Name string
	// Ask sends a request and returns its CNI error, nil for a success.
	Ask func(ctx context.Context, r *api.Request) *types.Error
}

// WaysOf are the ways by which a command reaches the daemon: the socket and the
// shim.
func WaysOf(e *thick.Env) []Way {
	return []Way{
		{"/cni", func(ctx context.Context, r *api.Request) *types.Error {
			ginkgo.GinkgoHelper()
			a := e.Post(ctx, api.MultusCNIAPIEndpoint, r)
			if !a.OK() {
				return Refused(a)
			}
			EmptySuccess(a, r.Env["CNI_COMMAND"])
			return nil
		}},
		{"the shim", func(ctx context.Context, r *api.Request) *types.Error {
			ginkgo.GinkgoHelper()
			command := r.Env["CNI_COMMAND"]
			run := e.Shim(ctx, command, Nobody(e), thick.ShimConfigBytes(r.Config), thick.ShimEnv(func(env map[string]string) {
				clear(env)
				maps.Copy(env, r.Env)
			}))
			if run.ExitCode != 0 {
				OnlyDocument(run)
				Expect(run.Error()).NotTo(BeNil(), "%s: no CNI error on stdout: %q", command, run.Stdout)
				return run.Error()
			}
			SilentSuccess(run, command)
			return nil
		}},
	}
}

// Nobody stands where a sandbox is asked for and GC and STATUS have none.
func Nobody(e *thick.Env) *node.Sandbox { return &node.Sandbox{Node: e.Node} }

// StatusRequest is a STATUS as the shim posts it.
func StatusRequest(e *thick.Env) *api.Request {
	ginkgo.GinkgoHelper()
	return NodeRequest(e, Nobody(e), "STATUS")
}

// GcRequest is a GC as the shim posts it for a runtime that has these
// sandboxes, which it knows by the default network's interface alone.
func GcRequest(e *thick.Env, valid ...*node.Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	attachments := []any{}
	for _, s := range valid {
		attachments = append(attachments, AttachmentOf(s, s.IfName))
	}
	// libcni sends both: an older draft of the spec had the second name.
	return WithKey(WithKey(NodeRequest(e, Nobody(e), "GC"), ValidKey, attachments), "cni.dev/attachments", attachments)
}

// AttachmentOf is an element of the valid attachments.
func AttachmentOf(s *node.Sandbox, ifName string) map[string]any {
	return map[string]any{"containerID": s.ID, "ifname": ifName}
}

// WithKey sets a key of the request's configuration.
func WithKey(r *api.Request, key string, value any) *api.Request {
	ginkgo.GinkgoHelper()
	config := map[string]any{}
	Expect(json.Unmarshal(r.Config, &config)).To(Succeed(), "JSON is expected here: %s", r.Config)
	config[key] = value
	r.Config = node.MustJSON(config)
	return r
}

// Served asserts that a request succeeded.
func Served(err *types.Error, what string) {
	ginkgo.GinkgoHelper()
	Expect(err).To(BeNil(), what)
}

// StatusBecomes asserts that STATUS soon ends with a code, 0 for a
// success.
func StatusBecomes(ctx context.Context, e *thick.Env, w Way, code uint) {
	ginkgo.GinkgoHelper()
	Eventually(func() uint {
		if err := w.Ask(ctx, StatusRequest(e)); err != nil {
			return err.Code
		}
		return 0
	}).WithContext(ctx).WithTimeout(thick.FollowLimit).WithPolling(5*node.PollInterval).Should(Equal(code), "STATUS through %s", w.Name)
}

// Stranger is a sandbox that exists nowhere.
func Stranger(e *thick.Env) *node.Sandbox {
	return &node.Sandbox{Node: e.Node, Gone: true, ID: node.RandomHex(32), Netns: "/proc/self/no/" + node.RandomHex(8), IfName: "eth0",
		PodNamespace: "ns-" + node.RandomHex(4), PodName: "pod-" + node.RandomHex(4), PodUID: node.RandomHex(16)}
}
