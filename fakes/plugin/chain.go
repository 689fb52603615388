// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// chainAdd lets in what is sent to the container, sets the settings, and passes
// the result on as it is: nothing of what it does shows in one.
func (c *call) chainAdd() error {
	prev, err := readResult(c.conf.PrevResult)
	switch {
	case err != nil && c.has(chainAlone):
		return c.printResult(&result{})
	case err != nil:
		return err
	case c.conf.CNIVersion >= "0.3.0" && len(prev.Interfaces) == 0:
		return fail(codeConfig, "prevResult has no interface")
	}
	ns, err := c.openNamespace()
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	rules, err := c.admit(prev)
	if err != nil {
		return err
	}
	if err := c.chainApply(ns, rules); err != nil {
		return errors.Join(err, c.restore(), c.dropRules(func(k key) bool { return k == c.owner(prev) }))
	}
	return c.passOn()
}

// chainApply does what there is to do.
func (c *call) chainApply(ns *namespace, rules [][]expr.Any) error {
	if len(c.conf.Sysctl) > 0 {
		if err := c.set(ns); err != nil {
			return err
		}
	}
	if len(rules) == 0 && !c.has(chainIdleTable) {
		return nil
	}
	prev, err := readResult(c.conf.PrevResult)
	if err != nil {
		return err
	}
	if err := c.put(forward, c.owner(prev), rules); err != nil {
		return err
	}
	if c.has(chainRecordLast) {
		time.Sleep(20 * time.Millisecond)
		return os.WriteFile(c.recordPath()+lastSuffix, nil, 0o600)
	}
	return nil
}

// owner is the key of the rules.
func (c *call) owner(prev *result) key {
	if c.has(chainByAddress) && prev != nil && len(prev.IPs) > 0 {
		return key(networkPart(c.conf.Name) + "." + prev.IPs[0].Address)
	}
	if c.has(chainDelArgs) {
		ports, _ := json.Marshal(c.conf.RuntimeConfig.PortMappings)
		return newKey(c.conf.Name, c.env.container, string(ports))
	}
	return c.key()
}

// admit returns the rules that let in what is sent to the result's addresses:
// everything, or what is sent to the ports that the runtime publishes.
func (c *call) admit(prev *result) ([][]expr.Any, error) {
	mappings := c.conf.RuntimeConfig.PortMappings
	if !c.conf.Admit && len(mappings) == 0 {
		return nil, nil
	}
	if len(prev.IPs) == 0 {
		return nil, fail(codeConfig, "prevResult has no address to let anything in to")
	}
	var rules [][]expr.Any
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	for _, ip := range prev.IPs {
		p, err := ip.prefix()
		if err != nil {
			return nil, err
		}
		if c.conf.Admit {
			rules = append(rules, append(matchAddress(p.Addr(), true), accept))
		}
		for _, m := range mappings {
			port, err := matchPort(m)
			if err != nil {
				return nil, err
			}
			rules = append(rules, append(append(matchAddress(p.Addr(), true), port...), accept))
		}
	}
	return rules, nil
}

// passOn prints prevResult, every key of it, in the configuration's version.
func (c *call) passOn() error {
	var r map[string]json.RawMessage
	if err := json.Unmarshal(c.conf.PrevResult, &r); err != nil {
		return err
	}
	version, err := json.Marshal(c.conf.CNIVersion)
	if err != nil {
		return err
	}
	r["cniVersion"] = version
	switch c.fault {
	case chainDropsDNS:
		delete(r, "dns")
	case chainDropsFields:
		known, err := readResult(c.conf.PrevResult)
		if err != nil {
			return err
		}
		for i := range known.Interfaces {
			known.Interfaces[i].MTU = 0
		}
		return c.printResult(known)
	}
	return c.print(r)
}

// chainDel takes back settings and rules. It needs neither the result nor the
// capability args, nor the namespace: what was set there went with it.
func (c *call) chainDel() error {
	prev, err := readResult(c.conf.PrevResult)
	if err != nil {
		prev = nil
	}
	if c.has(chainDelPrevResult) && prev == nil {
		return err
	}
	if c.has(chainDelNotFound) {
		if _, err := os.Stat(c.env.netns); err != nil {
			return err
		}
	}
	if c.has(chainRecordLast) {
		if recorded := os.Remove(c.recordPath()+lastSuffix) == nil; !recorded {
			return nil
		}
	}
	mine := c.owner(prev)
	if c.has(chainNoRestore) {
		err = c.forget()
	} else {
		err = c.restore()
	}
	return errors.Join(err, c.dropRules(func(k key) bool {
		return k == mine || c.has(chainByContainer) && k.of(c.conf.Name)
	}))
}

// chainCheck looks for the rules and at the settings.
func (c *call) chainCheck() error {
	switch c.fault {
	case chainCheckNone:
		return fail(codeFailed, "CHECK is not implemented")
	case chainCheck0:
		return nil
	}
	prev, err := readResult(c.conf.PrevResult)
	if err != nil {
		return err
	}
	rules, err := c.admit(prev)
	if err != nil {
		return err
	}
	n, err := c.count(forward.Name, c.owner(prev))
	switch {
	case err != nil:
		return err
	case n < len(rules):
		return fail(codeFailed, "%d of the container's %d rules are gone", len(rules)-n, len(rules))
	}
	if c.has(chainCheckRepairs) && len(rules) > 0 {
		return c.put(forward, c.owner(prev), append(rules, rules[0]))
	}
	if len(c.conf.Sysctl) == 0 {
		return nil
	}
	ns, err := c.openNamespace()
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	return c.checkSettings(ns)
}

// chainGC removes rules and records of attachments that are not valid any more.
func (c *call) chainGC() error {
	valid, err := c.valid()
	if err != nil || c.has(chainGCNone) {
		return err
	}
	stale := c.stale(valid)
	return errors.Join(c.dropRules(stale), c.forgetStale(stale))
}

// chainStatus reports whether nft can be asked.
func (c *call) chainStatus() error {
	conn, err := nftables.New()
	if err == nil {
		_, err = tableOf(conn)
	}
	if err != nil {
		return fail(codeUnavailable, "%s", err.Error())
	}
	return nil
}

// lastSuffix is of the file that the fault chain-record-last goes by.
const lastSuffix = ".last"

func (c *call) recordPath() string {
	return filepath.Join(c.conf.StateDir, string(c.key()))
}
