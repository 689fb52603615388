// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/podresources"
	"github.com/thicket-cni/thicket/fakes/script"
)

var devicesCases = []thick.Case{
	{
		ID: "NET-14", Level: spec.Should, Source: "NPWG", Needs: []spec.Feature{thick.FeatureDevices}, Body: devicesOfPods, Slow: 4 * time.Second,
		Title: "resourceName: device ids come from the kubelet's pod-resources API or from DRA claims",
	},
}

// The resources of the case, as device plugins and drivers name them.
const (
	nicResource = "nics.example.com/fast"
	ibResource  = "nics.example.com/ib"
)

// wantsDevice declares what a plugin of hardware does; the one behind it in a
// list often does not.
var wantsDevice = map[string]bool{"deviceID": true, "CNIDeviceInfoFile": true}

// devicesOfPods is NET-14.
func devicesOfPods(ctx context.Context, e *thick.Env) {
	e.DefinitionOf(nicResource, "nic", e.FakeList("nic", script.Fake{Capabilities: wantsDevice}, script.Fake{}))
	e.DefinitionOf(ibResource, "ib", e.FakeList("ib", script.Fake{Capabilities: wantsDevice}))
	e.Definition("plain", e.FakeList("plain", script.Fake{Capabilities: wantsDevice}))
	broken := script.Fake{Capabilities: wantsDevice, Add: script.FakeStep{Error: types.NewError(130, "the port is down", "")}}
	e.DefinitionOf(nicResource, "broken", e.FakeList("broken", broken))
	memif := map[string]any{"type": "memif", "version": "1.1.0", "memif": map[string]any{"role": "master", "path": "/run/memif.sock"}}
	e.Definition("memif", e.FakeList("memif", script.Fake{Capabilities: wantsDevice, Add: script.FakeStep{DeviceInfo: memif}}))
	d := e.Start(ctx)

	devicesWithoutKubelet(ctx, e)
	kubelet := e.PodResources()
	onlyWhenAsked(ctx, e, kubelet)
	devicesByKubelet(ctx, e, d, kubelet)
	deviceByDelegate(ctx, e, memif)
	moreNetworksThanDevices(ctx, e, kubelet)
	devicesRolledBack(ctx, e, kubelet)
	if e.Supports(thick.FeatureKubernetes) {
		devicesByClaims(ctx, e)
	}
}

// devicesWithoutKubelet has no kubelet that could be asked.
func devicesWithoutKubelet(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("no kubelet, and no definition that asks for a device")
	none := e.Sandbox(node.Networks("plain"))
	e.MustOK(e.Add(ctx, none))
	Expect(e.DevicesOf("ADD", none)).To(Equal(map[string]string{"eth0": "", "net1": ""}), "device ids that delegates got at ADD, by interface")
	ginkgo.By("no kubelet, and one that does")
	asks := e.Sandbox(node.Networks("plain,nic"))
	err := expect.Refused(e.Add(ctx, asks))
	Expect(err.Msg+err.Details).To(ContainSubstring(e.Paths().PodResourcesSocket), "the error has to name the socket that is missing")
	Expect(e.CallsFor("ADD", asks)).To(BeEmpty(), "delegates ran before the devices were known")
	e.MustOK(e.Del(ctx, asks))
	e.MustOK(e.Del(ctx, none))
}

// onlyWhenAsked attaches a pod that has devices for something else.
func onlyWhenAsked(ctx context.Context, e *thick.Env, kubelet *podresources.Server) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a pod with devices, and no definition that asks for one")
	s := e.Sandbox(node.Networks("plain"))
	kubelet.Set(s.PodNamespace, s.PodName, podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:01:00.0"}})
	e.MustOK(e.Add(ctx, s))
	Expect(e.DevicesOf("ADD", s)).To(Equal(map[string]string{"eth0": "", "net1": ""}), "device ids that delegates got at ADD, by interface")
	Expect(e.DeviceInfoFiles("ADD", s)).To(BeEmpty(), "device info files at ADD")
	Expect(kubelet.Asked()).To(BeZero(), "the kubelet was asked for a pod whose networks want no device")
	e.MustOK(e.Del(ctx, s))
}

// devicesByKubelet follows the devices of a pod from the kubelet through ADD,
// CHECK, the network status and, when the kubelet has long forgotten them, DEL.
func devicesByKubelet(ctx context.Context, e *thick.Env, d *thick.Daemon, kubelet *podresources.Server) {
	ginkgo.GinkgoHelper()
	ginkgo.By("several networks of one resource")
	s := e.Sandbox(node.Networks("nic,ib,nic@data0,plain,nic"))
	// In several containers and out of order, beside pods of like names.
	kubelet.Set(s.PodNamespace, s.PodName,
		podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:03:02.3", "0000:03:02.1"}},
		podresources.Device{Container: "app", Resource: "gpus.example.com/large", IDs: []string{"0000:02:00.0"}},
		podresources.Device{Container: "side", Resource: nicResource, IDs: []string{"0000:03:02.2"}},
		podresources.Device{Container: "side", Resource: ibResource, IDs: []string{"0000:05:00.1"}})
	kubelet.Set("another-"+s.PodNamespace, s.PodName, podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:00:01.0"}})
	kubelet.Set(s.PodNamespace, "another-"+s.PodName, podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:00:02.0"}})
	described := map[string]map[string]any{
		"0000:03:02.1": e.DescribeDevice(nicResource, "0000:03:02.1"), "0000:03:02.2": e.DescribeDevice(nicResource, "0000:03:02.2"),
		"0000:05:00.1": e.DescribeDevice(ibResource, "0000:05:00.1"),
		// Nobody describes the device 0000:03:02.3.
	}
	asked := kubelet.Asked()
	e.MustOK(e.Add(ctx, s))
	want := e.DevicesOf("ADD", s)
	expectHandedOut(want, map[string][]string{"": {"eth0", "net4"}, "0000:05:00.1": {"net2"}}, []string{"net1", "data0", "net5"},
		"0000:03:02.1", "0000:03:02.2", "0000:03:02.3")
	Expect(kubelet.Asked()).To(Equal(asked+1), "how often one ADD asks the kubelet, which then lists all its pods")
	info := map[string]map[string]any{}
	for ifName, id := range want {
		if id != "" {
			info[ifName] = described[id]
		}
	}
	files := expectDeviceInfo(e, s, info)

	ginkgo.By("CHECK, and DEL when the kubelet knows other devices")
	e.MustOK(e.Check(ctx, s))
	Expect(e.DevicesOf("CHECK", s)).To(Equal(want), "device ids that delegates got at CHECK, by interface")
	kubelet.Set(s.PodNamespace, s.PodName, podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:03:07.7"}})
	kubelet.Fail("the kubelet was updated")
	defer kubelet.Fail("")
	if e.Supports(thick.FeatureRestart) {
		d.Stop(ctx)
		e.Start(ctx)
	}
	e.MustOK(e.Del(ctx, s))
	Expect(e.DevicesOf("DEL", s)).To(Equal(want), "device ids that delegates got at DEL, by interface")
	Expect(e.DeviceInfoFiles("DEL", s)).To(Equal(files), "device info files at DEL")
	Expect(e.DelegateDeviceInfo()).To(BeEmpty(), "DeviceInfo files after DEL")
	plugin, err := filepath.Glob(filepath.Join(e.DeviceInfoDir(), "dp", "*"))
	Expect(err).NotTo(HaveOccurred())
	Expect(plugin).To(HaveLen(3), "the device plugins' own files after DEL")
}

// expectHandedOut asserts that interfaces have just the devices of fixed, and
// the others each one of ids, in any order (which order is NET-26's).
func expectHandedOut(got map[string]string, fixed map[string][]string, others []string, ids ...string) {
	ginkgo.GinkgoHelper()
	Expect(got).To(HaveLen(len(slices.Concat(slices.Collect(maps.Values(fixed))...))+len(others)), "interfaces")
	for id, interfaces := range fixed {
		for _, ifName := range interfaces {
			Expect(got).To(HaveKeyWithValue(ifName, id), "the configuration that the delegate got")
		}
	}
	var handed []string
	for _, ifName := range others {
		handed = append(handed, got[ifName])
	}
	Expect(handed).To(ConsistOf(ids), "the devices of the interfaces %v: each of the pod's, and none twice", others)
}

// expectDeviceInfo asserts what is said of the devices of a sandbox's
// interfaces, to the delegates and in the network status; nil of a device that
// nobody describes. It returns the files by interface.
func expectDeviceInfo(e *thick.Env, s *node.Sandbox, want map[string]map[string]any) map[string]string {
	ginkgo.GinkgoHelper()
	files := e.DeviceInfoFiles("ADD", s)
	told := map[string]bool{}
	for iface, info := range want {
		Expect(files).To(HaveKey(iface), "runtimeConfig.CNIDeviceInfoFile of %s", iface)
		Expect(filepath.Dir(files[iface])).To(Equal(filepath.Join(e.DeviceInfoDir(), "cni")), "the directory that the specification gives")
		Expect(told).NotTo(HaveKey(files[iface]), "two attachments have one file")
		told[files[iface]] = true
		if info == nil {
			Expect(files[iface]).NotTo(BeAnExistingFile(), "nobody described the device")
			continue
		}
		Expect(thick.ReadJSON(files[iface])).To(Equal(info), "what the device plugin said, for the delegate of %s", iface)
	}
	Expect(files).To(HaveLen(len(want)), "interfaces with a DeviceInfo file")
	for _, status := range e.Status(s) {
		name := fmt.Sprint(status["interface"])
		if info := want[name]; info != nil {
			Expect(status).To(HaveKeyWithValue("device-info", info), "the network status of %s", name)
		} else {
			Expect(status).NotTo(HaveKey("device-info"), "the network status of %s, whose device nobody described", name)
		}
	}
	return files
}

// deviceByDelegate is a device that the pod selects by its id and that only its
// delegate can describe.
func deviceByDelegate(ctx context.Context, e *thick.Env, info map[string]any) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a device that its delegate describes")
	s := e.Sandbox(node.Networks(`[{"name":"memif","deviceID":"memif-1"}]`))
	e.MustOK(e.Add(ctx, s))
	files := expectDeviceInfo(e, s, map[string]map[string]any{"net1": info})
	e.MustOK(e.Del(ctx, s))
	Expect(e.DeviceInfoFiles("DEL", s)).To(Equal(files), "device info files at DEL")
	Expect(e.DelegateDeviceInfo()).To(BeEmpty(), "DeviceInfo files after DEL")
}

// moreNetworksThanDevices leaves networks without a device: definitions name
// resources too that only count, and have no devices.
func moreNetworksThanDevices(ctx context.Context, e *thick.Env, kubelet *podresources.Server) {
	ginkgo.GinkgoHelper()
	ginkgo.By("more networks than devices, one of them listed for two containers")
	s := e.Sandbox(node.Networks("nic,nic,ib"))
	kubelet.Set(s.PodNamespace, s.PodName,
		podresources.Device{Container: "init", Resource: nicResource, IDs: []string{"0000:04:00.1"}},
		podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:04:00.1"}})
	e.MustOK(e.Add(ctx, s))
	Expect(e.DevicesOf("ADD", s)).To(Equal(map[string]string{"eth0": "", "net1": "0000:04:00.1", "net2": "", "net3": ""}), "device ids that delegates got at ADD, by interface")
	e.MustOK(e.Del(ctx, s))
}

// devicesRolledBack is an ADD that fails when its delegates had devices.
func devicesRolledBack(ctx context.Context, e *thick.Env, kubelet *podresources.Server) {
	ginkgo.GinkgoHelper()
	ginkgo.By("an ADD that fails behind a network with a device")
	s := e.Sandbox(node.Networks("nic,broken"))
	kubelet.Set(s.PodNamespace, s.PodName, podresources.Device{Container: "app", Resource: nicResource, IDs: []string{"0000:04:00.2", "0000:04:00.3"}})
	e.DescribeDevice(nicResource, "0000:04:00.2")
	e.DescribeDevice(nicResource, "0000:04:00.3")
	Expect(expect.Refused(e.Add(ctx, s)).Code).To(BeEquivalentTo(130), "the code of the error")
	expectHandedOut(e.DevicesOf("DEL", s), map[string][]string{"": {"eth0"}}, []string{"net1", "net2"}, "0000:04:00.2", "0000:04:00.3")
	Expect(e.DelegateDeviceInfo()).To(BeEmpty(), "DeviceInfo files after the rollback")
	expect.NothingLeft(e, s)
}
