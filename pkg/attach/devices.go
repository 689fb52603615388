// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"fmt"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The capability arguments of an attachment with a device.
const (
	deviceIDArg   = "deviceID"
	deviceInfoArg = "CNIDeviceInfoFile"
)

// nameDeviceInfo gives the attachments of a record that have a device the
// place where their delegates describe it (NPWG device information
// specification). It becomes part of the record, for DEL. A name that no file
// can have is refused here, before anything is attached (SEC-10).
func (e *Engine) nameDeviceInfo(rec *ledger.Record) error {
	for i := range rec.Attachments {
		a := &rec.Attachments[i]
		if id, _ := a.CapabilityArgs[deviceIDArg].(string); id == "" || deviceInfoFile(rec.ContainerID, a) != "" {
			continue
		}
		path := e.info.Delegate(a.Definition, rec.ContainerID, a.Interface)
		if name := filepath.Base(path); len(name) > network.MaxFileName {
			return types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf(
				"network %q, interface %s: the name of its network definition makes a file name of %d bytes for its device; the most is %d",
				a.Network, a.Interface, len(name), network.MaxFileName), "")
		}
		a.CapabilityArgs[deviceInfoArg] = path
	}
	return nil
}

// deviceInfoFile is the DeviceInfo file of an attachment that is this daemon's,
// or a Multus' before it, to make and to remove; "" for none. A runtime may
// pass a path of its own, which is its own affair.
func deviceInfoFile(containerID string, a *ledger.Attachment) string {
	path, _ := a.CapabilityArgs[deviceInfoArg].(string)
	if id, _ := a.CapabilityArgs[deviceIDArg].(string); id == "" || !devices.IsDelegate(path, containerID, a.Interface) {
		return ""
	}
	return path
}

// prepareDeviceInfo hands a delegate what is known of its device. A device that
// nobody describes well is attached as well as any: a failure is logged.
func (e *Engine) prepareDeviceInfo(containerID string, a *ledger.Attachment) {
	path := deviceInfoFile(containerID, a)
	if path == "" {
		return
	}
	id, _ := a.CapabilityArgs[deviceIDArg].(string)
	if err := e.info.Prepare(path, a.Resource, id); err != nil {
		e.log.Warn("the delegate is not told what its device is", "sandbox", containerID, "network", a.Network, "device", id, "error", err)
	}
}

// readDeviceInfo keeps what a delegate, or before it the device plugin, says
// of the device, for the network status.
func (e *Engine) readDeviceInfo(containerID string, a *ledger.Attachment) {
	path := deviceInfoFile(containerID, a)
	if path == "" {
		return
	}
	info, err := devices.Load(path)
	if err != nil {
		e.log.Warn("the network status does not say what the device is", "sandbox", containerID, "network", a.Network, "error", err)
	}
	a.DeviceInfo = info
}

// removeDeviceInfo removes an attachment's DeviceInfo file after its DEL.
func (e *Engine) removeDeviceInfo(containerID string, a *ledger.Attachment) error {
	path := deviceInfoFile(containerID, a)
	if path == "" {
		return nil
	}
	if err := devices.Remove(path); err != nil {
		return types.NewError(types.ErrInternal, fmt.Sprintf("network %q, interface %s: the description of its device is left", a.Network, a.Interface), err.Error())
	}
	return nil
}
