// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/fakes/podresources"
	"github.com/thicket-cni/thicket/fakes/script"
)

// DeviceInfoDir stands for /var/run/k8s.cni.cncf.io/devinfo.
func (e *Env) DeviceInfoDir() string { return filepath.Join(e.Dir, "devinfo") }

// PodResources starts the kubelet's pod-resources API, which ends with the
// case, where the daemon of the case looks for it.
func (e *Env) PodResources() *podresources.Server {
	ginkgo.GinkgoHelper()
	s, err := podresources.Serve(e.Paths().PodResourcesSocket)
	Expect(err).NotTo(HaveOccurred())
	e.AtEnd(s.Close)
	return s
}

// DescribeDevice writes the DeviceInfo of a device as a device plugin does, and
// returns it as the network status has to show it.
func (e *Env) DescribeDevice(resource, id string) map[string]any {
	ginkgo.GinkgoHelper()
	flat := strings.NewReplacer("/", "-")
	info := map[string]any{"type": "pci", "version": "1.1.0", "pci": map[string]any{"pci-address": id, "rdma-device": "mlx5_" + node.RandomHex(2)}}
	e.File(filepath.Join("devinfo", "dp", flat.Replace(resource)+"-"+flat.Replace(id)+"-device.json"), string(node.MustJSON(info)))
	return info
}

// DelegateDeviceInfo lists the DeviceInfo files that are there for delegates.
func (e *Env) DelegateDeviceInfo() []string {
	ginkgo.GinkgoHelper()
	found, err := filepath.Glob(filepath.Join(e.DeviceInfoDir(), "cni", "*"))
	Expect(err).NotTo(HaveOccurred())
	return found
}

// deviceOf is the device that a call of a delegate was given: by its
// configuration, and by runtimeConfig where it declares the capability. They
// must agree.
func deviceOf(c script.Call) string {
	ginkgo.GinkgoHelper()
	var conf struct {
		DeviceID      string          `json:"deviceID"`
		PCIBusID      string          `json:"pciBusID"`
		Declares      map[string]bool `json:"declares"`
		RuntimeConfig struct {
			DeviceID string `json:"deviceID"`
		} `json:"runtimeConfig"`
	}
	Expect(json.Unmarshal(c.Stdin, &conf)).To(Succeed(), "JSON is expected here: %s", c.Stdin)
	Expect(conf.PCIBusID).To(Equal(conf.DeviceID), "%s of %s as %s: pciBusID and deviceID", c.Command, c.Network, c.Interface)
	want := ""
	if conf.Declares["deviceID"] {
		want = conf.DeviceID
	}
	Expect(conf.RuntimeConfig.DeviceID).To(Equal(want), "%s of %s as %s: runtimeConfig.deviceID of a plugin with the capabilities %v",
		c.Command, c.Network, c.Interface, conf.Declares)
	return conf.DeviceID
}

// DevicesOf maps the interfaces of a sandbox to the devices that the calls of
// one command were given; all plugins of a network get the same.
func (e *Env) DevicesOf(command string, s *node.Sandbox) map[string]string {
	ginkgo.GinkgoHelper()
	all := map[string]string{}
	for _, c := range e.CallsFor(command, s) {
		id := deviceOf(c)
		if other, ok := all[c.Interface]; ok {
			Expect(id).To(Equal(other), "the plugins of %s get different devices", c.Network)
		}
		all[c.Interface] = id
	}
	return all
}

// DeviceInfoFiles maps the interfaces of a sandbox to the DeviceInfo file that
// the calls of one command were told.
func (e *Env) DeviceInfoFiles(command string, s *node.Sandbox) map[string]string {
	ginkgo.GinkgoHelper()
	all := map[string]string{}
	for _, c := range e.CallsFor(command, s) {
		rc, _ := c.Config()["runtimeConfig"].(map[string]any)
		if path, ok := rc["CNIDeviceInfoFile"].(string); ok {
			all[c.Interface] = path
		}
	}
	return all
}

// ReadJSON reads a file with a JSON object.
func ReadJSON(path string) map[string]any {
	ginkgo.GinkgoHelper()
	data, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	var object map[string]any
	Expect(json.Unmarshal(data, &object)).To(Succeed(), "%s: %s", path, data)
	return object
}
