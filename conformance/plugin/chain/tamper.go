// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// kind is a kind of things that a plugin makes and somebody else can take away.
type kind struct {
	// begins are the beginnings of their lines in a difference.
	begins   []string
	takeAway func(a *plugin.Attachment, lines []string)
}

// of reports whether a line of a difference is of the kind.
func (k *kind) of(line string) bool {
	if strings.HasPrefix(line, "in ") {
		_, line, _ = strings.Cut(line, ": ")
	}
	for _, b := range k.begins {
		if strings.HasPrefix(line, b) {
			return true
		}
	}
	return false
}

var kinds = []*kind{
	{begins: []string{"+ nft "}, takeAway: flush("nft", "flush", "ruleset")},
	{begins: []string{"+ iptables ", "+ ip6tables "}, takeAway: flushIPTables},
	{begins: []string{"+ qdisc "}, takeAway: dropShaping},
	{begins: []string{"- sysctl "}, takeAway: resetSysctls},
	{begins: []string{"+ rule "}, takeAway: dropRules},
	{begins: []string{"- link "}, takeAway: resetLinks},
}

// where runs f where the lines are: in the container when one of them is, else
// on the host.
func where(a *plugin.Attachment, lines []string, f func() error) {
	ginkgo.GinkgoHelper()
	if strings.HasPrefix(lines[0], "in ") {
		a.Sandbox.Do(f)
		return
	}
	Expect(suite.OnOwnThread(f)).To(Succeed())
}

// words are those of a line behind its sign.
func words(line string) []string {
	return strings.Fields(line[strings.IndexAny(line, "+-")+1:])
}

func flush(name string, args ...string) func(*plugin.Attachment, []string) {
	return func(a *plugin.Attachment, lines []string) {
		ginkgo.GinkgoHelper()
		where(a, lines, func() error { return run(name, args...) })
	}
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput() //nolint:noctx // it changes the kernel's tables
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

func flushIPTables(a *plugin.Attachment, lines []string) {
	ginkgo.GinkgoHelper()
	where(a, lines, func() error {
		var failed error
		for _, line := range lines {
			tool, table := words(line)[0], words(line)[1]
			failed = errors.Join(failed, run(tool, "-t", table, "-F"))
		}
		return failed
	})
}

// dropShaping removes the root queueing disciplines that came.
func dropShaping(a *plugin.Attachment, lines []string) {
	ginkgo.GinkgoHelper()
	where(a, lines, func() error {
		all, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range all {
			qdiscs, err := netlink.QdiscList(l)
			if err != nil {
				return err
			}
			for _, q := range qdiscs {
				if q.Attrs().Handle != 0 && q.Attrs().Parent == netlink.HANDLE_ROOT && mentions(lines, " on "+l.Attrs().Name+" ") {
					if err := netlink.QdiscDel(q); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

func mentions(lines []string, text string) bool {
	for _, line := range lines {
		if strings.Contains(line+" ", text) {
			return true
		}
	}
	return false
}

// resetSysctls gives settings the values that they had.
func resetSysctls(a *plugin.Attachment, lines []string) {
	ginkgo.GinkgoHelper()
	where(a, lines, func() error {
		for _, line := range lines {
			name, value, _ := strings.Cut(strings.Join(words(line)[1:], " "), " = ")
			if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropRules removes the rules of routing that are not the kernel's.
func dropRules(a *plugin.Attachment, lines []string) {
	ginkgo.GinkgoHelper()
	where(a, lines, func() error {
		rules, err := netlink.RuleList(netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, r := range rules {
			if r.Table != unix.RT_TABLE_LOCAL && r.Table != unix.RT_TABLE_MAIN && r.Table != unix.RT_TABLE_DEFAULT {
				if err := netlink.RuleDel(&r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// resetLinks gives interfaces the mac and the mtu that they had.
func resetLinks(a *plugin.Attachment, lines []string) {
	ginkgo.GinkgoHelper()
	where(a, lines, func() error {
		for _, line := range lines {
			w := words(line)
			l, err := netlink.LinkByName(w[1])
			if err != nil {
				return err
			}
			for i := range w {
				switch w[i] {
				case "mtu":
					mtu, _ := strconv.Atoi(w[i+1])
					err = errors.Join(err, netlink.LinkSetMTU(l, mtu))
				case "mac":
					mac, _ := net.ParseMAC(w[i+1])
					err = errors.Join(err, netlink.LinkSetHardwareAddr(l, mac))
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
