// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"encoding/json"
	"maps"
	"path/filepath"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
)

// Versioned gives a configuration list another cniVersion.
func Versioned(list, version string) string {
	ginkgo.GinkgoHelper()
	var config map[string]any
	Expect(json.Unmarshal([]byte(list), &config)).To(Succeed())
	config["cniVersion"] = version
	return string(node.MustJSON(config))
}

// SinglePlugin makes a single plugin's configuration of a list's first plugin;
// name "" leaves the network's name out.
func SinglePlugin(list, name string) string {
	ginkgo.GinkgoHelper()
	var config struct {
		CNIVersion string           `json:"cniVersion"`
		Plugins    []map[string]any `json:"plugins"`
	}
	Expect(json.Unmarshal([]byte(list), &config)).To(Succeed())
	plugin := maps.Clone(config.Plugins[0])
	plugin["cniVersion"] = config.CNIVersion
	if name != "" {
		plugin["name"] = name
	}
	return string(node.MustJSON(plugin))
}

func configWithoutPrevResult(c script.Call) map[string]any {
	ginkgo.GinkgoHelper()
	config := c.Config()
	delete(config, "prevResult")
	return config
}

// normalized is a result in one form, whoever encoded it.
func normalized(result any) string {
	ginkgo.GinkgoHelper()
	var r types100.Result
	Expect(json.Unmarshal(node.MustJSON(result), &r)).To(Succeed(), "result %s", node.MustJSON(result))
	r.CNIVersion = ""
	return string(node.MustJSON(&r))
}

// Setting gives the daemon's configuration a key, under Multus' name for it.
func Setting(key string, value any) thick.StartOption {
	return thick.ConfigPatch(func(config map[string]any) { config[key] = value })
}

// ShimConfigFile writes a configuration for the runtime as an administrator does,
// with further keys, and returns its path.
func ShimConfigFile(e *thick.Env, name string, more map[string]any) string {
	ginkgo.GinkgoHelper()
	config := map[string]any{
		"cniVersion": e.CNIVersion, "name": "multus-cni-network", "type": filepath.Base(e.Target.ShimPath()), "daemonSocketDir": e.RunDir,
	}
	maps.Copy(config, more)
	return e.File(filepath.Join("given", name), string(node.MustJSON(config)))
}
