// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// Snapshot is the state of a network namespace, and for the host's its files, as
// lines that people read: "link eth0 veth up mtu 1500 …". Two of them are
// compared. Counters, timers, and numbers that the kernel gives are left out.
type Snapshot struct {
	// Where names the namespace in a difference; empty for the host's.
	Where string
	// Lines are sorted.
	Lines []string
}

// LookAround looks at the network namespace of this process.
func LookAround() (Snapshot, error) {
	s := Snapshot{}
	err := suite.OnOwnThread(func() (err error) {
		s.Lines, err = lookAround()
		return err
	})
	slices.Sort(s.Lines)
	return s, err
}

// Snapshot looks at the node's own network namespace, which takes the place of
// the host's, and at the files of its root.
func (n *Node) Snapshot() Snapshot {
	ginkgo.GinkgoHelper()
	s := Snapshot{}
	Expect(suite.OnOwnThread(func() (err error) {
		s.Lines, err = lookAround()
		return err
	})).To(Succeed(), "a look at the host")
	if n.options.Root != nil {
		files, err := n.options.Root.written(append([]string{n.CallsDir, n.BinDir, filepath.Join(n.Dir, "netns")}, n.Own...))
		Expect(err).NotTo(HaveOccurred(), "a look at the files")
		s.Lines = append(s.Lines, files...)
	}
	slices.Sort(s.Lines)
	return s
}

// Snapshot looks at the sandbox's network namespace; a namespace that is gone
// has nothing.
func (s *Sandbox) Snapshot() Snapshot {
	ginkgo.GinkgoHelper()
	shot := Snapshot{Where: "in " + s.ID[:min(8, len(s.ID))]}
	if s.Gone {
		return shot
	}
	s.Do(func() (err error) {
		shot.Lines, err = lookAround()
		return err
	})
	slices.Sort(shot.Lines)
	return shot
}

// Difference lists what came (+) and what went (-) since the snapshot was taken,
// except what matches a pattern; see Matches.
func (s Snapshot) Difference(now Snapshot, except ...string) []string {
	var all []string
	where := ""
	if s.Where != "" {
		where = s.Where + ": "
	}
	for _, line := range subtract(s.Lines, now.Lines) {
		all = append(all, where+"- "+line)
	}
	for _, line := range subtract(now.Lines, s.Lines) {
		all = append(all, where+"+ "+line)
	}
	all = withoutSettingsOf(all)
	return slices.DeleteFunc(all, func(line string) bool {
		_, what, _ := strings.Cut(line[len(where):], " ")
		return slices.ContainsFunc(except, func(pattern string) bool { return Matches(pattern, what) })
	})
}

// Matches reports whether a line of a snapshot begins with a pattern, in which *
// stands for anything, and goes on with another word: "link br*" matches "link
// br0 bridge up mtu 1500". A pattern that ends with $ matches whole lines.
func Matches(pattern, line string) bool {
	pattern, whole := strings.CutSuffix(pattern, "$")
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	end := "( |$)"
	if whole {
		end = "$"
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + end).MatchString(line)
}

// subtract returns the lines of a that b does not have, as often as a has them
// more.
func subtract(a, b []string) []string {
	count := map[string]int{}
	for _, line := range b {
		count[line]++
	}
	var left []string
	for _, line := range a {
		if count[line]--; count[line] < 0 {
			left = append(left, line)
		}
	}
	return left
}

var settingOf = regexp.MustCompile(`^sysctl net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh|input)\.(.+)\.[^.]+ = `)

// withoutSettingsOf leaves out the settings of interfaces that came or went
// themselves: the kernel makes and removes them.
func withoutSettingsOf(difference []string) []string {
	changed := map[string]bool{}
	line := func(d string) string { return d[strings.IndexAny(d, "+-")+2:] }
	for _, d := range difference {
		if fields := strings.Fields(line(d)); fields[0] == "link" {
			changed[fields[1]] = true
		}
	}
	return slices.DeleteFunc(difference, func(d string) bool {
		m := settingOf.FindStringSubmatch(line(d))
		return m != nil && changed[m[1]]
	})
}

// lookAround describes the network namespace of the calling thread.
func lookAround() ([]string, error) {
	var all []string
	for _, look := range []func() ([]string, error){links, addresses, routes, rules, neighbours, shaping, netfilter, iptables, sysctls} {
		lines, err := look()
		if err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		all = append(all, lines...)
	}
	return all, nil
}
