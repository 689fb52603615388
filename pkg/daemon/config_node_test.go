// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
	"testing"
)

// autoWith is a configuration whose default network is found on the node.
func autoWith(more string) string {
	if more != "" {
		more = ",\n  " + more
	}
	return "{\n  \"cluster\": {\"directory\": \"/m\"},\n  \"multusConfigFile\": \"auto\"" + more + "\n}"
}

func TestParseNodeConfig(t *testing.T) {
	// Multus' own manifest for thick nodes, with Thicket's key.
	config := autoWith(`"chrootDir": "/hostroot", "cniVersion": "0.3.1", "logLevel": "verbose", "logToStderr": true,
		"cniConfigDir": "/host/etc/cni/net.d", "multusAutoconfigDir": "/host/etc/cni/net.d", "socketDir": "/host/run/multus/",
		"readinessindicatorfile": "/host/run/ready", "multusMasterCNI": "10-a.conf", "forceCNIVersion": true, "overrideNetworkName": true`)
	c, warnings, err := ParseConfig([]byte(config), "f.json")
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v, %v", warnings, err)
	}
	want := NodeConfig{
		MultusConfigFile: "auto", CNIConfigDir: "/host/etc/cni/net.d", MultusAutoconfigDir: "/host/etc/cni/net.d",
		MultusMasterCNI: "10-a.conf", ReadinessIndicatorFile: "/host/run/ready", CNIVersion: "0.3.1",
		ForceCNIVersion: true, OverrideNetworkName: true,
	}
	if c.NodeConfig != want {
		t.Errorf("got  %+v\nwant %+v", c.NodeConfig, want)
	}
	for name, config := range map[string]string{
		"defaults":        autoWith(""),
		"master by path":  autoWith(`"multusMasterCNI": "/etc/cni/net.d/10-a.conflist"`),
		"given":           `{"cluster":{"directory":"/m"},"multusConfigFile":"/c/00-multus.conf"}`,
		"given, and both": `{"cluster":{"directory":"/m"},"multusConfigFile":"/c/00-multus.conf","clusterNetwork":"d"}`,
		"indicator alone": string(configWith(`"readinessindicatorfile": "/r"`)),
		"auto by absence": `{"cluster":{"directory":"/m"}}`,
		"two networks":    autoWith(`"clusterNetwork": "d"`),
		"multus' further": autoWith(`"capabilities": {"portMappings": true}, "retryDeleteOnError": true,
			"logOptions": {"maxAge": 5, "maxSize": 100, "maxBackups": 5, "compress": true}`),
	} {
		c, warnings, err := ParseConfig([]byte(config), "f.json")
		if err != nil || len(warnings) != 0 || c.CNIConfigDir != "/etc/cni/net.d" {
			t.Errorf("%s: %v, %v", name, warnings, err)
		}
	}
}

// TestParseNodeConfigWarns has what Multus takes and what cannot have an effect.
func TestParseNodeConfigWarns(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"no version":         {autoWith(`"forceCNIVersion": true`), "f.json:4: forceCNIVersion has no effect without cniVersion"},
		"master, no auto":    {string(configWith(`"multusConfigFile": "", "multusMasterCNI": "a.conf"`)), "f.json:4: multusMasterCNI has no effect without"},
		"directory, no auto": {string(configWith(`"multusConfigFile": "/c.conf", "multusAutoconfigDir": "/d"`)), "f.json:4: multusAutoconfigDir has no effect without"},
		"delegates, auto":    {autoWith(`"delegates": [{"type": "a"}]`), "f.json:4: delegates has no effect with"},
		"delegates, network": {string(configWith(`"delegates": [{"type": "a"}]`)), "f.json:4: delegates has no effect beside clusterNetwork"},
	} {
		_, warnings, err := ParseConfig([]byte(tc.config), "f.json")
		if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], tc.want) {
			t.Errorf("%s: got %v, %v, want %q", name, warnings, err, tc.want)
		}
	}
}

func TestParseNodeConfigRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"type":               {autoWith(`"forceCNIVersion": "yes"`), "f.json:4: forceCNIVersion: want true or false"},
		"relative directory": {autoWith(`"cniConfigDir": "etc"`), `f.json:4: cniConfigDir: "etc" is a relative path`},
		"relative indicator": {autoWith(`"readinessindicatorfile": "r"`), `f.json:4: readinessindicatorfile: "r" is a relative path`},
		"relative socket":    {autoWith(`"daemonSocketDir": "run"`), `f.json:4: daemonSocketDir: "run" is a relative path`},
		"relative given":     {string(configWith(`"multusConfigFile": "Auto"`)), `f.json:4: multusConfigFile: "Auto" is a relative path`},
		"given's extension":  {string(configWith(`"multusConfigFile": "/c/multus.txt"`)), "f.json:4: multusConfigFile:"},
		"no directory":       {autoWith(`"cniConfigDir": ""`), "f.json:4: cniConfigDir: must not be empty"},
		"unknown version":    {autoWith(`"cniVersion": "1.7"`), `f.json:4: cniVersion: "1.7" is not one of`},
		"master in a path":   {autoWith(`"multusMasterCNI": "a/b.conf"`), "f.json:4: multusMasterCNI:"},
		"master is ours":     {autoWith(`"multusMasterCNI": "/x/00-multus.conf"`), "would call itself"},
		"neither":            {`{"cluster":{"directory":"/m"},"multusConfigFile":""}`, `set "multusConfigFile": "auto"`},
		"no delegate":        {autoWith(`"delegates": {"type": "a"}`), "f.json:4: delegates: want a list"},
		"a delegate's type":  {autoWith(`"delegates": [{"type": "a"}, {"name": "b"}]`), "f.json:4: delegates: delegates[1]:"},
		"log size":           {autoWith(`"logOptions": {"maxSize": 0}`), "f.json:4: maxSize: 0 is less than 1"},
		"master's extension": {autoWith(`"multusMasterCNI": "flannel"`), "f.json:4: multusMasterCNI:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseConfig([]byte(tc.config), "f.json")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
