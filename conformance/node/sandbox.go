// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// Sandbox is a pod's sandbox as a container runtime makes it: an id and a
// network namespace.
type Sandbox struct {
	// ID is the container id.
	ID string
	// Netns is the path of the network namespace.
	Netns string
	// IfName is the interface of the default network.
	IfName string
	// The pod that it belongs to.
	PodNamespace, PodName, PodUID string

	// Annotations are those that the pod is made with.
	Annotations map[string]string
	// WithoutPod means that the cluster does not have the pod.
	WithoutPod bool
	// Added means that an ADD of it was asked for.
	Added bool

	// Node is the node that it is on.
	Node *Node
	// Gone means that its network namespace does not exist, or not any more.
	Gone bool

	noNetns bool
}

// SandboxOption changes what NewSandbox makes.
type SandboxOption func(*Sandbox)

// Networks is the pod's annotation k8s.v1.cni.cncf.io/networks.
func Networks(selections string) SandboxOption {
	return Annotation("k8s.v1.cni.cncf.io/networks", selections)
}

// Annotation is an annotation of the pod.
func Annotation(key, value string) SandboxOption {
	return func(s *Sandbox) { s.Annotations[key] = value }
}

// WithoutPod makes a sandbox whose pod the cluster does not have.
func WithoutPod() SandboxOption { return func(s *Sandbox) { s.WithoutPod = true } }

// WithoutNetns makes a sandbox whose network namespace does not exist.
func WithoutNetns() SandboxOption { return func(s *Sandbox) { s.noNetns = true } }

// ContainerID is the id of the sandbox; random otherwise.
func ContainerID(id string) SandboxOption { return func(s *Sandbox) { s.ID = id } }

// PodName is the name of the pod; random otherwise.
func PodName(name string) SandboxOption { return func(s *Sandbox) { s.PodName = name } }

// PodNamespace is the pod's Kubernetes namespace.
func PodNamespace(name string) SandboxOption { return func(s *Sandbox) { s.PodNamespace = name } }

// NewSandbox makes a sandbox with a network namespace of its own, of a pod in
// that Kubernetes namespace unless an option says otherwise. The pod itself is
// not made.
func (n *Node) NewSandbox(namespace string, options ...SandboxOption) *Sandbox {
	ginkgo.GinkgoHelper()
	s := &Sandbox{
		Node: n, ID: RandomHex(32), IfName: "eth0", Netns: filepath.Join(n.Dir, "netns", "n-"+RandomHex(6)),
		PodNamespace: namespace, PodName: "pod-" + RandomHex(4), Annotations: map[string]string{},
		PodUID: fmt.Sprintf("%s-%s-%s-%s-%s", RandomHex(4), RandomHex(2), RandomHex(2), RandomHex(2), RandomHex(6)),
	}
	for _, o := range options {
		o(s)
	}
	if s.noNetns {
		s.Gone = true
	} else {
		Expect(newNetns(s.Netns)).To(Succeed())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sandboxes = append(n.sandboxes, s)
	return s
}

// newNetns makes a network namespace and keeps it as a mount at path. The
// thread that made it is left in it, and so ends with its goroutine.
func newNetns(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	err = suite.OnOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", path, err)
	}
	return nil
}

// Args is the CNI_ARGS that a runtime passes for the sandbox.
func (s *Sandbox) Args() string {
	return "IgnoreUnknown=1;K8S_POD_NAMESPACE=" + s.PodNamespace + ";K8S_POD_NAME=" + s.PodName +
		";K8S_POD_INFRA_CONTAINER_ID=" + s.ID + ";K8S_POD_UID=" + s.PodUID
}

// Env is the CNI environment of a command for the sandbox.
func (s *Sandbox) Env(command string) map[string]string {
	return map[string]string{
		"CNI_COMMAND": command, "CNI_CONTAINERID": s.ID, "CNI_NETNS": s.Netns, "CNI_IFNAME": s.IfName,
		"CNI_ARGS": s.Args(), "CNI_PATH": s.Node.BinDir,
	}
}

// Do runs f in the sandbox's network namespace.
func (s *Sandbox) Do(f func() error) {
	ginkgo.GinkgoHelper()
	Expect(ns.WithNetNSPath(s.Netns, func(ns.NetNS) error { return f() })).To(Succeed())
}

// Interface is a network interface of a sandbox.
type Interface struct {
	Name, MAC string
	// Addresses have their prefix length; link-local IPv6 ones are left out.
	Addresses []string
}

// Interfaces lists the sandbox's interfaces without lo; none when its
// namespace is gone.
func (s *Sandbox) Interfaces() []Interface {
	ginkgo.GinkgoHelper()
	if s.Gone {
		return nil
	}
	var all []Interface
	s.Do(func() error {
		links, err := whole(netlink.LinkList)
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Attrs().Name == "lo" {
				continue
			}
			addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
			if err != nil {
				return err
			}
			i := Interface{Name: l.Attrs().Name, MAC: l.Attrs().HardwareAddr.String()}
			for _, a := range addrs {
				if !a.IP.IsLinkLocalUnicast() {
					i.Addresses = append(i.Addresses, a.IPNet.String())
				}
			}
			all = append(all, i)
		}
		return nil
	})
	return all
}

// dumps is how often a list is asked for that changes meanwhile.
const dumps = 100

// whole asks for a list until nothing has changed while the kernel gave it.
func whole[T any](list func() ([]T, error)) (all []T, err error) {
	for range dumps {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// InterfaceNames lists the names of the sandbox's interfaces without lo.
func (s *Sandbox) InterfaceNames() []string {
	ginkgo.GinkgoHelper()
	names := []string{}
	for _, i := range s.Interfaces() {
		names = append(names, i.Name)
	}
	return names
}

// DeleteInterface removes an interface behind the target's back.
func (s *Sandbox) DeleteInterface(name string) {
	ginkgo.GinkgoHelper()
	s.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkDel(l)
	})
}

// DeleteAddress removes an address, with its prefix length, from an interface.
func (s *Sandbox) DeleteAddress(iface, cidr string) {
	ginkgo.GinkgoHelper()
	s.Do(func() error {
		l, err := netlink.LinkByName(iface)
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		return netlink.AddrDel(l, addr)
	})
}

// AddInterface makes an interface of that name, a bridge, which needs nothing
// outside the namespace.
func (s *Sandbox) AddInterface(name string) {
	ginkgo.GinkgoHelper()
	s.Do(func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}})
	})
}

// RemoveNetns removes the sandbox's network namespace, as a node that lost it.
func (s *Sandbox) RemoveNetns() {
	ginkgo.GinkgoHelper()
	Expect(s.close()).To(Succeed())
}

func (s *Sandbox) close() error {
	if s.Gone {
		return nil
	}
	s.Gone = true
	return errors.Join(unix.Unmount(s.Netns, unix.MNT_DETACH), os.Remove(s.Netns))
}
