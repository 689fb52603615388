// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Role is what the plugin is in a network's configuration; its value is the
// plugin's name.
type Role string

// The roles.
const (
	Veth  Role = "thin-veth"
	IPAM  Role = "thin-ipam"
	Chain Role = "thin-chain"
)

// Named returns the role and the fault that a path to the plugin asks for; ok
// is false for a name that is none of the plugin's.
func Named(path string) (role Role, fault Fault, ok bool) {
	name, f, _ := strings.Cut(filepath.Base(path), ".")
	switch role = Role(name); role {
	case Veth, IPAM, Chain:
		return role, Fault(f), true
	}
	return "", "", false
}

// Main executes the plugin in a role, as a process that a runtime started, and
// returns its exit status.
func Main(role Role, fault Fault) int {
	c := &call{role: role, fault: fault, stdout: os.Stdout, stderr: os.Stderr}
	err := c.execute(os.Stdin)
	if err == nil {
		return 0
	}
	fmt.Fprintf(c.stderr, "%s: %v\n", role, err)
	c.printFailure(c.stdout, err)
	return 1
}

// call is one execution.
type call struct {
	role  Role
	fault Fault
	env   environment
	// stdin is the configuration as it came.
	stdin          []byte
	conf           config
	stdout, stderr io.Writer
}

// has reports whether the plugin has this fault.
func (c *call) has(f Fault) bool { return c.fault == f }

func (c *call) execute(stdin io.Reader) error {
	c.env = readEnvironment(os.Getenv)
	switch c.env.command {
	case "VERSION":
		return c.version(stdin)
	case "":
		fmt.Fprintf(c.stderr, "CNI plugin %s of the conformance suite\n", c.role)
	}
	var err error
	if c.stdin, err = io.ReadAll(stdin); err != nil {
		return fail(codeIO, "read the configuration: %v", err)
	}
	// The configuration comes first: an error names the version that it is in.
	parsed := c.parseConfig()
	if err := c.validateEnvironment(); err != nil {
		return err
	}
	if parsed != nil {
		return parsed
	}
	op := c.operations()[c.env.command]
	if op == nil {
		return fail(codeEnvironment, "CNI_COMMAND %q is unknown", c.env.command)
	}
	if err := c.commandSince(); err != nil {
		return err
	}
	return op()
}

// commandSince refuses commands that came after the configuration's version.
func (c *call) commandSince() error {
	since := map[string]string{"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}[c.env.command]
	// The listed versions compare as text.
	if c.conf.CNIVersion < since {
		return fail(codeVersion, "%s needs cniVersion %s, and the configuration has %s", c.env.command, since, c.conf.CNIVersion)
	}
	return nil
}

func (c *call) operations() map[string]func() error {
	switch c.role {
	case IPAM:
		return map[string]func() error{"ADD": c.ipamAdd, "DEL": c.ipamDel, "CHECK": c.ipamCheck, "GC": c.ipamGC, "STATUS": c.ipamStatus}
	case Chain:
		return map[string]func() error{"ADD": c.chainAdd, "DEL": c.chainDel, "CHECK": c.chainCheck, "GC": c.chainGC, "STATUS": c.chainStatus}
	default:
		return map[string]func() error{"ADD": c.vethAdd, "DEL": c.vethDel, "CHECK": c.vethCheck, "GC": c.vethGC, "STATUS": c.vethStatus}
	}
}

// version answers VERSION in the version that it was asked in (CNI §5). Stdin
// may be empty: the command alone is required.
func (c *call) version(stdin io.Reader) error {
	asked := struct {
		CNIVersion string `json:"cniVersion"`
	}{}
	data, err := io.ReadAll(stdin)
	if err != nil || json.Unmarshal(data, &asked) != nil || asked.CNIVersion == "" || c.has(versionNewest) {
		asked.CNIVersion = newest
	}
	supported := versions
	if c.has(listsNoVersion) {
		supported = []string{}
	}
	return c.print(map[string]any{"cniVersion": asked.CNIVersion, "supportedVersions": supported})
}

// print prints the one document of an execution that succeeded.
func (c *call) print(document any) error {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return err
	}
	if _, err := c.stdout.Write(out.Bytes()); err != nil {
		return fail(codeIO, "print the result: %v", err)
	}
	return nil
}
