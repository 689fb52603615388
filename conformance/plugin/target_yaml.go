// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/strict"
	"github.com/thicket-cni/thicket/conformance/target"
)

// TargetAPIVersion and TargetKind head every target file of a plugin.
const (
	TargetAPIVersion = target.APIVersion
	TargetKind       = "Plugin"
)

// File is a target as its YAML file says it. Texts are templates of
// text/template over Values; ${NAME} stands for an environment variable.
type File struct {
	// APIVersion is always conformance.thicket-cni.io/v1alpha1.
	APIVersion string `yaml:"apiVersion" jsonschema:"required,enum=conformance.thicket-cni.io/v1alpha1"`
	// Kind is always Plugin.
	Kind string `yaml:"kind" jsonschema:"required,enum=Plugin"`
	// Name is what reports call the plugin.
	Name string `yaml:"name" jsonschema:"required"`
	// Root is what relative paths start from, itself relative to the file.
	Root   string   `yaml:"root"`
	Plugin Keys     `yaml:"plugin" jsonschema:"required"`
	Host   HostKeys `yaml:"host"`
	// Shared are lines of a snapshot that may stay after the last DEL, as a failure
	// prints them: * stands for anything, a line may go on behind the pattern, and
	// one that ends with $ is the whole line.
	Shared []string `yaml:"shared"`
	// Logs are files in which the plugin writes what it does, * for any part of a
	// path: changes in them do not count, and neither do those in /var/log. But a file
	// that is named after a container has to go with the container.
	Logs []string `yaml:"logs"`
	// Unready are commands after which STATUS has to fail.
	Unready [][]string `yaml:"unready"`
	// Versions are the supported versions; empty for those that VERSION lists.
	Versions []string `yaml:"versions"`
	// Features are what the plugin can do; see below.
	Features []spec.Feature `yaml:"features"`
	// Files are files that the plugin needs, written before each case.
	Files []target.PlacedFile `yaml:"files"`
	// Daemon is one that the plugin asks.
	Daemon target.Daemon `yaml:"daemon"`
	// Version is a command that prints the plugin's own version.
	Version []string `yaml:"version"`
}

// Keys are what a target file says of the plugin itself.
type Keys struct {
	// Role is interface, ipam, chained, or meta for both ways.
	Role Role `yaml:"role" jsonschema:"required,enum=interface,enum=ipam,enum=chained,enum=meta"`
	// Path is the executable.
	Path string `yaml:"path" jsonschema:"required"`
	// Search are directories of CNI_PATH beside the suite's own.
	Search []string `yaml:"search"`
	// Config is the network configuration.
	Config string `yaml:"config" jsonschema:"required"`
	// Args are CNI_ARGS of every command of a container. An orchestrator's plugin
	// learns there which pod it is asked for, such as
	// IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{{.ContainerID}}.
	Args string `yaml:"args"`
	// Variants are keys to merge into the configuration, by the variant's name.
	Variants map[string]map[string]any `yaml:"variants"`
	// Base is what the suite makes before a chained plugin's ADD: veth.
	Base string `yaml:"base" jsonschema:"enum=veth"`
}

// HostKeys are what a target file says of the host.
type HostKeys struct {
	// Prepare is what the suite makes: veth-master, device, dhcp.
	Prepare []string `yaml:"prepare" jsonschema:"enum=veth-master,enum=device,enum=dhcp"`
	// Needs are commands that have to be installed: nft, iptables.
	Needs []string `yaml:"needs"`
}

// Parse reads a target file's content. source is what errors call it, and where
// relative paths start. Errors name the file, the line of a key that is unknown,
// and the known one that is nearest to it.
func Parse(data []byte, source string) (*Target, error) { return Override{}.Parse(data, source) }

// Override takes the place of parts of a target file, each where it is not
// empty: a variant of a plugin needs no file of its own.
type Override struct {
	// Name is the target's, Path its executable.
	Name, Path string
}

// Parse is the function Parse with the override.
func (o Override) Parse(data []byte, source string) (*Target, error) {
	t := &Target{source: source}
	if err := strict.Decode(data, &t.file); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	t.file.Name, t.file.Plugin.Path = cmp.Or(o.Name, t.file.Name), cmp.Or(o.Path, t.file.Plugin.Path)
	if err := target.Expand(&t.file, data); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	for _, step := range []func() error{t.validate, t.validateTexts, t.resolve} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("target %s: %w", source, err)
		}
	}
	return t, nil
}

// prepared are what host.prepare may name, bases what plugin.base may.
var (
	prepared = []string{prepareMaster, prepareDevice, prepareDHCP}
	bases    = []string{baseVeth}
	version  = regexp.MustCompile(`^\d+\.\d+\.\d+$`)
)

const (
	prepareMaster = "veth-master"
	prepareDevice = "device"
	prepareDHCP   = "dhcp"
	baseVeth      = "veth"
)

func (t *Target) validate() error {
	f := &t.file
	switch {
	case f.APIVersion != TargetAPIVersion || f.Kind != TargetKind:
		return fmt.Errorf("want apiVersion %s and kind %s", TargetAPIVersion, TargetKind)
	case f.Name == "":
		return errors.New("name is missing")
	case f.Plugin.Path == "":
		return errors.New("plugin.path is missing: the plugin's executable")
	case strings.TrimSpace(f.Plugin.Config) == "":
		return errors.New("plugin.config is missing: the network configuration, a template of a JSON object")
	}
	if err := oneOf("plugin.role", string(f.Plugin.Role), string(RoleInterface), string(RoleIPAM), string(RoleChained), string(RoleMeta)); err != nil {
		return err
	}
	if f.Plugin.Base != "" {
		if err := oneOf("plugin.base", f.Plugin.Base, bases...); err != nil {
			return err
		}
	}
	for _, p := range f.Host.Prepare {
		if err := oneOf("host.prepare", p, prepared...); err != nil {
			return err
		}
	}
	for _, v := range f.Versions {
		if !version.MatchString(v) {
			return fmt.Errorf("versions: %q is not a version of CNI such as 1.0.0", v)
		}
	}
	for _, feature := range f.Features {
		if Features[feature] == "" {
			return fmt.Errorf("features: %q is unknown%s", feature, strict.Suggestion(feature, slices.Sorted(maps.Keys(Features))))
		}
	}
	if f.Daemon.Ready != "" && len(f.Daemon.Command) == 0 {
		return errors.New("daemon.ready is of no use without daemon.command")
	}
	return nil
}

// oneOf reports a value that is not one of the known ones.
func oneOf(key, value string, known ...string) error {
	switch {
	case slices.Contains(known, value):
		return nil
	case value == "":
		return fmt.Errorf("%s is missing: one of %s", key, strings.Join(known, ", "))
	}
	return fmt.Errorf("%s: %q is unknown; there are %s", key, value, strings.Join(known, ", "))
}

func featureNames() []string {
	var names []string
	for f := range Features {
		names = append(names, string(f))
	}
	slices.Sort(names)
	return names
}

// validateTexts renders every template, so that a mistake is reported before any
// case runs.
func (t *Target) validateTexts() error {
	v := Values{CNIVersion: "9.8.7", Name: "net", ID: "0a1b2c", IPAM: `{"type":"ipam"}`, Subnet: "10.1.2.0/24", Master: "m0", Device: "d0",
		StateDir: "/state", Dir: "/dir", ContainerID: "c0ffee", PrevResult: `{"cniVersion":"1.0.0"}`}
	config, err := t.Config(v)
	if err != nil {
		return err
	}
	for _, key := range []string{"cniVersion", "name", "type"} {
		if text, ok := config[key].(string); !ok || text == "" {
			return fmt.Errorf("plugin.config: its key %s is missing or not a text", key)
		}
	}
	if config["cniVersion"] != v.CNIVersion || config["name"] != v.Name {
		return errors.New("plugin.config: write \"cniVersion\": \"{{.CNIVersion}}\" and \"name\": \"{{.Name}}\"; the suite asks in several versions and for several networks")
	}
	for name := range t.file.Plugin.Variants {
		if _, err := t.Config(v, name); err != nil {
			return err
		}
	}
	texts := map[string][]string{"plugin.args": {t.file.Plugin.Args}, "shared": t.file.Shared, "logs": t.file.Logs, "daemon.command": t.file.Daemon.Command, "daemon.ready": {t.file.Daemon.Ready}}
	for i, command := range t.file.Unready {
		if len(command) == 0 {
			return fmt.Errorf("unready[%d] is empty", i)
		}
		texts[fmt.Sprintf("unready[%d]", i)] = command
	}
	for key, value := range t.file.Daemon.Env {
		texts["daemon.env."+key] = []string{value}
	}
	for i, f := range t.file.Files {
		texts[fmt.Sprintf("files[%d]", i)] = []string{f.Path, f.Content}
	}
	for key, all := range texts {
		if _, err := renderAll(key, all, v); err != nil {
			return err
		}
	}
	return nil
}
