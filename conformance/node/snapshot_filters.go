// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// shaping describes queueing disciplines and filters, without those that the
// kernel gives every interface.
func shaping() ([]string, error) {
	byIndex, all, err := names()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, l := range all {
		qdiscs, err := netlink.QdiscList(l)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, err
		}
		for _, q := range qdiscs {
			a := q.Attrs()
			if a.Handle == 0 { // what the kernel gives has no handle
				continue
			}
			lines = append(lines, fmt.Sprintf("qdisc %s on %s handle %s parent %s%s", q.Type(), byIndex[a.LinkIndex],
				netlink.HandleStr(a.Handle), netlink.HandleStr(a.Parent), shape(q)))
			filters, err := netlink.FilterList(l, a.Handle)
			if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
				continue // a discipline without classes has none
			}
			for _, f := range filters {
				lines = append(lines, fmt.Sprintf("filter %s on %s parent %s priority %d", f.Type(), byIndex[f.Attrs().LinkIndex],
					netlink.HandleStr(f.Attrs().Parent), f.Attrs().Priority))
			}
		}
	}
	return lines, nil
}

// shape is how much a discipline lets through.
func shape(q netlink.Qdisc) string {
	if t, ok := q.(*netlink.Tbf); ok {
		return fmt.Sprintf(" rate %d", t.Rate)
	}
	return ""
}

// show runs a tool that prints what the kernel has; one that is not installed
// prints nothing.
func show(name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", nil //nolint:nilerr // without the tool, what it would show cannot be made with it either
	}
	out, err := exec.Command(path, args...).Output() //nolint:noctx // it reads the kernel's tables
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w: %s", name, err, exit.Stderr)
	}
	return string(out), err
}

var (
	nftCounter = regexp.MustCompile(`counter packets \d+ bytes \d+`)
	// nftDynamic is how long an element of a set has been there, or will be.
	nftDynamic = regexp.MustCompile(`( expires | last used )[0-9dhmsn]+`)
	// iptablesChain is a chain with its counters.
	iptablesChain = regexp.MustCompile(`^:(\S+) (\S+) \[\d+:\d+\]$`)
)

// netfilter describes nft's ruleset: tables, chains, sets and rules, a line each,
// rules in their order. Empty tables that iptables makes when it is only asked
// are left out.
func netfilter() ([]string, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return nil, unseenTables()
	}
	text, err := show("nft", "-s", "list", "ruleset")
	if err != nil {
		return nil, err
	}
	return readNFT(text), nil
}

// unseenTables is an error when there are tables that only nft would show: plugins
// make them by netlink, too, and a judge that does not see them would find nothing
// wrong with whatever is left in them. Those of iptables are its own to show.
func unseenTables() error {
	conn, err := nftables.New()
	if err != nil {
		return nil //nolint:nilerr // a kernel without nf_tables has none
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil //nolint:nilerr // the same
	}
	for _, t := range tables {
		ofIPTables := (t.Family == nftables.TableFamilyIPv4 || t.Family == nftables.TableFamilyIPv6) &&
			slices.Contains([]string{"nat", "filter", "mangle", "raw", "security"}, t.Name)
		if !ofIPTables {
			return fmt.Errorf("there is a table %q of nft, and what is in it cannot be seen without nft: apt-get install nftables", t.Name)
		}
	}
	return nil
}

// readNFT reads nft's own notation.
func readNFT(text string) []string {
	var lines, inside []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		line = nftDynamic.ReplaceAllString(nftCounter.ReplaceAllString(line, "counter"), "$1…")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == "}":
			inside = inside[:max(0, len(inside)-1)]
		case strings.HasSuffix(line, "{"):
			inside = append(inside, strings.TrimSpace(strings.TrimSuffix(line, "{")))
			lines = append(lines, "nft "+strings.Join(inside, " "))
		default:
			kind := "rule "
			if strings.HasPrefix(line, "type ") || len(inside) < 2 || !strings.HasPrefix(inside[len(inside)-1], "chain") {
				kind = ""
			}
			lines = append(lines, "nft "+strings.Join(inside, " ")+" "+kind+line)
		}
	}
	return withoutEmptyTables(lines)
}

// base are the chains that iptables makes in its tables.
var base = regexp.MustCompile(`^nft table (?:ip|ip6) (?:nat|filter|mangle|raw|security)(?: chain (?:INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING)(?: type .*policy accept;)?)?$`)

// withoutEmptyTables leaves iptables' own tables and chains out: that they exist
// changes nothing. Rules in them stay.
func withoutEmptyTables(lines []string) []string {
	var kept []string
	for _, line := range lines {
		if !base.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// iptables describes the rules of the older interface to netfilter; rules of
// iptables-nft are seen by nft, too, where that is installed.
func iptables() ([]string, error) {
	var lines []string
	for tool, name := range map[string]string{"iptables-save": "iptables", "ip6tables-save": "ip6tables",
		"iptables-legacy-save": "iptables-legacy", "ip6tables-legacy-save": "ip6tables-legacy"} {
		text, err := show(tool)
		if err != nil {
			if strings.Contains(tool, "legacy") {
				continue // a kernel without the legacy tables has no rules in them
			}
			return nil, err
		}
		lines = append(lines, readIPTables(name, text)...)
	}
	return lines, nil
}

func readIPTables(name, text string) []string {
	var lines []string
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		chain := iptablesChain.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case chain != nil && chain[2] == "ACCEPT":
		case chain != nil:
			lines = append(lines, fmt.Sprintf("%s %s chain %s policy %s", name, table, chain[1], chain[2]))
		case strings.HasPrefix(line, "-A"):
			lines = append(lines, fmt.Sprintf("%s %s rule %s", name, table, line))
		}
	}
	return lines
}
