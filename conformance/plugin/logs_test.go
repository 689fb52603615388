// SPDX-License-Identifier: Apache-2.0

package plugin

import "testing"

func TestIsLog(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	logs := []string{everybodysLogs, "file /host/log/*"}
	for line, want := range map[string]bool{
		`+ file /var/log/aws.log -rw-r--r-- "added 0123456789abcdef"`:      true,
		`- file /var/log/aws.log -rw-r--r-- of 900 bytes, sha256 01020304`: true,
		`+ file /host/log/routed/x.log -rw-r--r-- ""`:                      true,
		`+ file /var/log/aws.INFO Lrwxrwxrwx to aws.log`:                   true,
		`+ file /var/log/a b.log -rw------- ""`:                            true,
		`+ file /var/log/0123456789abcdef0123456789abcdef -rw-r--r-- ""`:   false,
		`+ file /var/log/pods/0123456789ab/eth0.log -rw-r--r-- ""`:         false,
		`+ file /var/log/socket Srwxr-xr-x of 0 bytes`:                     false,
		`+ file /var/log/pipe prw-r--r-- of 0 bytes`:                       false,
		`+ file /host/log/x is removed or a device`:                        false,
		`+ file /var/lib/log -rw-r--r-- ""`:                                false,
		`+ link veth1 veth up mtu 1500`:                                    false,
		`in 01234567: + file /var/log/x -rw-r--r-- ""`:                     false,
		`+ file /var/logs -rw-r--r-- "file /var/log/x -rw-r--r--"`:         false,
	} {
		if got := isLog(line, logs, []string{id}); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
		if want && !isLog(line, logs, nil) {
			t.Errorf("%s: no log while every container is there", line)
		}
	}
}

func TestGone(t *testing.T) {
	var l living
	for _, c := range [][3]string{{"DEL", "never", "eth0"}, {"ADD", "a", "eth0"}, {"ADD", "a", "eth1"}, {"DEL", "a", "eth0"}, {"CHECK", "a", "eth1"}} {
		l.asked(c[0], c[1], c[2])
	}
	if gone := l.gone(); len(gone) != 0 {
		t.Errorf("gone are %q, and one has an attachment", gone)
	}
	l.asked("DEL", "a", "eth1")
	if gone := l.gone(); len(gone) != 1 || gone[0] != "a" {
		t.Errorf("gone are %q, want a", gone)
	}
	l.asked("ADD", "a", "eth0")
	if gone := l.gone(); len(gone) != 0 {
		t.Errorf("gone are %q, and it was added again", gone)
	}
}
