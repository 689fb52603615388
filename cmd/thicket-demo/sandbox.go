// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// sandbox is a pod's network namespace, as a container runtime would make it.
type sandbox struct {
	id, pod, netns string
	// addresses are what ADD gave, by interface name.
	addresses map[string]string
}

// newSandbox makes a namespace and the manifest of a pod that asks for two
// networks beside the default one.
func (s *stage) newSandbox(pod string) (*sandbox, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	if err := newNetns(pod); err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	manifest := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: %s
  namespace: demo
  annotations:
    k8s.v1.cni.cncf.io/networks: lan, link
`, pod)
	if err := os.WriteFile(s.path("manifests/"+pod+".yaml"), []byte(manifest), 0o600); err != nil {
		return nil, err
	}
	return &sandbox{id: hex.EncodeToString(random[:]), pod: pod, netns: "/run/netns/" + pod, addresses: map[string]string{}}, nil
}

// newNetns makes a named namespace. Making one moves the thread into it, so
// the thread goes back afterwards.
func newNetns(name string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		return err
	}
	defer here.Close()
	made, err := netns.NewNamed(name)
	if err != nil {
		return err
	}
	defer made.Close()
	if err := netns.Set(here); err != nil {
		return err
	}
	return inNetns("/run/netns/"+name, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
}

func inNetns(path string, do func() error) error {
	return ns.WithNetNSPath(path, func(ns.NetNS) error { return do() })
}

// shim executes the shim as a runtime does.
func (s *stage) shim(ctx context.Context, command string, b *sandbox) ([]byte, error) {
	config := fmt.Sprintf(`{"cniVersion":"1.1.0","name":"multus-cni-network","type":"thicket-shim","daemonSocketDir":%q,"cniDir":%q}`,
		s.path("run"), s.path("cache"))
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "thicket-shim"))
	cmd.Env = []string{
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + b.id, "CNI_NETNS=" + b.netns, "CNI_IFNAME=eth0", "CNI_PATH=" + filepath.Join(s.bin, "cni"),
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=" + b.pod + ";K8S_POD_INFRA_CONTAINER_ID=" + b.id,
	}
	cmd.Stdin = strings.NewReader(config)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s of %s: %w: %s", command, b.pod, err, out.String())
	}
	return out.Bytes(), nil
}

// add attaches a sandbox and shows it from inside and outside.
func (s *stage) add(ctx context.Context, b *sandbox) error {
	out, err := s.shim(ctx, "ADD", b)
	if err != nil {
		return err
	}
	var result types100.Result
	if err := json.Unmarshal(out, &result); err != nil {
		return fmt.Errorf("result of ADD: %w", err)
	}
	say("ADD", "pod demo/%s, sandbox %s: the result is the default network's, %s", b.pod, b.id[:12], result.IPs[0].Address.String())
	fmt.Printf("as seen inside:\n")
	if err := b.show(); err != nil {
		return err
	}
	status, err := os.ReadFile(s.path("manifests/status/demo_" + b.pod + ".json"))
	if err != nil {
		return fmt.Errorf("network status: %w", err)
	}
	fmt.Printf("network-status:\n%s\n", strings.TrimSpace(string(status)))
	return nil
}

// show prints the sandbox's interfaces and keeps their addresses.
func (b *sandbox) show() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  INTERFACE\tKIND\tMAC\tADDRESSES")
	err := inNetns(b.netns, func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
			if err != nil {
				return err
			}
			var texts []string
			for _, a := range addrs {
				texts = append(texts, a.IPNet.String())
				b.addresses[l.Attrs().Name] = a.IP.String()
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", l.Attrs().Name, l.Type(), l.Attrs().HardwareAddr, strings.Join(texts, " "))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, want := range []string{"eth0", "net1", "net2"} {
		if b.addresses[want] == "" {
			return fmt.Errorf("pod %s has no address on %s", b.pod, want)
		}
	}
	return w.Flush()
}

func (s *stage) check(ctx context.Context, all ...*sandbox) error {
	for _, b := range all {
		if _, err := s.shim(ctx, "CHECK", b); err != nil {
			return err
		}
		say("CHECK", "pod demo/%s: all three attachments are as ADD left them", b.pod)
	}
	return nil
}

func (s *stage) del(ctx context.Context, all ...*sandbox) error {
	for _, b := range all {
		if _, err := s.shim(ctx, "DEL", b); err != nil {
			return err
		}
		say("DEL", "pod demo/%s", b.pod)
	}
	return nil
}
