// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/thicket-cni/thicket/conformance/target"
)

// Draft is what is known of a plugin that has no target file yet.
type Draft struct {
	// Path is the plugin's executable, Role is what it is for.
	Path string
	Role Role
	// Config is a file with the plugin's network configuration; empty for a
	// made-up one.
	Config string
}

// draftFeatures are those that a plugin of a role is assumed to have.
var draftFeatures = map[Role][]string{
	RoleInterface: {"ipam", "check", "gc", "status"},
	RoleIPAM:      {"pool", "check", "gc", "status"},
	RoleChained:   {"check", "gc", "status"},
	RoleMeta:      {"check", "gc", "status"},
}

// File returns the text of a target file for the draft, with paths that are
// relative to the file's directory, and what its author has to look at.
func (d *Draft) File(dir string) (text []byte, open []string, err error) {
	if err := oneOf("the role", string(d.Role), string(RoleInterface), string(RoleIPAM), string(RoleChained), string(RoleMeta)); err != nil {
		return nil, nil, err
	}
	path, err := filepath.Abs(d.Path)
	if err != nil {
		return nil, nil, err
	}
	if err := target.Executable(path); err != nil {
		return nil, nil, err
	}
	if base, err := filepath.Abs(dir); err == nil {
		if relative, err := filepath.Rel(base, path); err == nil {
			path = relative
		}
	}
	config, err := d.config()
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	name := filepath.Base(d.Path)
	b.WriteString(target.SchemaComment(TargetKind))
	fmt.Fprintf(&b, "# How thicket-conformance judges %s. Texts are Go templates; {{.CNIVersion}}, {{.Name}}, {{.ID}} (for names of\n", name)
	b.WriteString("# devices), {{.IPAM}} (the suite's IPAM plugin), {{.Subnet}}, {{.Master}}, {{.Device}}, {{.StateDir}} and {{.Dir}} are there.\n")
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nname: %s\nroot: .\n\nplugin:\n  role: %s\n  path: %s\n", TargetAPIVersion, TargetKind, name, d.Role, path)
	if d.Role == RoleChained || d.Role == RoleMeta {
		fmt.Fprintf(&b, "  base: %s\n", baseVeth)
	}
	b.WriteString("  # args: IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{{.ContainerID}}   # CNI_ARGS, where it asks for its pod\n")
	fmt.Fprintf(&b, "  config: |\n    %s\n", strings.ReplaceAll(strings.TrimSpace(config), "\n", "\n    "))
	b.WriteString("\n# host: {prepare: [veth-master], needs: [nft]}   # an interface for {{.Master}}; commands that the plugin executes\n")
	b.WriteString("# shared: [\"link br{{.ID}}\"]                     # what may stay after the last DEL, as the report prints it\n")
	fmt.Fprintf(&b, "features: [%s]\n", strings.Join(draftFeatures[d.Role], ", "))
	open = []string{
		"features: leave out what the plugin does not have; there are " + strings.Join(featureNames(), ", "),
		"shared: a bridge or an nft table that stays after the last DEL on purpose",
	}
	if d.Config == "" {
		open = append([]string{"plugin.config: the keys that the plugin needs beside type and ipam"}, open...)
	}
	return b.Bytes(), open, nil
}

// config is the configuration as a template.
func (d *Draft) config() (string, error) {
	object := map[string]any{"type": filepath.Base(d.Path)}
	if d.Config != "" {
		data, err := os.ReadFile(d.Config)
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(data, &object); err != nil {
			return "", fmt.Errorf("%s: %w", d.Config, err)
		}
		if object["plugins"] != nil {
			return "", fmt.Errorf("%s is a list of plugins; write the object of the one plugin into a file", d.Config)
		}
	}
	object["cniVersion"], object["name"] = "{{.CNIVersion}}", "{{.Name}}"
	delete(object, "prevResult")
	const place = "\x01ipam"
	switch d.Role {
	case RoleInterface:
		object["ipam"] = place
	case RoleIPAM:
		if object["ipam"] == nil {
			object["ipam"] = map[string]any{"type": filepath.Base(d.Path), "subnet": "{{.Subnet}}"}
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(object); err != nil {
		return "", err
	}
	return strings.ReplaceAll(b.String(), `"\u0001ipam"`, "{{.IPAM}}"), nil
}
