// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// secretKeys are where configurations have their secrets, also deeper inside.
func secretKeys(secret string) map[string]any {
	return map[string]any{
		"token": secret, "password": secret,
		"kubeconfig": "apiVersion: v1\nkind: Config\nusers:\n- name: node\n  user: {token: " + secret + "}\n",
		"ipam":       map[string]any{"type": "fake", "credentials": []any{map[string]any{"secretKey": secret}}},
	}
}

// eavesdropper collects all that a case hears of the target.
type eavesdropper struct {
	env    *thick.Env
	secret string
	heard  map[string]string
	// refused counts the errors among it, as that is where a secret would be.
	refused int
}

// answer keeps an answer to a request that should fail. That it does is for
// other rows to say.
func (v *eavesdropper) answer(what string, a *thick.Answer) {
	if a.OK() {
		v.env.AllowLeftovers(what + " was accepted")
	} else {
		v.refused++
	}
	v.hear(what, a)
}

// hear keeps an answer to a request that may well succeed.
func (v *eavesdropper) hear(what string, a *thick.Answer) {
	v.keep(what, string(a.Body))
	v.keep(what+", header", fmt.Sprint(a.Header))
}

// deleted keeps the answer to a DEL, which should succeed.
func (v *eavesdropper) deleted(what string, a *thick.Answer) {
	if !a.OK() {
		v.env.AllowLeftovers(what + " failed")
	}
	v.keep(what, string(a.Body))
}

// shim keeps what an execution of the shim printed.
func (v *eavesdropper) shim(what string, run *thick.ShimRun) {
	if run.ExitCode == 0 {
		v.env.AllowLeftovers(what + " succeeded")
	} else {
		v.refused++
	}
	v.keep(what+", the shim's stdout", string(run.Stdout))
	v.keep(what+", the shim's stderr", string(run.Stderr))
}

func (v *eavesdropper) keep(what, text string) { v.heard[what] += text }

// forms are what the secret looks like in a text: as it is, as the bytes that
// Go prints, and as base64 at each offset, without the ends that depend on
// what stands beside it.
func (v *eavesdropper) forms() []string {
	forms := []string{v.secret, strings.Trim(fmt.Sprintf("%d", []byte(v.secret)), "[]"), hex.EncodeToString([]byte(v.secret))}
	for offset := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte("..."[:offset] + v.secret))
		forms = append(forms, encoded[4:len(encoded)-4])
	}
	return forms
}

// expectSecret asserts that the secret is in nothing that was heard.
func (v *eavesdropper) expectSecret() {
	ginkgo.GinkgoHelper()
	Expect(v.refused).To(BeNumerically(">", len(v.heard)/4), "errors that were heard")
	var told []string
	for _, what := range slices.Sorted(maps.Keys(v.heard)) {
		for line := range strings.Lines(v.heard[what]) {
			if slices.ContainsFunc(v.forms(), func(form string) bool { return strings.Contains(line, form) }) {
				told = append(told, what+": "+line)
			}
		}
	}
	Expect(told).To(BeEmpty(), "lines that print a secret of the configuration")
}

// securitySecrets is SEC-04. The secret is the same one everywhere.
func securitySecrets(ctx context.Context, e *thick.Env) {
	v := &eavesdropper{env: e, secret: "s3cr3t-" + node.RandomHex(12), heard: map[string]string{}}
	networks := leakyNetworks(e, v.secret)
	e.DefaultNetwork(e.FakeList("default", script.Fake{Extra: secretKeys(v.secret)}))
	var own []thick.StartOption
	if e.Supports(thick.FeatureMultusConfig) {
		own = append(own, thick.ConfigPatch(func(config map[string]any) {
			config["kubeconfigContent"], config["token"] = secretKeys(v.secret)["kubeconfig"], v.secret
		}))
	}
	d := e.Start(ctx, own...)
	for _, name := range networks {
		s := e.Sandbox(node.Annotation("k8s.v1.cni.cncf.io/networks", string(node.MustJSON([]any{map[string]any{
			"name": name, "cni-args": map[string]any{"password": v.secret},
		}}))))
		a, err := e.TryPost(ctx, "/cni", e.Request("ADD", s))
		if err != nil {
			continue // without an answer nothing is told; that there is one is NET-17's
		}
		v.answer("ADD of "+name, a)
		v.deleted("DEL of "+name, e.Del(ctx, s))
	}
	secretsAfterAdd(ctx, e, v)
	secretsOfDefault(ctx, e, v)
	secretsOfRequest(ctx, e, v)
	if e.Supports(thick.FeatureHotplug) {
		secretsOfHotplug(ctx, e, v)
	}
	secretsOfNode(ctx, e, v)
	secretsOfShim(ctx, e, v)
	if e.Supports(thick.FeatureRestart) {
		d = secretsOfRestart(ctx, e, v, d, own)
	}
	v.keep("the daemon's log", d.Log())
	v.expectSecret()
}

// leakyNetworks makes definitions with secrets that fail at ADD, each in its
// own way, and returns their names.
func leakyNetworks(e *thick.Env, secret string) []string {
	ginkgo.GinkgoHelper()
	steps := maps.Clone(expect.BrokenSteps)
	maps.DeleteFunc(steps, func(_ string, s script.FakeStep) bool { return s.StdoutBytes+s.StderrBytes > 0 })
	steps["refusing"] = script.FakeStep{Error: types.NewError(117, "no address is free", "192.0.2.0/29")}
	steps["wrong-result"] = script.FakeStep{Result: map[string]any{"cniVersion": "9.9.9", "ips": "none"}}
	for name, step := range steps {
		step.Times = 1
		e.Definition(name, e.FakeList(name, script.Fake{Extra: secretKeys(secret), Add: step}))
	}
	names := append(slices.Sorted(maps.Keys(steps)), leakyConfigs(e, secret)...)
	return names
}

// leakyConfigs makes definitions that nobody can read, with something wrong
// close to a secret.
func leakyConfigs(e *thick.Env, secret string) []string {
	ginkgo.GinkgoHelper()
	// Who does not mind what is wrong runs a plugin that fails.
	fake := `"fake":{"calls":` + string(node.MustJSON(e.CallsDir)) + `,"ADD":{"exit":1}},`
	head := `{"cniVersion":"1.0.0","name":"leaky",` + fake
	token := `"token":"` + secret + `"`
	configs := map[string]string{
		"cut-in-secret":    head + `"token":"` + secret,
		"cut-after-secret": head + token,
		"no-comma":         head + token + ` "type":"fake"}`,
		"no-quote":         head + `"type":"fake","token":` + secret + `}`,
		"bad-escape":       head + `"type":"fake","token":"\q` + secret + `"}`,
		"control":          head + `"type":"fake","token":"` + secret + "\n" + `"}`,
		"trailing":         head + `"type":"fake",` + token + `} ` + secret,
		"plugins-text":     head + `"plugins":"` + secret + `"}`,
		"plugins-object":   head + `"plugins":{` + token + `}}`,
		"plugin-text":      head + `"plugins":["` + secret + `"]}`,
		"plugin-no-type":   head + `"plugins":[{` + token + `}]}`,
		"plugin-bad-type":  head + `"plugins":[{"type":7,` + token + `}]}`,
		"no-type":          head + token + `}`,
		"no-plugins":       head + `"plugins":[],` + token + `}`,
		"bad-version":      `{"cniVersion":1,"name":"leaky","type":"fake",` + fake + token + `}`,
		"unknown-version":  `{"cniVersion":"7.0.0","name":"leaky","type":"fake",` + fake + token + `}`,
		"bad-capabilities": head + `"type":"fake","capabilities":{` + token + `},` + token + `}`,
		"bad-ipam":         head + `"type":"fake","ipam":"` + secret + `"}`,
		"only-secret":      secret,
	}
	for name, config := range configs {
		e.Definition(name, config)
	}
	return slices.Sorted(maps.Keys(configs))
}

// secretsAfterAdd has CHECK and DEL fail.
func secretsAfterAdd(ctx context.Context, e *thick.Env, v *eavesdropper) {
	ginkgo.GinkgoHelper()
	refusal := types.NewError(117, "the bridge is gone", "")
	failing := script.Fake{Extra: secretKeys(v.secret), Check: script.FakeStep{Error: refusal, Times: 1}, Del: script.FakeStep{Stdout: "garbage", Exit: 1, Times: 1}}
	e.Definition("failing", e.FakeList("failing", failing))
	s := e.Sandbox(node.Networks("failing"))
	e.MustOK(e.Add(ctx, s))
	v.answer("a second ADD", e.Add(ctx, s))
	v.answer("CHECK", e.Check(ctx, s))
	v.answer("DEL", e.Del(ctx, s))
	v.deleted("a second DEL", e.Del(ctx, s))
}

// secretsOfDefault breaks the default network's configuration.
func secretsOfDefault(ctx context.Context, e *thick.Env, v *eavesdropper) {
	ginkgo.GinkgoHelper()
	good := e.FakeList("default", script.Fake{Extra: secretKeys(v.secret)})
	for what, config := range map[string]string{
		"cut off":   good[:strings.LastIndex(good, v.secret)+len(v.secret)],
		"two texts": good + v.secret,
		"no plugin": e.FakeList("default", script.Fake{Type: "no-such-plugin", Extra: secretKeys(v.secret)}),
		"refusing":  e.FakeList("default", script.Fake{Extra: secretKeys(v.secret), Add: script.FakeStep{Exit: 1, Times: 1}}),
	} {
		e.DefaultNetwork(config)
		if e.Supports(thick.FeatureStatus) {
			v.hear("STATUS with a default network: "+what, e.Post(ctx, api.MultusCNIAPIEndpoint, expect.StatusRequest(e)))
		}
		s := e.Sandbox()
		v.answer("ADD with a default network: "+what, e.Add(ctx, s))
		e.DefaultNetwork(good)
		if what == "no plugin" {
			// Its DEL cannot run until the plugin is there.
			Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), filepath.Join(e.BinDir, "no-such-plugin"))).To(Succeed())
		}
		v.deleted("DEL with a default network: "+what, e.Del(ctx, s))
	}
}
