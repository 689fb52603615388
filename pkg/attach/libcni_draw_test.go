// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// drawnChain is one attachment, and what its plugins will answer.
type drawnChain struct {
	random  *rand.Rand
	list    map[string]any
	id      string
	ifName  string
	args    [][2]string
	capArgs map[string]any
	// answers are by command, in the order of the calls.
	answers map[string][]answer
}

// drawChain draws an attachment.
func drawChain(random *rand.Rand) *drawnChain {
	d := &drawnChain{random: random, id: "c" + fmt.Sprint(random.IntN(1000)), ifName: "net1", answers: map[string][]answer{}}
	d.list = map[string]any{"name": d.one("n", "net.of-all_kinds", "N", "a/b")}
	if v := d.one(slices.Concat(cniVersions, []string{"", "0.4.0", "1.0.0", "1.1.0"})...); v != "" || d.often(2) {
		d.list["cniVersion"] = v
	}
	if d.often(6) {
		d.list["disableCheck"] = []any{true, false, "true"}[random.IntN(3)]
	}
	plugins := []any{}
	for range 1 + random.IntN(4) {
		plugins = append(plugins, d.plugin())
	}
	d.list["plugins"] = plugins
	for range random.IntN(4) {
		d.args = append(d.args, [2]string{d.one("IgnoreUnknown", "K8S_POD_NAME", "MAC"), d.one("1", "", "a=b", "ü")})
	}
	d.capArgs = map[string]any{}
	for _, name := range capabilityNames {
		if d.often(2) {
			d.capArgs[name] = d.value(2)
		}
	}
	for range plugins {
		d.answers["ADD"] = append(d.answers["ADD"], d.result())
		for _, command := range []string{"CHECK", "DEL"} {
			d.answers[command] = append(d.answers[command], d.silent())
		}
	}
	return d
}

var capabilityNames = []string{"mac", "ips", "portMappings", "cni.dev/new"}

// plugin draws one plugin's configuration.
func (d *drawnChain) plugin() map[string]any {
	p := map[string]any{"type": d.one("a", "b", "c")}
	if d.often(4) {
		p[d.one("PrevResult", "prevReſult", "RUNTIMECONFIG", "Cni.Dev/attachments")] = map[string]any{"of": "the list"}
	}
	if d.often(4) {
		p[d.one("Name", "NAME", "CNIVersion", "cniVerſion")] = "0.1.0"
	}
	if d.often(20) {
		p["type"] = missingType
	}
	for _, key := range []string{"name", "cniVersion", "prevResult", "runtimeConfig", "cni.dev/attachments", "cni.devil", "args", "vni", "x<y&z", "ſ", ""} {
		if d.often(5) {
			p[key] = d.value(3)
		}
	}
	for _, key := range []string{"name", "cniVersion"} {
		if _, set := p[key]; set {
			p[key] = d.one("inner", "0.1.0", "")
		}
	}
	if d.often(4) {
		p["ipam"] = map[string]any{"type": "host-local", "more": d.value(2)}
	}
	if d.often(2) {
		capabilities := map[string]any{}
		for _, name := range capabilityNames {
			if d.often(2) {
				capabilities[name] = d.often(2)
			}
		}
		p["capabilities"] = capabilities
	}
	if p["prevResult"] != nil {
		p["prevResult"] = map[string]any{"cniVersion": "1.0.0", "more": p["prevResult"]} // what the CNI types can decode
	}
	return p
}

// value draws anything that JSON can say.
func (d *drawnChain) value(depth int) any {
	switch kind := d.random.IntN(7); {
	case kind == 0:
		return nil
	case kind == 1:
		return d.often(2)
	case kind == 2:
		return json.Number(d.one("0", "-1", "1.50", "1e3", "9007199254740993", "18446744073709551615"))
	case kind == 3 && depth > 0:
		list := []any{}
		for range d.random.IntN(3) {
			list = append(list, d.value(depth-1))
		}
		return list
	case kind == 4 && depth > 0:
		object := map[string]any{}
		for range d.random.IntN(3) {
			object[d.one("a", "b", "type", "prevResult", "")] = d.value(depth - 1)
		}
		return object
	}
	return d.one("", "text", "<&>", "\u2028", "ü🙂", "\x00")
}

// result draws what a plugin makes of ADD.
func (d *drawnChain) result() answer {
	if d.often(12) {
		return d.failure()
	}
	if d.often(25) {
		return answer{printed: d.one("", "null", "[]", "x", "{}", `{"cniVersion":1}`, `{"cniVersion":"9.9.9"}`)}
	}
	v, _ := d.list["cniVersion"].(string)
	r, a := map[string]any{}, answer{}
	switch d.random.IntN(6) {
	case 0: // without a version
	case 1:
		v = cniVersions[d.random.IntN(len(cniVersions))]
		r["cniVersion"] = v
	default:
		r["cniVersion"] = v
	}
	if old, err := version.GreaterThan("0.3.0", cmp.Or(v, "0.1.0")); err == nil && old {
		d.oldResult(r)
	} else {
		a.unusable = d.newResult(r)
	}
	text, _ := json.Marshal(r)
	a.printed = string(text)
	return a
}

// oldResult draws a result of versions before 0.3.0.
func (d *drawnChain) oldResult(r map[string]any) {
	for key, address := range map[string]string{"ip4": "10.0.0.2/24", "ip6": "fd00::2/64"} {
		if d.often(2) {
			r[key] = map[string]any{"ip": address, "routes": []any{map[string]any{"dst": address}}}
		}
	}
	if d.often(2) {
		r["dns"] = map[string]any{"nameservers": []string{"10.0.0.1"}}
	}
}

// newResult draws a result of the versions since, and reports whether it cannot be used.
func (d *drawnChain) newResult(r map[string]any) (unusable bool) {
	interfaces, ips, routes := []any{}, []any{}, []any{}
	for i := range d.random.IntN(3) {
		one := map[string]any{"name": fmt.Sprint("net", i), "mac": "02:00:00:00:00:01", "sandbox": d.one("/n", "")}
		if d.often(3) {
			one["mtu"], one["socketPath"], one["pciID"] = 1400, "/s", "0000:00:01.0"
		}
		interfaces = append(interfaces, one)
	}
	for range d.random.IntN(3) {
		one := map[string]any{"address": "10.0.0.2/24", "version": "4"}
		if d.often(2) {
			one["address"], one["version"] = "fd00::2/64", "6"
		}
		if d.often(2) {
			one["gateway"] = d.one("10.0.0.1", "fd00::1")
		}
		if n := d.random.IntN(len(interfaces) + 1); d.often(2) {
			one["interface"] = n
			unusable = unusable || n >= len(interfaces)
		}
		if d.often(25) {
			delete(one, "address")
			unusable = true
		}
		ips = append(ips, one)
	}
	for range d.random.IntN(3) {
		one := map[string]any{"dst": d.one("0.0.0.0/0", "192.0.2.0/24", "fd00::/8")}
		if d.often(2) {
			one["gw"] = net.IPv4(10, 0, 0, 1).String()
		}
		if d.often(3) {
			one["mtu"], one["advmss"], one["priority"], one["table"], one["scope"] = 1400, 1300, 5, 100, 0
		}
		routes = append(routes, one)
	}
	for key, list := range map[string][]any{"interfaces": interfaces, "ips": ips, "routes": routes} {
		if d.often(40) {
			list = append(list, nil)
			unusable = true
		}
		if len(list) > 0 || d.often(3) {
			r[key] = list
		}
	}
	if d.often(3) {
		r["dns"] = map[string]any{"nameservers": []string{"10.0.0.1"}, "domain": "d", "search": []string{"s"}, "options": []string{}}
	}
	if d.often(3) {
		r["of-the-plugin"] = d.value(2)
	}
	return unusable
}

// silent draws what comes of CHECK or DEL.
func (d *drawnChain) silent() answer {
	if d.often(8) {
		return d.failure()
	}
	return answer{printed: d.one("", "{}", "x")}
}

func (d *drawnChain) failure() answer {
	if d.often(2) {
		return answer{err: types.NewError(100+uint(d.random.IntN(800)), d.one("no", ""), d.one("", "why"))}
	}
	return answer{err: errors.New("exit status 1")}
}

// often is true once in n times.
func (d *drawnChain) often(n int) bool { return d.random.IntN(n) == 0 }

func (d *drawnChain) one(all ...string) string { return all[d.random.IntN(len(all))] }
