// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/podresources"
	"github.com/thicket-cni/thicket/fakes/script"
)

var devicesOrderCases = []thick.Case{
	{
		ID: "NET-26", Level: spec.Should, Source: "#1539, #1540", Needs: []spec.Feature{thick.FeatureDevices}, Body: devicesByContainer,
		Title: "Devices of one resource are handed out container by container, sorted within a container and not across the pod",
	},
}

// devicesByContainer is NET-26. A container is told its own devices by its
// device plugin, and its networks are written in the order of the containers:
// an order across the pod gives one container the other's device.
func devicesByContainer(ctx context.Context, e *thick.Env) {
	e.DefinitionOf(nicResource, "nic", e.FakeList("nic", script.Fake{Capabilities: wantsDevice}))
	e.DefinitionOf(ibResource, "ib", e.FakeList("ib", script.Fake{Capabilities: wantsDevice}))
	kubelet := e.PodResources()
	e.Start(ctx)

	ginkgo.By("two containers with a device each")
	s := e.Sandbox(node.Networks("nic,nic"))
	kubelet.Set(s.PodNamespace, s.PodName,
		podresources.Device{Container: "one", Resource: nicResource, IDs: []string{"0000:03:02.7"}},
		podresources.Device{Container: "another", Resource: nicResource, IDs: []string{"0000:03:02.1"}})
	expectDevicesInOrder(ctx, e, s, map[string]string{"eth0": "", "net1": "0000:03:02.7", "net2": "0000:03:02.1"})

	ginkgo.By("several devices of a container, listed for two NUMA nodes")
	s = e.Sandbox(node.Networks("nic,nic,ib,nic,nic,ib"))
	kubelet.Set(s.PodNamespace, s.PodName,
		podresources.Device{Container: "one", Resource: nicResource, IDs: []string{"0000:03:02.6", "0000:03:02.4"}},
		podresources.Device{Container: "one", Resource: ibResource, IDs: []string{"0000:05:00.2"}},
		podresources.Device{Container: "one", Resource: nicResource, IDs: []string{"0000:03:02.5"}},
		podresources.Device{Container: "another", Resource: ibResource, IDs: []string{"0000:05:00.1"}},
		podresources.Device{Container: "another", Resource: nicResource, IDs: []string{"0000:03:02.3"}})
	expectDevicesInOrder(ctx, e, s, map[string]string{
		"eth0": "", "net1": "0000:03:02.4", "net2": "0000:03:02.5", "net3": "0000:05:00.2", "net4": "0000:03:02.6", "net5": "0000:03:02.3", "net6": "0000:05:00.1",
	})
}

// expectDevicesInOrder attaches a sandbox and deletes it again.
func expectDevicesInOrder(ctx context.Context, e *thick.Env, s *node.Sandbox, want map[string]string) {
	ginkgo.GinkgoHelper()
	e.MustOK(e.Add(ctx, s))
	Expect(e.DevicesOf("ADD", s)).To(Equal(want), "the devices by interface")
	e.MustOK(e.Del(ctx, s))
}
