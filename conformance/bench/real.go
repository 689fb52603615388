// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// reals measures ADD of one network of bridge and host-local, in turns with the
// same plugins executed without a thick plugin, and with the API server's write.
func (b *bench) reals(ctx context.Context) {
	ginkgo.GinkgoHelper()
	b.progress("ADD of bridge and host-local")
	config := b.sides[0].bareBridge("alone", "br-alone", "10.69.0.0/16")
	boxes := map[*benchEnv]*node.Sandbox{}
	for i, s := range b.sides {
		s.linkReal(i)
		s.DefaultNetwork(expect.RealBridge(s.Env, "default", fmt.Sprintf("br-one%d", i), fmt.Sprintf("10.%d.0.0/16", 60+i)))
		s.start(ctx)
		boxes[s] = s.Sandbox()
	}
	alone, bridge := b.sides[0].Sandbox(), filepath.Join(b.sides[0].BinDir, "bridge")
	write := b.statusWrite(ctx)
	var plugins, writes []time.Duration
	adds := map[*benchEnv][]time.Duration{}
	for round := range max(b.settings.Rounds/4, 20) {
		b.atRest(ctx)
		took, _ := timeProcess(ctx, bridge, alone.Env("ADD"), config)
		plugins = append(plugins, took)
		timeProcess(ctx, bridge, alone.Env("DEL"), config)
		if write != nil {
			b.atRest(ctx)
			writes = append(writes, write(round))
		}
		for _, s := range b.sides {
			b.atRest(ctx)
			adds[s] = append(adds[s], s.timeShim(ctx, "ADD", boxes[s]))
			s.timeShim(ctx, "DEL", boxes[s])
		}
	}
	for _, s := range b.sides {
		s.side.Real = &Real{ADD: latencyOf(adds[s]), Plugins: latencyOf(plugins)}
		if write != nil {
			l := latencyOf(writes)
			s.side.Real.StatusWrite = &l
		}
		s.stop(ctx)
		s.DeletePod(boxes[s])
		nopNetworks(s.Env)
	}
	b.sides[0].DeletePod(alone)
}

// bareBridge is what the bridge plugin reads of a network of its own.
func (s *benchEnv) bareBridge(network, bridge, subnet string) []byte {
	ginkgo.GinkgoHelper()
	var list struct {
		Plugins []map[string]any `json:"plugins"`
	}
	Expect(json.Unmarshal([]byte(expect.RealBridge(s.Env, network, bridge, subnet)), &list)).To(Succeed())
	conf := list.Plugins[0]
	conf["cniVersion"], conf["name"] = "1.0.0", network
	return node.MustJSON(conf)
}

// stormAlone executes the plugins of a storm by themselves, without a limit, and
// deletes what they have attached. It returns how long the ADDs took. The more ports a
// bridge has, and the more addresses are taken, the longer a plugin looks: the time
// grows faster than the number of sandboxes.
func (s *benchEnv) stormAlone(ctx context.Context, boxes []*node.Sandbox) time.Duration {
	ginkgo.GinkgoHelper()
	networks := []struct {
		ifName string
		config []byte
	}{
		{"eth0", s.bareBridge("alone0", "br-alone0", "10.72.0.0/16")},
		{"net1", s.bareBridge("alone1", "br-alone1", "10.82.0.0/16")},
	}
	bridge := filepath.Join(s.BinDir, "bridge")
	run := func(command string) time.Duration {
		return atATime(boxes, aloneAtATime, func(box *node.Sandbox) {
			for _, n := range networks {
				env := box.Env(command)
				env["CNI_IFNAME"] = n.ifName
				timeProcess(ctx, bridge, env, n.config)
			}
		})
	}
	took := run("ADD")
	run("DEL")
	return took
}

// linkReal puts the real plugins into a side's directory, once. Those of the
// target have to be there.
func (s *benchEnv) linkReal(number int) {
	ginkgo.GinkgoHelper()
	if _, err := os.Lstat(filepath.Join(s.BinDir, "bridge")); !errors.Is(err, fs.ErrNotExist) {
		Expect(err).NotTo(HaveOccurred())
		return
	}
	if number == 0 {
		s.RealPlugins()
		return
	}
	for _, name := range []string{"bridge", "host-local"} {
		Expect(os.Symlink(filepath.Join(s.Settings.PluginDir, name), filepath.Join(s.BinDir, name))).To(Succeed())
	}
}
