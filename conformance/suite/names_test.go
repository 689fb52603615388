// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"strings"
	"testing"
)

func TestPick(t *testing.T) {
	all := []string{"SOCK-01", "SOCK-02", "SHIM-01", "EP-01", "EP-14"}
	for asked, want := range map[string]string{
		"SHIM-01": "SHIM-01", "SOCK-*": "SOCK-01 SOCK-02", "EP-14,SOCK-*": "SOCK-01 SOCK-02 EP-14", "*-01": "SOCK-01 SHIM-01 EP-01", "EP-[1-9]*": "EP-14",
	} {
		if got, err := Pick("case", strings.Split(asked, ","), all); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v", asked, got, err)
		}
	}
	for asked, want := range map[string]string{
		"SOCK-1":  `case "SOCK-1" is unknown; the nearest is SOCK-01`,
		"sock-02": `case "sock-02" is unknown; the nearest is SOCK-02`,
		"SCK-*":   `case "SCK-*" is unknown; the nearest is SOCK-01; a pattern such as SOCK* names several`,
		"EP-[":    `case "EP-[": syntax error in pattern`,
	} {
		if got, err := Pick("case", []string{asked}, all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", asked, got, err)
		}
	}
}
