// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
)

// versions are those of the specification that the plugin keeps.
var versions = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

const newest = "1.1.0"

func listed(version string) bool { return slices.Contains(versions, version) }

// config is the network's configuration. Keys that are not here are ignored.
type config struct {
	CNIVersion    string          `json:"cniVersion"`
	Name          string          `json:"name"`
	Type          string          `json:"type"`
	PrevResult    json.RawMessage `json:"prevResult"`
	DNS           json.RawMessage `json:"dns"`
	IPMasq        bool            `json:"ipMasq"`
	MTU           int             `json:"mtu"`
	IPAM          ipamConfig      `json:"ipam"`
	RuntimeConfig runtimeConfig   `json:"runtimeConfig"`
	Args          struct {
		CNI struct {
			IPs []string `json:"ips"`
		} `json:"cni"`
	} `json:"args"`
	// Valid are the attachments that GC keeps. Null is an empty list; a list that
	// is missing is not.
	Valid json.RawMessage `json:"cni.dev/valid-attachments"`
	// StateDir is where the plugin keeps what it has to remember.
	StateDir string `json:"stateDir"`
	// Admit has a chained plugin let in what is sent to the container, and Sysctl
	// set these settings, whose paths may name the interface by IFNAME.
	Admit  bool              `json:"admit"`
	Sysctl map[string]string `json:"sysctl"`
}

// runtimeConfig are the capability args (CONVENTIONS).
type runtimeConfig struct {
	MAC          string        `json:"mac"`
	IPs          []string      `json:"ips"`
	IPRanges     [][]rangeConf `json:"ipRanges"`
	PortMappings []portMapping `json:"portMappings"`
}

// ipamConfig is the part of the configuration that an IPAM plugin reads.
type ipamConfig struct {
	Type   string        `json:"type"`
	Ranges [][]rangeConf `json:"ranges"`
	Routes []route       `json:"routes"`
	// DataDir has the leases.
	DataDir string `json:"dataDir"`
}

// defaultState is where things are kept unless the configuration says it.
const defaultState = "/run/thin"

// parseConfig reads stdin. What can be read of a configuration that is refused
// is kept, so that the error can be in its version.
func (c *call) parseConfig() error {
	if err := json.Unmarshal(c.stdin, &c.conf); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fail(codeConfig, "the configuration: %q cannot be a %s", kind.Field, kind.Value)
		}
		return fail(codeDecoding, "the configuration is not a JSON object: %v", err)
	}
	if c.has(crashesOnUnknown) {
		c.insistOnKnown()
	}
	if !listed(c.conf.CNIVersion) {
		if !c.has(anyVersion) {
			f := fail(codeVersion, "cniVersion %q is not supported", c.conf.CNIVersion)
			f.Details = "supported are 0.3.1, 0.4.0, 1.0.0 and 1.1.0"
			return f
		}
		// The IPAM plugin, too, is to have nothing to complain of.
		c.stdin = bytes.Replace(c.stdin, []byte(`"`+c.conf.CNIVersion+`"`), []byte(`"`+newest+`"`), 1)
		c.conf.CNIVersion = newest
	}
	if !identifier.MatchString(c.conf.Name) || len(c.conf.Name) > 200 {
		return fail(codeConfig, "the network's name %q is missing or not valid", c.conf.Name)
	}
	if c.conf.StateDir == "" {
		c.conf.StateDir = defaultState
	}
	if c.conf.IPAM.DataDir == "" {
		c.conf.IPAM.DataDir = c.conf.StateDir + "-leases"
	}
	return nil
}

// insistOnKnown crashes on a configuration with a key that config does not have.
func (c *call) insistOnKnown() {
	var given, known map[string]any
	_ = json.Unmarshal(c.stdin, &given)
	text, _ := json.Marshal(c.conf)
	_ = json.Unmarshal(text, &known)
	for key := range given {
		if _, ok := known[key]; !ok && key != "capabilities" {
			_, _ = os.Stderr.WriteString("panic: " + key + "\n")
			os.Exit(2)
		}
	}
}

// attachment is one interface of a container, as GC names it.
type attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// valid returns the attachments that GC has to keep. A list that is missing
// means that nothing is known of them, and nothing is removed.
func (c *call) valid() ([]attachment, error) {
	if c.conf.Valid == nil {
		return nil, fail(codeConfig, "cni.dev/valid-attachments is missing")
	}
	var all []attachment
	if err := json.Unmarshal(c.conf.Valid, &all); err != nil {
		return nil, fail(codeConfig, "cni.dev/valid-attachments: %v", err)
	}
	return all, nil
}
