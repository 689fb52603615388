// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// pingAll pings the second sandbox from the first, on each network that they
// share. ptp gives each its own link to the node, so it is pinged through it.
func (s *stage) pingAll(ctx context.Context, a, b *sandbox) error {
	say("ping", "from demo/%s to demo/%s", a.pod, b.pod)
	for _, ifName := range []string{"eth0", "net1"} {
		var took time.Duration
		err := inNetns(a.netns, func() (err error) {
			took, err = ping(ctx, b.addresses[ifName])
			return err
		})
		if err != nil {
			return fmt.Errorf("ping over %s: %w", ifName, err)
		}
		fmt.Printf("  %s (%s): answered in %s\n", b.addresses[ifName], ifName, took.Round(time.Microsecond))
	}
	return nil
}

// ping sends ICMP echo requests until one is answered: the first may be lost
// while the address is still being resolved.
func ping(ctx context.Context, address string) (time.Duration, error) {
	conn, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	deadline := time.Now().Add(10 * time.Second)
	for seq := 1; time.Now().Before(deadline) && ctx.Err() == nil; seq++ {
		echo := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: seq, Data: []byte("thicket")}}
		packet, err := echo.Marshal(nil)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if _, err := conn.WriteTo(packet, &net.IPAddr{IP: net.ParseIP(address)}); err != nil {
			return 0, err
		}
		if answered(conn, address, start.Add(time.Second)) {
			return time.Since(start), nil
		}
	}
	return 0, fmt.Errorf("%s does not answer", address)
}

func answered(conn *icmp.PacketConn, address string, until time.Time) bool {
	if err := conn.SetReadDeadline(until); err != nil {
		return false
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return false
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err == nil && m.Type == ipv4.ICMPTypeEchoReply && from.String() == address {
			return true
		}
	}
}

// nothingLeft looks for whatever DEL should have removed.
func (s *stage) nothingLeft(all ...*sandbox) error {
	var left []string
	for _, b := range all {
		err := inNetns(b.netns, func() error {
			links, err := netlink.LinkList()
			for _, l := range links {
				if l.Attrs().Name != "lo" {
					left = append(left, "interface "+l.Attrs().Name+" of "+b.pod)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	now, err := interfaceNames()
	if err != nil {
		return err
	}
	for _, name := range now {
		// The bridge is the node's and stays, as it does on a real node.
		if name != "thicket0" && !slices.Contains(s.before, name) {
			left = append(left, "interface "+name+" of the node")
		}
	}
	leases, err := filesBelow(s.path("leases"), func(name string) bool { return net.ParseIP(name) != nil })
	if err != nil {
		return err
	}
	records, err := filesBelow(s.path("cache"), func(string) bool { return true })
	if err != nil {
		return err
	}
	status, err := filesBelow(s.path("manifests/status"), func(string) bool { return true })
	if err != nil {
		return err
	}
	left = append(left, slices.Concat(leases, records, status)...)
	if len(left) > 0 {
		return fmt.Errorf("left behind: %v", left)
	}
	say("after DEL", "interfaces left: 0, leases left: 0, records left: 0, statuses left: 0")
	return nil
}

func filesBelow(dir string, match func(name string) bool) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !e.IsDir() && match(e.Name()) {
			found = append(found, path)
		}
		return err
	})
	return found, err
}
