// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// plugged is what every pod has.
type plugged struct {
	ids   map[string][]string
	err   error
	asked int
}

func (p *plugged) Of(context.Context, *cluster.Pod) (map[string][]string, error) {
	p.asked++
	return maps.Clone(p.ids), p.err
}

// annotated is a cluster whose definitions name resources.
type annotated struct {
	definitions
	resources map[string]string
}

func (a annotated) Definition(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
	d, err := a.definitions.Definition(ctx, namespace, name)
	if err == nil {
		d.Annotations = map[string]string{ResourceAnnotation: a.resources[namespace+"/"+name]}
	}
	return d, err
}

var hardware = annotated{
	definitions{
		"ns/nic": `{"name":"nic","plugins":[{"type":"t","x":1.0},{"type":"u"}]}`, "ns/ib": plugin("ib"), "ns/plain": plugin("plain"),
		"kube-system/sys": plugin("sys"), "kube-system/all": plugin("all"),
	},
	map[string]string{"ns/nic": "x/nic", "ns/ib": " x/ib ", "kube-system/sys": "x/nic", "kube-system/all": "x/nic"},
}

// given lists interface=device:resource of a plan, by its configurations,
// which must agree with each other and with the capability argument.
func given(t *testing.T, plan []Delegate) string {
	t.Helper()
	var all []string
	for _, d := range plan {
		var list struct {
			Plugins []struct{ DeviceID, PCIBusID string }
		}
		if err := json.Unmarshal(d.Config, &list); err != nil {
			t.Fatal(err)
		}
		id, _ := d.CapabilityArgs["deviceID"].(string)
		for i, p := range list.Plugins {
			if d.Resource != "" && (p.DeviceID != id || p.PCIBusID != id) || d.Resource == "" && p.DeviceID+p.PCIBusID != "" {
				t.Errorf("%s: plugin %d has deviceID %q and pciBusID %q, runtimeConfig has %q", d.Interface, i+1, p.DeviceID, p.PCIBusID, id)
			}
		}
		all = append(all, d.Interface+"="+id+":"+d.Resource)
	}
	return strings.Join(all, " ")
}

func TestPlanDevices(t *testing.T) {
	for _, c := range []struct {
		name, networks, want string
		ids                  map[string][]string
		options              Options
		asked                int
	}{
		{name: "one each, in order", networks: "nic,ib,nic@d0,plain,nic", asked: 1,
			ids:  map[string][]string{"x/nic": {"1", "2", "3"}, "x/ib": {"7"}},
			want: "eth0=: net1=1:x/nic net2=7:x/ib d0=2:x/nic net4=: net5=3:x/nic"},
		{name: "nobody asks", networks: "plain", ids: map[string][]string{"x/nic": {"1"}}, want: "eth0=: net1=:"},
		{name: "too few", networks: "nic,nic,ib", asked: 1, ids: map[string][]string{"x/nic": {"1"}}, want: "eth0=: net1=1:x/nic net2=: net3=:"},
		{name: "what was given counts", networks: `[{"name":"nic","deviceID":"9"},{"name":"ib","deviceID":"8"}]`, asked: 1,
			ids: map[string][]string{"x/nic": {"1"}}, want: "eth0=: net1=1:x/nic net2=8:"},
		{name: "the networks of every pod too", networks: "nic", asked: 1, options: Options{ClusterNetwork: "sys", DefaultNetworks: []string{"all"}},
			ids: map[string][]string{"x/nic": {"1", "2", "3"}}, want: "eth0=1:x/nic net1=2:x/nic net2=3:x/nic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := &plugged{ids: c.ids}
			o := c.options
			o.Devices, o.ConfDir = from, files(t, map[string]string{"10-d.conflist": `{"name":"d","plugins":[{"type":"t"}]}`})
			if o.ClusterNetwork == "" {
				o.ClusterNetwork = "d"
			}
			plan, err := NewPlanner(o, hardware).Plan(t.Context(), pod("ns", c.networks), "eth0", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := given(t, plan); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if from.asked != c.asked {
				t.Errorf("the pod's devices were looked up %d times, want %d", from.asked, c.asked)
			}
		})
	}
}

// A device changes nothing else of a configuration.
func TestDeviceInConfiguration(t *testing.T) {
	from := &plugged{ids: map[string][]string{"x/nic": {"0000:03:02.1"}}}
	o := Options{Devices: from, ClusterNetwork: "d", ConfDir: files(t, map[string]string{"10-d.conflist": `{"name":"d","plugins":[{"type":"t"}]}`})}
	plan, err := NewPlanner(o, hardware).Plan(t.Context(), pod("ns", "nic"), "eth0", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	_ = json.Unmarshal(plan[1].Config, &got)
	_ = json.Unmarshal([]byte(`{"name":"nic","plugins":[{"type":"t","x":1,"deviceID":"0000:03:02.1","pciBusID":"0000:03:02.1"},
		{"type":"u","deviceID":"0000:03:02.1","pciBusID":"0000:03:02.1"}]}`), &want)
	if !reflect.DeepEqual(got, want) || !strings.Contains(string(plan[1].Config), `"x":1.0`) {
		t.Errorf("got %s", plan[1].Config)
	}
}

func TestDevicesUnknown(t *testing.T) {
	o := Options{Devices: &plugged{err: errAway}, ClusterNetwork: "sys"}
	p := NewPlanner(o, hardware)
	_, err := p.Plan(t.Context(), pod("ns", "plain"), "eth0", nil)
	var own *types.Error
	if !errors.As(err, &own) || own.Code != types.ErrTryAgainLater || !strings.Contains(own.Msg, "kube-system/sys") ||
		!strings.Contains(own.Msg, "x/nic") || own.Details != errAway.Error() {
		t.Errorf("got %v", err)
	}
	// STATUS is about no pod, which could have a device.
	if _, err := p.Default(t.Context(), "eth0", nil); err != nil {
		t.Error(err)
	}
}
