// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/fakes/script"
)

func syscallGetpgid() (int, error) { return syscall.Getpgid(0) }

// succeed does what the command is for, and prints an ADD's result.
func succeed(command string, s *script.FakeStep, conf *configuration) error {
	switch {
	case s.Pool != nil:
		return servePool(command, s.Pool, conf)
	case command == "DEL" && s.Veth:
		return deleteVeth()
	case command != "ADD":
		return nil
	}
	if s.DeviceInfo != nil {
		if err := describe(conf.Runtime.DeviceInfoFile, s.DeviceInfo); err != nil {
			return fmt.Errorf("fake: runtimeConfig.CNIDeviceInfoFile: %w", err)
		}
	}
	result := defaultResult(s)
	if s.Veth {
		mac, err := createVeth(s.Addresses)
		if err != nil {
			return err
		}
		result.Interfaces[0].Mac = mac
	}
	switch {
	case s.Result != nil:
		raw, err := json.Marshal(s.Result)
		if err != nil {
			return err
		}
		return printRaw(raw, conf.CNIVersion)
	case s.Mark != "":
		return printMarked(s.Mark, result, conf)
	case len(conf.PrevResult) > 0:
		// Further down a list, a plugin passes on what it got.
		return printRaw(conf.PrevResult, conf.CNIVersion)
	}
	return types.PrintResult(result, conf.CNIVersion)
}

// describe writes a DeviceInfo file as the specification's own library does: one
// that is there already is an error.
func describe(path string, info any) error {
	content, err := json.Marshal(info)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// printMarked prints the result of the plugin before, else the default one, with
// a word more in dns.search.
func printMarked(mark string, result *types100.Result, conf *configuration) error {
	raw := conf.PrevResult
	if len(raw) == 0 {
		own, err := result.GetAsVersion(conf.CNIVersion)
		if err != nil {
			return err
		}
		if raw, err = json.Marshal(own); err != nil {
			return err
		}
	}
	var marked map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&marked); err != nil {
		return err
	}
	dns, _ := marked["dns"].(map[string]any)
	if dns == nil {
		dns = map[string]any{}
	}
	search, _ := dns["search"].([]any)
	dns["search"] = append(search, mark)
	marked["dns"] = dns
	if raw, err := json.Marshal(marked); err == nil {
		return printRaw(raw, conf.CNIVersion)
	}
	return errors.New("fake: the marked result cannot be encoded")
}

// printRaw prints a result with the configuration's version, where it has none.
func printRaw(raw json.RawMessage, version string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	if fields["cniVersion"] == nil {
		fields["cniVersion"], _ = json.Marshal(version)
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(out)
	return err
}

func identity() [32]byte {
	return sha256.Sum256([]byte(os.Getenv("CNI_CONTAINERID") + "\x00" + os.Getenv("CNI_IFNAME")))
}

// defaultResult has one interface and, unless the step lists others, one
// address, both the same for the same container and interface.
func defaultResult(s *script.FakeStep) *types100.Result {
	id := identity()
	r := &types100.Result{
		CNIVersion: types100.ImplementedSpecVersion,
		Interfaces: []*types100.Interface{{
			Name: os.Getenv("CNI_IFNAME"), Sandbox: os.Getenv("CNI_NETNS"),
			Mac: net.HardwareAddr{0x02, id[0], id[1], id[2], id[3], id[4]}.String(),
		}},
	}
	addresses := s.Addresses
	if len(addresses) == 0 {
		addresses = []string{fmt.Sprintf("10.%d.%d.%d/24", id[5], id[6], 1+id[7]%254)}
	}
	for _, a := range addresses {
		ip, network, err := net.ParseCIDR(a)
		if err != nil {
			exit(fmt.Errorf("fake: address %q: %w", a, err))
		}
		r.IPs = append(r.IPs, &types100.IPConfig{Interface: types100.Int(0), Address: net.IPNet{IP: ip, Mask: network.Mask}})
	}
	return r
}

// hostEnd is the name of the veth's end outside the sandbox.
func hostEnd() string {
	id := identity()
	return fmt.Sprintf("fk%x", id[8:14])
}

func createVeth(addresses []string) (mac string, err error) {
	space, err := ns.GetNS(os.Getenv("CNI_NETNS"))
	if err != nil {
		return "", err
	}
	defer func() { _ = space.Close() }()
	name := os.Getenv("CNI_IFNAME")
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostEnd()}, PeerName: name, PeerNamespace: netlink.NsFd(int(space.Fd()))}
	if err := netlink.LinkAdd(pair); err != nil {
		return "", fmt.Errorf("fake: veth: %w", err)
	}
	err = space.Do(func(ns.NetNS) error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		mac = l.Attrs().HardwareAddr.String()
		for _, a := range addresses {
			addr, err := netlink.ParseAddr(a)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(l, addr); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(l)
	})
	return mac, err
}

// deleteVeth removes the pair by its host end, which is there as long as any
// of it is, also when the sandbox's namespace is gone.
func deleteVeth() error {
	l, err := netlink.LinkByName(hostEnd())
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(l); err != nil && !errors.Is(err, syscall.ENODEV) {
		return err // ENODEV: the sandbox's namespace went meanwhile, and took the pair along
	}
	return nil
}
