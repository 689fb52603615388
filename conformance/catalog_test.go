// SPDX-License-Identifier: Apache-2.0

package conformance

import "testing"

// TestCatalogIsTheContract counts the rows: a requirement that lost its case
// would otherwise be noticed by nobody.
func TestCatalogIsTheContract(t *testing.T) {
	rows := map[string]int{"socket": 12, "ready": 9, "endpoint": 14, "shim": 14, "add": 15, "del": 9, "check": 7, "hotplug": 7,
		"multinet": 16, "resilience": 8, "security": 4}
	prefixes := map[string]string{"socket": "SOCK", "ready": "READY", "endpoint": "EP", "shim": "SHIM", "add": "ADD", "del": "DEL",
		"check": "CHECK", "hotplug": "HOT", "multinet": "NET", "resilience": "RES", "security": "SEC"}
	for _, id := range []string{"GC-01", "GC-02", "GC-03", "GC-04", "ST-01", "ST-02"} {
		if c, ok := find(id); !ok || c.Profile != "lifecycle" {
			t.Errorf("%s has no case in the profile lifecycle", id)
		}
	}
	should := map[string]bool{"EP-14": true, "SHIM-13": true, "SHIM-14": true, "ADD-11": true, "CHECK-06": true, "HOT-07": true, "NET-14": true, "NET-15": true, "NET-16": true}
	got := map[string]int{}
	for _, c := range Catalog() {
		got[c.Profile]++
		if want := prefixes[c.Profile]; want != "" && prefix(c.ID) != want {
			t.Errorf("%s is in profile %s", c.ID, c.Profile)
		}
		if want := map[bool]Level{true: Should, false: Must}[should[c.ID]]; c.Level != want {
			t.Errorf("%s is a %s, want %s", c.ID, c.Level, want)
		}
	}
	for profile, want := range rows {
		if got[profile] != want {
			t.Errorf("profile %s has %d cases, the contract has %d rows", profile, got[profile], want)
		}
		for n := range want {
			if id := prefixes[profile] + "-" + twoDigits(n+1); !has(id) {
				t.Errorf("%s has no case", id)
			}
		}
	}
}

func has(id string) bool { _, ok := find(id); return ok }

func twoDigits(n int) string {
	if n < 10 {
		return "0" + itoa(n)
	}
	return itoa(n)
}
