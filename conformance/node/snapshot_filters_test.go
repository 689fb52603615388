// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Without nft the ruleset must not look empty when a plugin has made tables by netlink.
func TestTablesThatNobodySees(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root is needed for a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	conn, err := nftables.New()
	if err != nil {
		t.Skipf("the kernel has no nf_tables: %v", err)
	}
	table := func(family nftables.TableFamily, name string) {
		t.Helper()
		conn.AddTable(&nftables.Table{Family: family, Name: name})
		if err := conn.Flush(); err != nil {
			t.Skipf("the kernel makes no table: %v", err)
		}
	}
	table(nftables.TableFamilyIPv4, "nat") // as iptables does
	if lines, err := netfilter(); err != nil || len(lines) != 0 {
		t.Errorf("with iptables' own table: %q, %v", lines, err)
	}
	table(nftables.TableFamilyINet, "plugin")
	if _, err := netfilter(); err == nil || !strings.Contains(err.Error(), `"plugin"`) || !strings.Contains(err.Error(), "nftables") {
		t.Errorf("with a plugin's table: %v", err)
	}
}
