// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// oddConfig is the shim's configuration with everything that a decoding and
// encoding anew would change.
func oddConfig(e *thick.Env) []byte {
	ginkgo.GinkgoHelper()
	config, err := e.Target.ShimConfig(e.Paths())
	Expect(err).NotTo(HaveOccurred())
	fields, opened := strings.CutPrefix(strings.TrimSpace(string(config)), "{")
	Expect(opened).To(BeTrue(), "the shim's configuration is an object: %s", config)
	return []byte("\r\n\t {  \"z\" : 12345678901234567890.10 ,\"a\":1e400, \"dup\":1,\"dup\":\t2,\n\n" +
		`"esc":"\u0041\/\u003c<>&\ud83c\udf32 Zürich ` + "\u2028 \xff" + `","empty":{ },"null":null, "pad":"` + strings.Repeat("0123456789", 20<<10) +
		`",` + fields + "\n \t\n")
}

// shimByteForByte is SHIM-04.
func shimByteForByte(ctx context.Context, e *thick.Env) {
	stub := e.Stub(http.HandlerFunc(expect.AnswerAll))
	s := e.Sandbox()
	commands := []string{"ADD", "CHECK", "DEL"}
	if e.Supports(thick.FeatureGC) {
		commands = append(commands, "GC")
	}
	if e.Supports(thick.FeatureStatus) {
		commands = append(commands, "STATUS")
	}
	config := oddConfig(e)
	for i, command := range commands {
		var want map[string]string
		run := e.Shim(ctx, command, s, thick.ShimConfigBytes(config), thick.ShimEnv(func(env map[string]string) {
			env["CNI_ARGS"] = "IgnoreUnknown=1;A=b=c==;SPACED=a b  c ;EMPTY=;UNICODE=Zürich \U0001F332;Q=\"'\\<>&%20\n\t;" + s.Args()
			env["CNI_PATH"] = e.BinDir + ":/opt/with space/bin:"
			env["CNI_X_EMPTY"], env["CNI_X_EQUALS"], env["CNI_x_lower"] = "", "=a=b=", " v "
			want = maps.Clone(env)
			env["PATH"], env["XCNI_Y"], env["HOME"] = "/bin", "1", "/root"
		}))
		expect.Succeeded(run)
		requests := stub.RequestsTo(api.MultusCNIAPIEndpoint)
		Expect(requests).To(HaveLen(i+1), "requests after %s", command)
		r := requests[i]
		Expect(r.Method).To(Equal(http.MethodPost), "the method of the request")
		got, gotConfig := requestOnWire(r.Body)
		maps.DeleteFunc(got, func(k, _ string) bool { return !strings.HasPrefix(k, "CNI_") })
		Expect(got).To(Equal(want), "CNI_* of %s", command)
		// BeTrue instead of Equal: the configuration is 200 KiB long.
		Expect(bytes.Equal(gotConfig, config)).To(BeTrue(), "the configuration of %s arrived as %.400q", command, gotConfig)
	}
}

// requestOnWire reads a Request by names written here: those of the API's type
// are the shim's own, and would agree with it in any case.
func requestOnWire(body []byte) (env map[string]string, config []byte) {
	ginkgo.GinkgoHelper()
	var fields map[string]json.RawMessage
	Expect(json.Unmarshal(body, &fields)).To(Succeed(), "the body %.400q", body)
	Expect(fields).To(And(HaveKey("env"), HaveKey("config")), "the fields of a Request")
	Expect(json.Unmarshal(fields["env"], &env)).To(Succeed())
	Expect(json.Unmarshal(fields["config"], &config)).To(Succeed(), "config is base64")
	return env, config
}

// shimErrorAsItCame is SHIM-05.
func shimErrorAsItCame(ctx context.Context, e *thick.Env) {
	var status int
	var body []byte
	e.Stub(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	s := e.Sandbox()
	commands := []string{"ADD", "CHECK", "DEL"}
	if e.Supports(thick.FeatureStatus) {
		commands = append(commands, "STATUS")
	}
	for _, row := range []struct {
		status int
		err    *types.Error
	}{
		{http.StatusInternalServerError, types.NewError(123, `no "blue"`, "details: <a&b>\n\tZürich \U0001F332 \\")},
		{http.StatusBadRequest, types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_IFNAME is missing", "")},
		{http.StatusServiceUnavailable, types.NewError(types.ErrTryAgainLater, "shutting down", "soon")},
		{http.StatusForbidden, types.NewError(65535, "100% of %s", "%d")},
	} {
		status, body = row.status, node.MustJSON(row.err)
		for _, command := range commands {
			run := e.Shim(ctx, command, s)
			Expect(run.ExitCode).NotTo(BeZero(), "%s that the daemon answered with %d", command, status)
			expect.OnlyDocument(run)
			got := run.Error()
			Expect(got).NotTo(BeNil(), "no CNI error on stdout: %q", run.Stdout)
			Expect([]any{got.Code, got.Msg, got.Details}).To(Equal([]any{row.err.Code, row.err.Msg, row.err.Details}), "the error of %s", command)
		}
	}
	ginkgo.By("answers that are no CNI error")
	for _, row := range []struct {
		status int
		body   string
	}{{http.StatusInternalServerError, "panic"}, {http.StatusNotFound, ""}, {http.StatusOK, "not JSON"}, {http.StatusOK, `{"Result":null}`}} {
		status, body = row.status, []byte(row.body)
		run := e.Shim(ctx, "ADD", s)
		Expect(run.ExitCode).NotTo(BeZero(), "ADD that was answered with %d %q", status, body)
		expect.OnlyDocument(run)
		Expect(run.Error()).NotTo(BeNil(), "no CNI error on stdout: %q", run.Stdout)
	}
}

// unusableConfigs are configurations with the key that the error must name,
// "" for those that have none. They are made from a usable one.
func unusableConfigs(good map[string]any, logging bool) map[string]struct{ config, key string } {
	all := map[string]struct{ config, key string }{}
	raw := func(what, config, key string) { all[what] = struct{ config, key string }{config, key} }
	raw("nothing", "", "")
	raw("no JSON", "daemonSocketDir = /run/multus", "")
	raw("truncated", string(node.MustJSON(good)[:20]), "")
	raw("an array", "["+string(node.MustJSON(good))+"]", "")
	raw("a string", `"multus"`, "")
	with := func(what, key string, value any) {
		config := maps.Clone(good)
		config[key] = value
		raw(what, string(node.MustJSON(config)), key)
	}
	with("socket directory: a number", "daemonSocketDir", 5)
	with("socket directory: a list", "daemonSocketDir", []string{"/run/multus"})
	with("socket directory: an object", "daemonSocketDir", map[string]any{})
	with("socket directory: longer than an address", "daemonSocketDir", "/"+strings.Repeat("d", 200))
	if logging {
		with("log file: a boolean", "logFile", true)
		with("log level: a number", "logLevel", 5)
		with("log to stderr: a text", "logToStderr", "yes")
	}
	with("name: a number", "name", 5)
	with("name: with a slash", "name", "a/b")
	with("name: empty", "name", "")
	with("version: a number", "cniVersion", 1.1)
	nameless := maps.Clone(good)
	delete(nameless, "name")
	raw("no name", string(node.MustJSON(nameless)), "name")
	return all
}

// shimBadConfiguration is SHIM-09.
func shimBadConfiguration(ctx context.Context, e *thick.Env) {
	stub := e.Stub(http.HandlerFunc(expect.AnswerAll))
	s := e.Sandbox()
	var good map[string]any
	Expect(json.Unmarshal(e.Request("ADD", s).Config, &good)).To(Succeed())
	configs := unusableConfigs(good, e.Supports(thick.FeatureShimLog))
	for _, what := range slices.Sorted(maps.Keys(configs)) {
		for _, command := range []string{"ADD", "CHECK", "DEL"} {
			run := e.Shim(ctx, command, s, thick.ShimConfigBytes([]byte(configs[what].config)))
			Expect(run.ExitCode).NotTo(BeZero(), "%s with the configuration %q", command, what)
			expect.OnlyDocument(run)
			err := run.Error()
			Expect(err).NotTo(BeNil(), "%s, %s: no CNI error on stdout: %q", command, what, run.Stdout)
			Expect(err.Code).To(BeElementOf(uint(6), uint(7)), "%s, %s: %v", command, what, err)
			Expect(err.Error()).To(ContainSubstring(configs[what].key), "%s, %s: the error names the key", command, what)
		}
	}
	Expect(stub.Connections()).To(BeZero(), "connections to the daemon")
	Expect(e.RecordsOf(s)).To(BeEmpty(), "DELs that were kept for later")
	// The stub was there to be found.
	expect.Succeeded(e.Shim(ctx, "ADD", s, thick.ShimConfigBytes(node.MustJSON(good))))
	Expect(stub.Connections()).NotTo(BeZero(), "connections of the shim to the daemon")
}
