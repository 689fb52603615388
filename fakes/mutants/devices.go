// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: the devices of pods.
func init() {
	net14 := []string{"NET-14"}
	register(
		mutant{name: "devices-one-for-all", cases: net14, daemon: onPlan(oneDeviceForAll),
			fault: "all networks of one resource get the same device"},
		mutant{name: "devices-other-order", cases: []string{"NET-26"}, daemon: onPlan(devicesReversed),
			fault: "the devices are handed out from the last to the first"},
		mutant{name: "devices-sorted-across-pod", cases: []string{"NET-26"}, daemon: onPlan(devicesSorted),
			fault: "the devices are sorted across the pod"},
		mutant{name: "devices-as-listed", cases: []string{"NET-26"}, daemon: onPlan(devicesAsListed),
			fault: "a container's devices are handed out as the kubelet lists them"},
		mutant{name: "devices-twice", cases: net14, daemon: onPlan(deviceTwice),
			fault: "a pod's first device is handed out again when there are no more"},
		mutant{name: "devices-not-of-capability", cases: net14, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
				delete(rc, "deviceID")
			}
		}), fault: "plugins with the capability deviceID are not told the device by it"},
		mutant{name: "devices-without-pci-bus-id", cases: net14, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) { delete(conf, "pciBusID") }),
			fault: "the configuration has the device as deviceID only"},
		mutant{name: "devices-forgotten-at-del", cases: net14, daemon: onConf("DEL", withoutDevice),
			fault: "delegates are not told the device at DEL"},
		mutant{name: "devices-forgotten-at-check", cases: net14, daemon: onConf("CHECK", withoutDevice),
			fault: "delegates are not told the device at CHECK"},
		mutant{name: "devices-asked-for-nothing", cases: net14, daemon: kubeletAlwaysAsked,
			fault: "the kubelet is asked for every pod"},
		mutant{name: "devices-needed", cases: net14, daemon: onPlanned(deviceNeeded),
			fault: "a network whose resource the pod has no device of is refused"},
		mutant{name: "device-info-of-plugin-ignored", cases: net14, daemon: onPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments {
				rec.Attachments[i].Resource = ""
			}
		}), fault: "what a device plugin says of its device is not passed on"},
		mutant{name: "device-info-left", cases: net14, daemon: deviceInfoLeft,
			fault: "DeviceInfo files are left after DEL"},
		mutant{name: "device-info-not-published", cases: net14, daemon: func(a *assembly) { a.cluster = &unsaid{&lookups{a.cluster, a.cluster.Pod}} },
			fault: "the network status does not have device-info"},
	)
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

func withoutDevice(_ *plugin, conf map[string]any) {
	delete(conf, "deviceID")
	delete(conf, "pciBusID")
	if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
		delete(rc, "deviceID")
	}
}

// kubeletAlwaysAsked looks the devices of every pod up with the pod.
func kubeletAlwaysAsked(a *assembly) {
	from := devices.NewSource(a.config.PodResourcesSocket, a.cluster)
	a.onLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if err == nil {
			_, _ = from.Of(ctx, pod) // only that it is asked is the fault
		}
		return pod, err
	})
}

// onPlanned is onPlan for a fault that may refuse the plan.
func onPlanned(f func(rec *ledger.Record) error) func(*assembly) {
	return func(a *assembly) {
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error {
				if err := f(rec); err != nil {
					return err
				}
				return next.Begin(rec)
			}
		})
	}
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
func deviceInfoLeft(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		var left []string
		r.save = func(rec *ledger.Record) error {
			for _, at := range rec.Attachments {
				if path, ok := at.CapabilityArgs["CNIDeviceInfoFile"].(string); ok && len(at.DeviceInfo) > 0 {
					left = append(left, path)
				}
			}
			return next.Save(rec)
		}
		r.remove = func(containerID string) error {
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
type unsaid struct{ *lookups }

// PublishStatus implements cluster.Cluster.
func (u *unsaid) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	for i := range status {
		status[i].DeviceInfo = json.RawMessage(nil)
	}
	return u.Cluster.PublishStatus(ctx, pod, status)
}
