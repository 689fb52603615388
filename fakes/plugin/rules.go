// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// The plugin's rules are in one table, which is there as long as it has a rule.
// A rule's comment is the attachment's key.
const tableName = "thin"

var (
	postrouting = nftables.Chain{Name: "postrouting", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource}
	forward     = nftables.Chain{Name: "forward", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter}
)

// portMapping is one of the runtime's published ports.
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
}

// rules calls f with a connection to nft, while nobody else changes the rules.
func (c *call) rules(f func(*nftables.Conn) error) error {
	return locked(c.conf.StateDir, func() error {
		conn, err := nftables.New()
		if err != nil {
			return fmt.Errorf("nft: %w", err)
		}
		return f(conn)
	})
}

// put puts the attachment's rules into a chain, all or none, in place of those
// that it had there.
func (c *call) put(in nftables.Chain, of key, rules [][]expr.Any) error {
	add := func(conn *nftables.Conn) error {
		if err := c.drop(conn, func(k key) bool { return k == of }); err != nil {
			return err
		}
		table, err := c.addTable(conn)
		if err != nil {
			return err
		}
		in.Table = table
		chain := conn.AddChain(&in)
		for _, exprs := range rules {
			conn.AddRule(&nftables.Rule{
				Table: table, Chain: chain, Exprs: exprs,
				UserData: userdata.AppendString(nil, userdata.TypeComment, string(of)),
			})
		}
		if err := conn.Flush(); err != nil {
			return fmt.Errorf("rules in %s: %w", in.Name, err)
		}
		return nil
	}
	if c.has(chainNoLock) {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		return add(conn)
	}
	return c.rules(add)
}

func (c *call) addTable(conn *nftables.Conn) (*nftables.Table, error) {
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	if !c.has(chainNoLock) {
		return conn.AddTable(table), nil
	}
	if there, err := tableOf(conn); err != nil || there != nil {
		return there, err
	}
	time.Sleep(300 * time.Millisecond) // longer than ten processes take to start
	return conn.CreateTable(table), nil
}

// tableOf returns the plugin's table, nil when it is not there.
func tableOf(conn *nftables.Conn) (*nftables.Table, error) {
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("nft tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == tableName {
			return t, nil
		}
	}
	return nil, nil
}

// each calls f with each chain of the table and its rules.
func each(conn *nftables.Conn, table *nftables.Table, f func(*nftables.Chain, []*nftables.Rule)) error {
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("nft chains: %w", err)
	}
	for _, chain := range chains {
		if chain.Table.Name != tableName {
			continue
		}
		rules, err := conn.GetRules(table, chain)
		if err != nil {
			return fmt.Errorf("nft rules: %w", err)
		}
		f(chain, rules)
	}
	return nil
}

func keyOf(r *nftables.Rule) key {
	comment, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return key(comment)
}

// dropRules removes the rules whose keys f chooses. Nothing is made for it.
func (c *call) dropRules(f func(key) bool) error {
	if c.role == Chain && (c.has(chainKeepsRule) && c.env.command == "DEL") {
		return nil
	}
	return c.rules(func(conn *nftables.Conn) error {
		if c.has(chainDelCreates) {
			in := forward
			in.Table = conn.AddTable(&nftables.Table{Name: tableName, Family: nftables.TableFamilyINet})
			conn.AddChain(&in)
			if err := conn.Flush(); err != nil {
				return err
			}
		}
		return c.drop(conn, f)
	})
}

// drop removes rules, the chains that have none left, and the table without
// chains, in one transaction.
func (c *call) drop(conn *nftables.Conn, f func(key) bool) error {
	table, err := tableOf(conn)
	if table == nil || err != nil {
		return err
	}
	var failed error
	kept := 0
	err = each(conn, table, func(chain *nftables.Chain, rules []*nftables.Rule) {
		left := len(rules)
		for _, r := range rules {
			if f(keyOf(r)) {
				failed = errors.Join(failed, conn.DelRule(r))
				left--
			}
		}
		if left > 0 || c.has(chainDelCreates) {
			kept++
		} else if len(rules) > 0 {
			conn.DelChain(chain)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if kept == 0 && !c.has(chainNoLock) {
		conn.DelTable(table)
	}
	if err := conn.Flush(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove rules: %w", err)
	}
	return nil
}

// count returns how many rules the attachment has in a chain.
func (c *call) count(in string, of key) (int, error) {
	n := 0
	err := c.rules(func(conn *nftables.Conn) error {
		table, err := tableOf(conn)
		if table == nil || err != nil {
			return err
		}
		return each(conn, table, func(chain *nftables.Chain, rules []*nftables.Rule) {
			for _, r := range rules {
				if chain.Name == in && keyOf(r) == of {
					n++
				}
			}
		})
	})
	return n, err
}

// masquerade hides the addresses behind the host's.
func (c *call) masquerade(ips []ipConf) error {
	var rules [][]expr.Any
	for _, ip := range ips {
		p, err := ip.prefix()
		if err != nil {
			return err
		}
		rules = append(rules, append(matchAddress(p.Addr(), false), &expr.Masq{}))
	}
	return c.put(postrouting, c.key(), rules)
}

// checkRules looks for the masquerade rules.
func (c *call) checkRules() error {
	n, err := c.count(postrouting.Name, c.key())
	if err == nil && n == 0 {
		return fail(codeFailed, "the masquerade rule is gone")
	}
	return err
}

// matchAddress matches packets from an address, or those to it.
func matchAddress(a netip.Addr, to bool) []expr.Any {
	family, offset, length := byte(unix.NFPROTO_IPV4), uint32(12), uint32(4)
	if a.Is6() {
		family, offset, length = unix.NFPROTO_IPV6, 8, 16
	}
	if to {
		offset += length
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()},
	}
}

// matchPort matches packets to a port.
func matchPort(m portMapping) ([]expr.Any, error) {
	protocol, known := map[string]byte{"": unix.IPPROTO_TCP, "tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}[m.Protocol]
	if !known || m.ContainerPort < 1 || m.ContainerPort > 65535 {
		return nil, fail(codeConfig, "runtimeConfig.portMappings: port %d of protocol %q", m.ContainerPort, m.Protocol)
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(m.ContainerPort >> 8), byte(m.ContainerPort)}},
	}, nil
}
