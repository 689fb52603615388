// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"testing"
)

func TestForceCNIVersion(t *testing.T) {
	dir := files(t, map[string]string{
		"10-single.conf":   `{"cniVersion":"0.3.1","name":"single","type":"t","x":12345678901234567890}`,
		"20-list.conflist": `{"cniVersion":"0.3.1","cniVersions":["0.3.1","1.1.0"],"name":"list","plugins":[{"type":"t"}]}`,
	})
	for network, want := range map[string]string{
		"single": `{"cniVersion":"1.0.0","name":"single","plugins":[{"cniVersion":"0.3.1","name":"single","type":"t","x":12345678901234567890}]}`,
		"list":   `{"cniVersion":"1.0.0","name":"list","plugins":[{"type":"t"}]}`,
	} {
		p := NewPlanner(Options{ConfDir: dir, ClusterNetwork: network, ForceCNIVersion: "1.0.0"}, definitions{})
		d, err := p.Default(t.Context(), "eth0", nil)
		if err != nil || string(d.Config) != want {
			t.Errorf("%s: got %s, %v; want %s", network, d.Config, err, want)
		}
	}
}

func TestDefaultNetworkOfTheMoment(t *testing.T) {
	dir := files(t, map[string]string{"10-a.conf": plugin("a"), "20-b.conf": plugin("b")})
	now := ""
	p := NewPlanner(Options{ClusterNetworkNow: func() string { return now }}, definitions{})
	for _, file := range []string{"10-a.conf", "20-b.conf"} {
		now = dir + "/" + file
		if d, err := p.Default(t.Context(), "eth0", nil); err != nil || d.Network != file[3:4] {
			t.Errorf("%s: got %+v, %v", file, d, err)
		}
	}
	now = ""
	if _, err := p.Default(t.Context(), "eth0", nil); !errors.Is(err, ErrNoDefaultNetwork) {
		t.Errorf("none at the moment: %v", err)
	}
}

func TestNodeFiles(t *testing.T) {
	dir := files(t, map[string]string{"20-b.conf": plugin("b"), "10-a.conflist": `{"name":"m","plugins":[{"type":"multus-shim"}]}`, "README": ""})
	all, err := Files(dir)
	if err != nil || len(all) != 2 || all[0] != dir+"/10-a.conflist" {
		t.Fatalf("%v, %v", all, err)
	}
	for i, shim := range []bool{true, false} {
		config, err := ReadFile(all[i])
		if err != nil || IsShim(config) != shim {
			t.Errorf("%s: shim %t, %v", all[i], IsShim(config), err)
		}
	}
}
