// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// What SEC-04 does with requests whose own configuration has secrets.

// brokenTexts are configurations, made from a good one that has the secret,
// that cannot be read.
func brokenTexts(good, secret string) map[string]string {
	return map[string]string{
		"cut off":     good[:len(good)-1],
		"two texts":   good + secret,
		"no object":   `["` + secret + `"]`,
		"only secret": secret,
		"no quotes":   `{"token":` + secret + `}`,
		"bad name":    `{"cniVersion":"1.0.0","name":7,"type":"fake","token":"` + secret + `"}`,
		"bad version": `{"cniVersion":["` + secret + `"],"name":"n","type":"fake"}`,
	}
}

// withSecrets adds secrets to the configuration of a request.
func withSecrets(config []byte, secret string) []byte {
	ginkgo.GinkgoHelper()
	var fields map[string]any
	Expect(json.Unmarshal(config, &fields)).To(Succeed(), "JSON is expected here: %s", config)
	for key, value := range secretKeys(secret) {
		fields[key] = value
	}
	return node.MustJSON(fields)
}

// secretsOfRequest posts requests with secrets in their configuration that the
// daemon has to refuse, and bodies that are none.
func secretsOfRequest(ctx context.Context, e *thick.Env, v *eavesdropper) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks("no-such-network"))
	r := e.Request("ADD", s)
	r.Config = withSecrets(r.Config, v.secret)
	v.answer("ADD with an unknown network", e.Post(ctx, api.MultusCNIAPIEndpoint, r))
	whole := node.MustJSON(r)
	v.answer("ADD without a namespace", e.Post(ctx, api.MultusCNIAPIEndpoint, &api.Request{Env: e.Sandbox(node.WithoutNetns()).Env("ADD"), Config: r.Config}))
	r.Env["CNI_COMMAND"] = "BREW"
	v.answer("an unknown command", e.Post(ctx, api.MultusCNIAPIEndpoint, r))
	for what, body := range map[string]string{
		"a body that is cut off":    string(whole[:len(whole)-1]),
		"a body with more":          string(whole) + v.secret,
		"configuration as a text":   `{"env":{"CNI_COMMAND":"ADD"},"config":"` + v.secret + `!"}`,
		"configuration as a number": `{"env":{"CNI_COMMAND":"ADD"},"config":7,"token":"` + v.secret + `"}`,
		"configuration as it is":    `{"env":{"CNI_COMMAND":"ADD"},"config":{"token":"` + v.secret + `"}}`,
	} {
		v.answer(what, expect.PostRaw(ctx, e, api.MultusCNIAPIEndpoint, []byte(body)))
	}
	e.Definition("refuses", e.FakeList("refuses", script.Fake{Add: script.FakeStep{Exit: 1}}))
	for what, config := range brokenTexts(string(withSecrets(e.Request("ADD", s).Config, v.secret)), v.secret) {
		r := e.Request("ADD", e.Sandbox(node.Networks("refuses")))
		r.Config = []byte(config)
		v.answer("ADD with a configuration that is "+what, e.Post(ctx, api.MultusCNIAPIEndpoint, r))
	}
}

// secretsOfHotplug posts configurations with secrets to /delegate.
func secretsOfHotplug(ctx context.Context, e *thick.Env, v *eavesdropper) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	refusal := script.FakeStep{Error: types.NewError(117, "no address is free", ""), Times: 1}
	configs := brokenTexts(e.FakeList("hot", script.Fake{Extra: secretKeys(v.secret)}), v.secret)
	for what, f := range map[string]script.Fake{
		"refused":   {Add: refusal},
		"failing":   {Add: script.FakeStep{Exit: 1, Times: 1}},
		"garbled":   {Add: script.FakeStep{Stdout: "garbage", Times: 1}},
		"no plugin": {Type: "no-plugin-either"},
	} {
		f.Extra = secretKeys(v.secret)
		configs[what] = e.FakeList("hot-"+node.RandomHex(2), f)
	}
	for what, config := range configs {
		v.answer("hot-plug: "+what, e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", config)))
	}
	// The DEL of the plugin that is not installed waits for it.
	Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), filepath.Join(e.BinDir, "no-plugin-either"))).To(Succeed())
	v.deleted("DEL after the hot-plugs", e.Del(ctx, s))
}

// secretsOfShim executes the shim, with all of its logging, on configurations
// with secrets.
func secretsOfShim(ctx context.Context, e *thick.Env, v *eavesdropper) {
	ginkgo.GinkgoHelper()
	logFile := filepath.Join(e.Dir, "shim.log")
	config := func(broken string) thick.ShimOption {
		ginkgo.GinkgoHelper()
		fields := map[string]any{}
		Expect(json.Unmarshal(withSecrets(e.Request("ADD", e.Sandbox()).Config, v.secret), &fields)).To(Succeed())
		fields["logFile"], fields["logLevel"], fields["logToStderr"] = logFile, "debug", true
		if broken != "" {
			fields[broken] = 7
		}
		return thick.ShimConfigBytes(node.MustJSON(fields))
	}
	s := e.Sandbox()
	v.shim("ADD of a network that refuses", e.Shim(ctx, "ADD", e.Sandbox(node.Networks("refuses")), config("")))
	expect.Succeeded(e.Shim(ctx, "ADD", s, config("")))
	v.shim("a second ADD", e.Shim(ctx, "ADD", s, config("")))
	v.shim("no namespace", e.Shim(ctx, "ADD", e.Sandbox(node.WithoutNetns()), config("")))
	v.shim("a wrong type", e.Shim(ctx, "ADD", s, config("daemonSocketDir")))
	v.shim("STATUS without a daemon", e.Shim(ctx, "STATUS", s, config(""), withoutDaemon(e)))
	for what, text := range brokenTexts(string(withSecrets(e.Request("ADD", s).Config, v.secret)), v.secret) {
		v.shim("the shim's configuration is "+what, e.Shim(ctx, "ADD", s, thick.ShimConfigBytes([]byte(text))))
	}
	expect.Succeeded(e.Shim(ctx, "DEL", s, config("")))
	v.shim("DEL without a daemon", e.Shim(ctx, "DEL", e.Sandbox(), config(""), withoutDaemon(e)))
	written, err := os.ReadFile(logFile)
	Expect(err).NotTo(HaveOccurred(), "the shim's log")
	Expect(written).NotTo(BeEmpty(), "the shim's log")
	v.keep("the shim's log", string(written))
}

// withoutDaemon sends the shim to a run directory that does not exist, and
// leaves the rest of its configuration as it is.
func withoutDaemon(e *thick.Env) thick.ShimOption {
	return thick.ShimConfig(func(config map[string]any) {
		for key, value := range config {
			if value == e.RunDir {
				config[key] = filepath.Join(e.Dir, "r-none")
			}
		}
	})
}
