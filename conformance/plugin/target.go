// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/target"
)

// judged are the versions of CNI by which a plugin is judged, of those that it
// supports.
var judged = []string{"0.4.0", "1.0.0", "1.1.0"}

// Target is a plugin to judge, as its target file says.
type Target struct {
	source string
	file   File
	path   string
	search []string
	facts  Facts
}

// Facts are what the plugin itself says of what it is.
type Facts struct {
	// Versions are the supported versions, as VERSION lists them.
	Versions []string `json:"versions"`
	// About is what it says of itself when nothing is asked of it.
	About string `json:"about"`
}

// Name implements suite.Subject.
func (t *Target) Name() string { return t.file.Name }

// Features implements suite.Subject.
func (t *Target) Features() []spec.Feature { return t.file.Features }

// Version implements suite.Subject: the version command's first line, or what
// the plugin says of itself.
func (t *Target) Version(ctx context.Context) (string, error) {
	if len(t.file.Version) == 0 {
		return t.facts.About, nil
	}
	out, err := exec.CommandContext(ctx, t.file.Version[0], t.file.Version[1:]...).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	if line == "" && err != nil {
		return "", fmt.Errorf("version of %s: %w", t.file.Name, err)
	}
	return line, nil
}

// Role is what the plugin is for.
func (t *Target) Role() Role { return t.file.Plugin.Role }

// Path is the plugin's executable, absolute.
func (t *Target) Path() string { return t.path }

// Has reports whether the plugin has a feature.
func (t *Target) Has(f spec.Feature) bool { return slices.Contains(t.file.Features, f) }

// Supported lists the versions that the plugin supports: those of the target
// file, else what VERSION answered.
func (t *Target) Supported() []string {
	if len(t.file.Versions) > 0 {
		return slices.Clone(t.file.Versions)
	}
	return slices.Clone(t.facts.Versions)
}

// Versions lists the versions by which the plugin is judged, in ascending order:
// 0.4.0, 1.0.0 and 1.1.0 as far as it supports them, else all that it does.
func (t *Target) Versions() []string {
	supported := t.Supported()
	var both []string
	for _, v := range judged {
		if slices.Contains(supported, v) {
			both = append(both, v)
		}
	}
	if len(both) == 0 {
		slices.SortFunc(supported, compareVersions)
		return supported
	}
	return both
}

// editions are the versions of a case that there is since one of them.
func (t *Target) editions(since string) (editions []string, reason string) {
	editions = slices.DeleteFunc(t.Versions(), func(v string) bool { return since != "" && compareVersions(v, since) < 0 })
	return editions, fmt.Sprintf("%s supports no version since %s, in which this came (it has %s)", t.file.Name, since, strings.Join(t.Versions(), ", "))
}

// AtLeast reports whether a version of CNI is another one or came after it.
func AtLeast(version, other string) bool { return compareVersions(version, other) >= 0 }

// compareVersions compares versions of three numbers.
func compareVersions(a, b string) int {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	return slices.Compare(x[:], y[:])
}

// Values are what the texts of a target file may refer to, as {{.Name}}.
type Values struct {
	// CNIVersion is the configuration's version.
	CNIVersion string
	// Name is the network's name.
	Name string
	// ID is a few random hexadecimal digits, for the names of devices: it is the
	// same for all of a case.
	ID string
	// IPAM is the configuration of the suite's IPAM plugin, a JSON object.
	IPAM string
	// Subnet is the network's own, such as 10.1.2.0/24.
	Subnet string
	// Master is an interface of the host that is up, when host.prepare has
	// veth-master, and the bridge of a DHCP server when it has dhcp.
	Master string
	// Device is an interface that nobody uses, another for each attachment, when
	// host.prepare has device.
	Device string
	// ContainerID is CNI_CONTAINERID, "" for a command of no container.
	ContainerID string
	// StateDir is a directory for what the plugin keeps.
	StateDir string
	// Dir is the case's own directory.
	Dir string
	// PrevResult is the previous plugin's result, a JSON object or null.
	PrevResult string
}

// Config renders the network configuration. The variants are merged into it, one
// after another.
func (t *Target) Config(v Values, variants ...string) (map[string]any, error) {
	v.PrevResult = cmp.Or(v.PrevResult, "null")
	text, err := render("plugin.config", t.file.Plugin.Config, v)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&config); err != nil {
		return nil, fmt.Errorf("plugin.config does not render to a JSON object: %w; it is:\n%s", err, text)
	}
	if config["prevResult"] == nil {
		delete(config, "prevResult")
	}
	for _, name := range variants {
		more, known := t.file.Plugin.Variants[name]
		if !known {
			return nil, fmt.Errorf("the target has no variant %q", name)
		}
		if err := merge(config, name, more, v); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// merge renders a variant's keys and puts them into the configuration.
func merge(config map[string]any, name string, variant map[string]any, v Values) error {
	data, err := json.Marshal(variant)
	if err != nil {
		return fmt.Errorf("plugin.variants.%s: %w", name, err)
	}
	text, err := render("plugin.variants."+name, string(data), v)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&config); err != nil {
		return fmt.Errorf("plugin.variants.%s does not render to a JSON object: %w; it is:\n%s", name, err, text)
	}
	return nil
}

// HasVariant reports whether the target file has a variant of that name.
func (t *Target) HasVariant(name string) bool { return t.file.Plugin.Variants[name] != nil }

// render replaces what a template refers to.
func render(key, text string, v Values) (string, error) {
	return target.Render(key, text, v, nil)
}

func renderAll(key string, texts []string, v Values) ([]string, error) {
	return target.RenderAll(key, texts, v, nil)
}

// resolve makes the paths of executables absolute and looks for them.
func (t *Target) resolve() error {
	base, err := target.Base(t.source, t.file.Root)
	if err != nil {
		return err
	}
	absolute := func(path string) string { return target.Absolute(base, path) }
	for _, dir := range t.file.Plugin.Search {
		t.search = append(t.search, absolute(dir))
	}
	t.path = absolute(t.file.Plugin.Path)
	commands := []*string{&t.path}
	for _, c := range [][]string{t.file.Version, t.file.Daemon.Command} {
		if len(c) > 0 {
			c[0] = absolute(c[0])
			commands = append(commands, &c[0])
		}
	}
	for _, c := range commands {
		if err := target.Executable(*c); err != nil {
			return fmt.Errorf("%w; build it, or correct the path (relative ones start from %s)", err, base)
		}
	}
	return nil
}

// seen are the directories of the host that have to be visible in a case.
func (t *Target) seen() []string {
	paths := append([]string{t.path}, t.search...)
	if len(t.file.Daemon.Command) > 0 {
		paths = append(paths, t.file.Daemon.Command[0])
	}
	return target.Directories(paths...)
}

var errNoTarget = errors.New("the subject is not a target of kind Plugin")
