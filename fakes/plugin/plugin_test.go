// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The test program is the plugin when it is executed under a name of its.
func TestMain(m *testing.M) {
	if role, fault, ok := Named(os.Args[0]); ok {
		os.Exit(Main(role, fault))
	}
	os.Exit(m.Run())
}

// host is a host's namespace with containers, for one test.
type host struct {
	*testing.T
	bin, state string
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root is needed for network namespaces")
	}
	// The thread ends with the test and its namespace with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	h := &host{t, t.TempDir(), filepath.Join(t.TempDir(), "state")}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []Role{Veth, IPAM, Chain} {
		if err := os.Symlink(program, filepath.Join(h.bin, string(role))); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// sandbox makes a container's namespace and returns its path.
func (h *host) sandbox() string {
	h.Helper()
	own, err := netns.Get()
	if err != nil {
		h.Fatal(err)
	}
	made, err := netns.New()
	if err != nil {
		h.Fatal(err)
	}
	if err := netns.Set(own); err != nil {
		h.Fatal(err)
	}
	_ = own.Close()
	h.Cleanup(func() { _ = made.Close() })
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), made)
}

// in is one execution: the configuration's keys beside the usual ones, and
// variables in place of the usual ones.
type in struct {
	role      Role
	command   string
	version   string
	container string
	netns     string
	keys      map[string]any
	env       []string
}

type out struct {
	stdout string
	ok     bool
}

func (h *host) execute(i in) out {
	conf := map[string]any{"cniVersion": i.version, "name": "net", "type": string(i.role), "stateDir": h.state}
	for k, v := range i.keys {
		conf[k] = v
	}
	stdin, err := json.Marshal(conf)
	if err != nil {
		h.Error(err)
	}
	cmd := exec.Command(filepath.Join(h.bin, string(i.role)))
	cmd.Env = append([]string{
		"CNI_COMMAND=" + i.command, "CNI_CONTAINERID=" + i.container, "CNI_IFNAME=eth0", "CNI_NETNS=" + i.netns, "CNI_PATH=" + h.bin,
	}, i.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	err = cmd.Run()
	return out{stdout.String(), err == nil}
}

func (h *host) must(i in) result {
	h.Helper()
	o := h.execute(i)
	if !o.ok {
		h.Fatalf("%s %s: %s", i.role, i.command, o.stdout)
	}
	var r result
	if i.command == "ADD" {
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
			h.Fatal(err)
		}
	} else if o.stdout != "" {
		h.Errorf("%s prints %q", i.command, o.stdout)
	}
	return r
}

func (h *host) fails(i in, code uint) {
	h.Helper()
	o := h.execute(i)
	var f failure
	if err := json.Unmarshal([]byte(o.stdout), &f); o.ok || err != nil || f.Code != code || f.Msg == "" {
		h.Errorf("%s %s: %q, want a failure with code %d", i.role, i.command, o.stdout, code)
	}
}

// clean fails the test when the plugin left a link, a rule or a file.
func (h *host) clean() {
	h.Helper()
	links, err := netlink.LinkList()
	if err != nil || len(links) != 1 {
		h.Errorf("links %v %v, want lo alone", links, err)
	}
	if files, _ := filepath.Glob(h.state + "*"); len(files) > 0 {
		h.Errorf("left: %v", files)
	}
	conn := call{conf: config{StateDir: h.state}}
	if n, err := conn.count(forward.Name, ""); n != 0 || err != nil {
		h.Errorf("%d rules, %v", n, err)
	}
}

var dual = map[string]any{
	"type": "thin-ipam", "routes": []map[string]string{{"dst": "0.0.0.0/0"}},
	"ranges": [][]map[string]string{{{"subnet": "10.9.0.0/24"}}, {{"subnet": "fd09::/64"}}},
}

func with(maps ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func TestVeth(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			h := newHost(t)
			keys := map[string]any{"ipam": dual, "ipMasq": true, "runtimeConfig": map[string]any{"mac": "02:00:00:00:00:09"}}
			i := in{role: Veth, command: "ADD", version: version, container: "c1", netns: h.sandbox(), keys: keys}
			r := h.must(i)
			if r.CNIVersion != version || len(r.Interfaces) != 2 || len(r.IPs) != 2 || *r.IPs[0].Interface != 1 ||
				r.Interfaces[1].MAC != "02:00:00:00:00:09" || (r.IPs[1].Version == "6") != (version < "1.0.0") || (r.Interfaces[0].MTU > 0) != (version == "1.1.0") {
				t.Errorf("result %+v", r)
			}
			h.fails(i, codeFailed)
			check := in{role: Veth, command: "CHECK", version: version, container: "c1", netns: i.netns, keys: with(keys, map[string]any{"prevResult": r})}
			if version == "0.3.1" {
				h.fails(check, codeVersion)
			} else {
				h.must(check)
				check.keys = keys
				h.fails(check, codeConfig)
			}
			i.command, i.netns = "DEL", ""
			h.must(i)
			h.must(i)
			h.clean()
		})
	}
}

func TestVethGCAndStatus(t *testing.T) {
	h := newHost(t)
	keys := map[string]any{"ipam": dual, "ipMasq": true}
	for _, id := range []string{"c1", "c2"} {
		h.must(in{role: Veth, command: "ADD", version: "1.1.0", container: id, netns: h.sandbox(), keys: keys})
	}
	h.must(in{role: Veth, command: "STATUS", version: "1.1.0", keys: keys})
	h.fails(in{role: Veth, command: "STATUS", version: "1.1.0", keys: keys, env: []string{"CNI_PATH=/none"}}, codeUnavailable)
	h.fails(in{role: Veth, command: "GC", version: "1.1.0", keys: keys}, codeConfig)
	valid := map[string]any{"cni.dev/valid-attachments": []attachment{{"c1", "eth0"}}}
	h.must(in{role: Veth, command: "GC", version: "1.1.0", keys: with(keys, valid)})
	if links, err := netlink.LinkList(); err != nil || len(links) != 2 {
		t.Errorf("links after GC: %v %v", links, err)
	}
	h.must(in{role: Veth, command: "DEL", version: "1.1.0", container: "c1", keys: keys})
	h.clean()
}

func TestRefusals(t *testing.T) {
	h := newHost(t)
	ns := h.sandbox()
	for _, c := range []struct {
		in
		code uint
	}{
		{in{version: "9.9.9", container: "c1", netns: ns}, codeVersion},
		{in{version: "1.0.0", container: "../c1", netns: ns}, codeEnvironment},
		{in{version: "1.0.0", container: "c1", netns: ns, env: []string{"CNI_IFNAME=sixteencharacters"}}, codeEnvironment},
		{in{version: "1.0.0", container: "c1", netns: "/none"}, codeNoContainer},
		{in{version: "1.0.0", container: "c1", netns: "/etc/passwd"}, codeNoContainer},
		{in{version: "1.0.0", container: "c1", netns: fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())}, codeNoContainer},
		{in{version: "1.0.0", container: "c1", netns: "/proc/self/ns/net"}, codeEnvironment},
		{in{version: "1.0.0", container: "c1", netns: ns, keys: map[string]any{"name": "a/b"}}, codeConfig},
		{in{version: "1.0.0", container: "c1", netns: ns, keys: map[string]any{"name": 7}}, codeConfig},
		{in{version: "1.0.0", container: "c1", netns: ns, keys: map[string]any{"ipam": map[string]any{"type": "none"}}}, codeUnavailable},
	} {
		c.role, c.command = Veth, "ADD"
		h.fails(c.in, c.code)
	}
	h.clean()
}

func TestIPAM(t *testing.T) {
	h := newHost(t)
	keys := map[string]any{"ipam": dual}
	add := func(id string, more map[string]any) in {
		return in{role: IPAM, command: "ADD", version: "1.1.0", container: id, netns: "/none", keys: with(keys, more)}
	}
	var all sync.Map
	var wait sync.WaitGroup
	for n := range 20 {
		wait.Go(func() {
			o := h.execute(add(fmt.Sprintf("c%d", n), nil))
			var r result
			if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || len(r.IPs) != 2 || r.Interfaces != nil {
				t.Errorf("ADD: %q", o.stdout)
				return
			}
			for _, ip := range r.IPs {
				if _, twice := all.LoadOrStore(ip.Address, n); twice || strings.HasSuffix(ip.Address, ".1/24") {
					t.Errorf("%s was given out twice, or is the gateway's", ip.Address)
				}
			}
		})
	}
	wait.Wait()
	h.fails(add("c0", nil), codeFailed)
	args := map[string]any{"args": map[string]any{"cni": map[string]any{"ips": []string{"10.9.0.99"}}}}
	asked := add("d1", args)
	asked.env = []string{"CNI_ARGS=IP=10.9.0.77;K=V"}
	if r := h.must(asked); r.IPs[0].Address != "10.9.0.99/24" {
		t.Errorf("args.cni.ips: %+v", r.IPs)
	}
	h.fails(add("d2", args), codeFailed)
	h.fails(add("d3", map[string]any{"runtimeConfig": map[string]any{"ips": []string{"10.8.0.1"}}}), codeConfig)
	valid := map[string]any{"cni.dev/valid-attachments": []attachment{{"d1", "eth0"}}}
	h.must(in{role: IPAM, command: "GC", version: "1.1.0", keys: with(keys, valid)})
	if leases, _ := filepath.Glob(h.state + "-leases/*"); len(leases) != 2 {
		t.Errorf("leases after GC: %v", leases)
	}
	h.must(in{role: IPAM, command: "DEL", version: "1.1.0", container: "d1", keys: map[string]any{"ipam": map[string]any{"type": "thin-ipam"}}})
	h.clean()
}

func TestIPAMFull(t *testing.T) {
	h := newHost(t)
	keys := map[string]any{"ipam": map[string]any{"ranges": [][]map[string]string{{{"subnet": "fd09::/64"}}, {{"subnet": "10.9.0.0/30"}}}}}
	i := in{role: IPAM, command: "ADD", version: "1.1.0", container: "c1", netns: "/none", keys: keys}
	status := in{role: IPAM, command: "STATUS", version: "1.1.0", keys: keys}
	h.must(status)
	r := h.must(i)
	h.fails(status, codeUnavailable)
	i.container = "c2"
	h.fails(i, codeTryAgain)
	if leases, _ := filepath.Glob(h.state + "-leases/*"); len(leases) != 2 {
		t.Errorf("leases: %v", leases)
	}
	i.container, i.command = "c1", "CHECK"
	i.keys = with(keys, map[string]any{"prevResult": r})
	h.must(i)
	r.IPs[1].Address = "10.9.0.3/30"
	i.keys = with(keys, map[string]any{"prevResult": r})
	h.fails(i, codeFailed)
	i.command = "DEL"
	h.must(i)
	h.clean()
}

func TestChain(t *testing.T) {
	h := newHost(t)
	ns := h.sandbox()
	prev := json.RawMessage(`{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"` + ns + `","socketPath":"/s","pciID":"0000:00:01.0"}],` +
		`"ips":[{"address":"10.9.0.2/24","interface":0},{"address":"fd09::2/64"}],"routes":[{"dst":"0.0.0.0/0","advmss":1400}],"dns":{"domain":"d"}}`)
	keys := map[string]any{
		"admit": true, "sysctl": map[string]string{"net.ipv4.conf.IFNAME.arp_filter": "1"}, "prevResult": prev,
		"runtimeConfig": map[string]any{"portMappings": []portMapping{{8080, 80, "tcp"}}},
	}
	h.run("ip link add eth0 type dummy || ip link add eth0 type bridge", ns)
	i := in{role: Chain, command: "ADD", version: "1.1.0", container: "c1", netns: ns, keys: keys}
	o := h.execute(i)
	if !o.ok || !equal(t, []byte(o.stdout), prev) {
		t.Errorf("ADD: %s, want %s", o.stdout, prev)
	}
	c := call{conf: config{StateDir: h.state}}
	if n, err := c.count(forward.Name, newKey("net", "c1", "eth0")); n != 4 || err != nil {
		t.Errorf("%d rules, %v", n, err)
	}
	if got := h.run("cat /proc/sys/net/ipv4/conf/eth0/arp_filter", ns); got != "1" {
		t.Errorf("arp_filter %q after ADD", got)
	}
	i.command = "CHECK"
	h.must(i)
	h.run("echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_filter", ns)
	h.fails(i, codeFailed)
	h.run("echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_filter", ns)
	i.command, i.keys = "DEL", nil
	h.must(i)
	if got := h.run("cat /proc/sys/net/ipv4/conf/eth0/arp_filter", ns); got != "0" {
		t.Errorf("arp_filter %q after DEL", got)
	}
	h.must(i)
	i.command = "ADD"
	h.fails(i, codeConfig)
	i.keys = map[string]any{"prevResult": prev}
	h.must(i)
	h.clean()
}

// run runs a shell's line in a namespace and returns what it printed.
func (h *host) run(line, ns string) string {
	h.Helper()
	data, err := exec.Command("nsenter", "--net="+ns, "sh", "-c", line).CombinedOutput()
	if err != nil {
		h.Fatalf("%s: %v: %s", line, err, data)
	}
	return strings.TrimSpace(string(data))
}

func equal(t *testing.T, a, b []byte) bool {
	t.Helper()
	var texts []string
	for _, data := range [][]byte{a, b} {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(v)
		texts = append(texts, string(text))
	}
	return texts[0] == texts[1]
}

func TestVersion(t *testing.T) {
	h := newHost(t)
	for stdin, want := range map[string]string{"": newest, `{"cniVersion":"0.4.0"}`: "0.4.0"} {
		cmd := exec.Command(filepath.Join(h.bin, string(Veth)))
		cmd.Env, cmd.Stdin = []string{"CNI_COMMAND=VERSION"}, strings.NewReader(stdin)
		data, err := cmd.Output()
		if err != nil || !strings.Contains(string(data), `"cniVersion":"`+want+`"`) {
			t.Errorf("VERSION of %q: %s %v", stdin, data, err)
		}
	}
}

func TestFaults(t *testing.T) {
	var names []Fault
	for _, f := range Faults() {
		if slices.Contains(names, f.Name) || len(f.Rows) == 0 || f.Wrong == "" || strings.ContainsRune(string(f.Name), '/') {
			t.Errorf("fault %+v", f)
		}
		names = append(names, f.Name)
		if role, fault, ok := Named("/x/" + string(f.Role) + "." + string(f.Name)); !ok || role != f.Role || fault != f.Name {
			t.Errorf("%s: read as %s %s %v", f.Name, role, fault, ok)
		}
	}
	if _, _, ok := Named("/usr/bin/thin-plugin"); ok {
		t.Error("the program itself is a plugin")
	}
}
