// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: the devices of pods.
func devicesMutants() []mutant.Mutant {
	net14 := []string{"NET-14"}
	return []mutant.Mutant{
		{Name: "devices-one-for-all", Cases: net14, Daemon: seam.OnPlan(oneDeviceForAll),
			Fault: "all networks of one resource get the same device"},
		{Name: "devices-other-order", Cases: []string{"NET-26"}, Daemon: seam.OnPlan(devicesReversed),
			Fault: "the devices are handed out from the last to the first"},
		{Name: "devices-sorted-across-pod", Cases: []string{"NET-26"}, Daemon: seam.OnPlan(devicesSorted),
			Fault: "the devices are sorted across the pod"},
		{Name: "devices-as-listed", Cases: []string{"NET-26"}, Daemon: seam.OnPlan(devicesAsListed),
			Fault: "a container's devices are handed out as the kubelet lists them"},
		{Name: "devices-twice", Cases: net14, Daemon: seam.OnPlan(deviceTwice),
			Fault: "a pod's first device is handed out again when there are no more"},
		{Name: "devices-not-of-capability", Cases: net14, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
			if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
				delete(rc, "deviceID")
			}
		}), Fault: "plugins with the capability deviceID are not told the device by it"},
		{Name: "devices-without-pci-bus-id", Cases: net14, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) { delete(conf, "pciBusID") }),
			Fault: "the configuration has the device as deviceID only"},
		{Name: "devices-forgotten-at-del", Cases: net14, Daemon: seam.OnConf("DEL", withoutDevice),
			Fault: "delegates are not told the device at DEL"},
		{Name: "devices-forgotten-at-check", Cases: net14, Daemon: seam.OnConf("CHECK", withoutDevice),
			Fault: "delegates are not told the device at CHECK"},
		{Name: "devices-asked-for-nothing", Cases: net14, Daemon: kubeletAlwaysAsked,
			Fault: "the kubelet is asked for every pod"},
		{Name: "devices-needed", Cases: net14, Daemon: seam.OnPlanned(deviceNeeded),
			Fault: "a network whose resource the pod has no device of is refused"},
		{Name: "device-info-of-plugin-ignored", Cases: net14, Daemon: seam.OnPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments {
				rec.Attachments[i].Resource = ""
			}
		}), Fault: "what a device plugin says of its device is not passed on"},
		{Name: "device-info-left", Cases: net14, Daemon: deviceInfoLeft,
			Fault: "DeviceInfo files are left after DEL"},
		{Name: "device-info-not-published", Cases: net14, Daemon: func(a *seam.Assembly) { a.Cluster = &unsaid{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}} },
			Fault: "the network status does not have device-info"},
	}
}

// exchange puts one device in the place of another.
func exchange(a *ledger.Attachment, id string) {
	old, _ := a.CapabilityArgs["deviceID"].(string)
	a.Config = strings.ReplaceAll(a.Config, old, id)
	a.CapabilityArgs["deviceID"] = id
}

// withDevice lists the attachments of each resource.
func withDevice(rec *ledger.Record) map[string][]*ledger.Attachment {
	all := map[string][]*ledger.Attachment{}
	for i := range rec.Attachments {
		if a := &rec.Attachments[i]; a.Resource != "" {
			all[a.Resource] = append(all[a.Resource], a)
		}
	}
	return all
}

func oneDeviceForAll(rec *ledger.Record) {
	for _, attachments := range withDevice(rec) {
		for _, a := range attachments[1:] {
			exchange(a, attachments[0].CapabilityArgs["deviceID"].(string))
		}
	}
}

func devicesReversed(rec *ledger.Record) {
	for _, attachments := range withDevice(rec) {
		var ids []string
		for _, a := range attachments {
			ids = append(ids, a.CapabilityArgs["deviceID"].(string))
		}
		for i, a := range attachments {
			exchange(a, ids[len(ids)-1-i])
		}
	}
}

// devicesSorted hands the devices out as if they had been sorted across the pod.
func devicesSorted(rec *ledger.Record) {
	for _, attachments := range withDevice(rec) {
		var ids []string
		for _, a := range attachments {
			ids = append(ids, a.CapabilityArgs["deviceID"].(string))
		}
		slices.Sort(ids)
		for i, a := range attachments {
			exchange(a, ids[i])
		}
	}
}

// devicesAsListed exchanges the first two of several devices, which the kubelet
// of the case lists in that order.
func devicesAsListed(rec *ledger.Record) {
	for _, attachments := range withDevice(rec) {
		if len(attachments) < 3 {
			continue
		}
		first, second := attachments[0].CapabilityArgs["deviceID"].(string), attachments[1].CapabilityArgs["deviceID"].(string)
		exchange(attachments[0], second)
		exchange(attachments[1], first)
	}
}

// deviceTwice gives the last attachment of a resource the first one's device.
func deviceTwice(rec *ledger.Record) {
	for _, attachments := range withDevice(rec) {
		if last := len(attachments) - 1; last > 1 {
			exchange(attachments[last], attachments[0].CapabilityArgs["deviceID"].(string))
		}
	}
}

func withoutDevice(_ *seam.Plugin, conf map[string]any) {
	delete(conf, "deviceID")
	delete(conf, "pciBusID")
	if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
		delete(rc, "deviceID")
	}
}

// kubeletAlwaysAsked looks the devices of every pod up with the pod.
func kubeletAlwaysAsked(a *seam.Assembly) {
	from := devices.NewSource(a.Config.PodResourcesSocket, a.Cluster)
	a.OnLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if err == nil {
			_, _ = from.Of(ctx, pod) // only that it is asked is the fault
		}
		return pod, err
	})
}

// deviceNeeded knows the networks of its case that want a device by name.
func deviceNeeded(rec *ledger.Record) error {
	for _, a := range rec.Attachments {
		if (a.Network == "nic" || a.Network == "ib") && a.Resource == "" {
			return types.NewError(types.ErrInvalidNetworkConfig, "the pod has no device for network "+a.Network, "")
		}
	}
	return nil
}

// deviceInfoLeft puts back what DEL removes.
func deviceInfoLeft(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		var left []string
		r.OnSave = func(rec *ledger.Record) error {
			for _, at := range rec.Attachments {
				if path, ok := at.CapabilityArgs["CNIDeviceInfoFile"].(string); ok && len(at.DeviceInfo) > 0 {
					left = append(left, path)
				}
			}
			return next.Save(rec)
		}
		r.OnRemove = func(containerID string) error {
			for _, path := range left {
				if strings.Contains(path, containerID) {
					_ = os.WriteFile(path, []byte("{}"), 0o600)
				}
			}
			return next.Remove(containerID)
		}
	})
}

// unsaid is a cluster that publishes a status without device-info.
type unsaid struct{ *seam.Lookups }

// PublishStatus implements cluster.Cluster.
func (u *unsaid) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	for i := range status {
		status[i].DeviceInfo = json.RawMessage(nil)
	}
	return u.Cluster.PublishStatus(ctx, pod, status)
}
