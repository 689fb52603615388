// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
	"testing"
	"time"
)

const minimal = `{
  "clusterNetwork": "default",
  "cluster": {"directory": "/manifests"}%s
}`

func configWith(more string) []byte {
	if more != "" {
		more = ",\n  " + more
	}
	return []byte(strings.Replace(minimal, "%s", more, 1))
}

func TestParseConfigDefaults(t *testing.T) {
	c, warnings, err := ParseConfig(configWith(""), "f.json")
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v, %v", warnings, err)
	}
	if c.SocketDir != "/run/multus/" || c.CNIDir != "/var/lib/cni/multus" || c.BinDir != "/opt/cni/bin" {
		t.Errorf("paths: %+v", c)
	}
	if c.PendingDir != "/var/lib/cni/multus/pending" {
		t.Errorf("pendingDir %q", c.PendingDir)
	}
	if time.Duration(c.DelegateTimeout) != time.Minute || c.RequestLimit != 4<<20 {
		t.Errorf("limits: %+v", c)
	}
	if c.MetricsAddress != "127.0.0.1" || c.ProbeAddress != "127.0.0.1" {
		t.Errorf("ports at %q and %q", c.MetricsAddress, c.ProbeAddress)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"wrong type":        {string(configWith(`"binDir": 7`)), "f.json:4: binDir: want a string, got a JSON number"},
		"wrong list":        {string(configWith(`"defaultNetworks": "a"`)), "f.json:4: defaultNetworks: want a list of strings"},
		"wrong nested type": {`{"clusterNetwork":"d","cluster":{"directory":false}}`, "f.json:1: cluster.directory: want a string"},
		"bad duration":      {string(configWith(`"delegateTimeout": "soon"`)), `f.json:4: delegateTimeout: "soon" is not a duration`},
		"number duration":   {string(configWith(`"gracePeriod": 5`)), "f.json:4: gracePeriod: want a duration in quotes"},
		"relative path":     {string(configWith(`"cniDir": "var"`)), `f.json:4: cniDir: "var" is a relative path`},
		"pasted content":    {string(configWith(`"kubeconfig": "users: []"`)), "f.json:4: kubeconfig: want the path of a file"},
		"tiny limit":        {string(configWith(`"requestLimit": 3`)), "f.json:4: requestLimit: 3 bytes are too few"},
		"probe port":        {string(configWith(`"probePort": 70000`)), "f.json:4: probePort: 70000 is no TCP port"},
		"metrics address":   {string(configWith(`"metricsAddress": ""`)), `f.json:4: metricsAddress: "" is not an IP address`},
		"one port twice":    {string(configWith(`"probePort": 9100, "metricsPort": 9100`)), "f.json:4: probePort: 9100 is metricsPort too"},
		"undeclared":        {string(configWith(`"undeclaredCapabilities": "ignore"`)), `f.json:4: undeclaredCapabilities: "ignore" is neither "fail" nor "warn"`},
		"level":             {string(configWith(`"logLevel": "loud"`)), `f.json:4: logLevel: "loud" is not a level`},
		"no network":        {`{"cluster":{"directory":"/m"},"multusConfigFile":""}`, "clusterNetwork is missing"},
		"syntax":            {"{\n\"a\": ,\n}", "f.json:2: not valid JSON"},
		"truncated":         {`{"a": `, "the JSON ends too early"},
		"empty":             {"", "the JSON ends too early"},
		"trailing":          {string(configWith("")) + "\n{}", "f.json:5: there is more after"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseConfig([]byte(tc.config), "f.json")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestParseConfigWarns(t *testing.T) {
	_, warnings, err := ParseConfig(configWith(`"socketDri": "/x", "namespace": 1, "cniVersion": "1.1.0"`), "f.json")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(warnings, "\n")
	if len(warnings) != 2 {
		t.Errorf("warnings: %v", warnings)
	}
	for _, want := range []string{`f.json:4: unknown key "socketDri" is ignored; did you mean "socketDir"?`, "f.json:4: namespace has no effect"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in %v", want, warnings)
		}
	}
}
