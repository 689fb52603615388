// SPDX-License-Identifier: Apache-2.0

package runtime

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

// TargetAPIVersion and TargetKind head every target file of a runtime.
const (
	TargetAPIVersion = target.APIVersion
	TargetKind       = "Runtime"
)

// File is a target as its YAML file says it. Texts are templates of
// text/template over Values; ${NAME} stands for an environment variable.
type File struct {
	// APIVersion is always conformance.thicket-cni.io/v1alpha1.
	APIVersion string `yaml:"apiVersion" jsonschema:"required,enum=conformance.thicket-cni.io/v1alpha1"`
	// Kind is always Runtime.
	Kind string `yaml:"kind" jsonschema:"required,enum=Runtime"`
	// Name is what reports call the runtime.
	Name string `yaml:"name" jsonschema:"required"`
	// Root is what relative paths start from, itself relative to the file.
	Root string `yaml:"root"`
	// Runtime says how the runtime is asked: one of commands, adapter, cri and
	// thick.
	Runtime Keys `yaml:"runtime" jsonschema:"required"`
	// Versions are those of CNI that the runtime knows; empty for 0.3.1, 0.4.0,
	// 1.0.0 and 1.1.0.
	Versions []string `yaml:"versions"`
	// Features are what the runtime can do; see below.
	Features []spec.Feature `yaml:"features"`
	// Files are files that the runtime needs, written before each case.
	Files []target.PlacedFile `yaml:"files"`
	// Daemon is the runtime's, or one that it asks.
	Daemon target.Daemon `yaml:"daemon"`
	// Version is a command that prints the runtime's own version.
	Version []string `yaml:"version"`
}

// Keys are what a target file says of the runtime itself.
type Keys struct {
	// Commands are a command line for each command of CNI.
	Commands CommandKeys `yaml:"commands"`
	// Env is the environment of the commands beside PATH.
	Env map[string]string `yaml:"env"`
	// Adapter is a program with the command line of adapters; see below.
	Adapter string `yaml:"adapter"`
	// CRI is the socket of a CRI runtime, which the daemon serves.
	CRI string `yaml:"cri"`
	// Thick is the target file of a thick plugin, which is judged as the runtime of
	// its delegates.
	Thick string `yaml:"thick"`
}

// CommandKeys are command lines, one for each command of CNI.
type CommandKeys struct {
	// Add attaches a container. It is a process of its own, as every command, and
	// its exit status says whether it succeeded.
	Add []string `yaml:"add"`
	// Del detaches a container.
	Del []string `yaml:"del"`
	// Check has CHECK executed for a container; it needs the feature check.
	Check []string `yaml:"check"`
	// GC has GC executed for a network; it needs the feature gc.
	GC []string `yaml:"gc"`
	// Status has STATUS executed for a network; it needs the feature status.
	Status []string `yaml:"status"`
}

// of is the command line of a command.
func (k *CommandKeys) of(command string) []string {
	return map[string][]string{"ADD": k.Add, "DEL": k.Del, "CHECK": k.Check, "GC": k.GC, "STATUS": k.Status}[command]
}

// Parse reads a target file's content. source is what errors call it, and where
// relative paths start. Errors name the file, the line of a key that is unknown,
// and the known one that is nearest to it.
func Parse(data []byte, source string) (*Target, error) { return Override{}.Parse(data, source) }

// Override takes the place of parts of a target file, each where it is not
// empty: a variant of a runtime needs no file of its own.
type Override struct {
	// Name is the target's, Adapter its program.
	Name, Adapter string
	// Thick is the target file of a thick plugin. The command that tells the version
	// of the file's own goes with that one.
	Thick string
}

// Parse is the function Parse with the override.
func (o Override) Parse(data []byte, source string) (*Target, error) {
	t := &Target{source: source}
	if err := strict.Decode(data, &t.file); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	t.file.Name, t.file.Runtime.Adapter = cmp.Or(o.Name, t.file.Name), cmp.Or(o.Adapter, t.file.Runtime.Adapter)
	if err := target.Expand(&t.file, data); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	if o.Thick != "" {
		t.file.Runtime.Thick, t.file.Version = o.Thick, nil
	}
	for _, step := range []func() error{t.validate, t.validateTexts, t.resolve} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("target %s: %w", source, err)
		}
	}
	return t, nil
}

var version = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

func (t *Target) validate() error {
	f := &t.file
	switch {
	case f.APIVersion != TargetAPIVersion || f.Kind != TargetKind:
		return fmt.Errorf("want apiVersion %s and kind %s", TargetAPIVersion, TargetKind)
	case f.Name == "":
		return errors.New("name is missing")
	}
	if err := t.validateWay(); err != nil {
		return err
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

// validateWay checks that there is one way in which the runtime is asked.
func (t *Target) validateWay() error {
	r := &t.file.Runtime
	var ways []string
	for way, has := range map[string]bool{"commands": len(r.Commands.Add) > 0 || len(r.Commands.Del) > 0, "adapter": r.Adapter != "", "cri": r.CRI != "", "thick": r.Thick != ""} {
		if has {
			ways = append(ways, "runtime."+way)
		}
	}
	slices.Sort(ways)
	switch {
	case len(ways) == 0:
		return errors.New("runtime is missing: one of its keys commands, adapter, cri and thick says how the runtime is asked")
	case len(ways) > 1:
		return fmt.Errorf("%s: a runtime is asked in one way", strings.Join(ways, " and "))
	case r.Adapter != "":
		r.Commands = adapterCommands(r.Adapter)
	case ways[0] != "runtime.commands":
		return nil
	}
	for command, feature := range map[string]spec.Feature{"ADD": "", "DEL": "", "CHECK": FeatureCheck, "GC": FeatureGC, "STATUS": FeatureStatus} {
		key := "runtime.commands." + strings.ToLower(command)
		switch has := len(r.Commands.of(command)) > 0; {
		case !has && feature == "":
			return fmt.Errorf("%s is missing", key)
		case !has && t.Has(feature):
			return fmt.Errorf("%s is missing, and features has %s", key, feature)
		}
	}
	return nil
}

// validateTexts renders every template, so that a mistake is reported before any
// case runs.
func (t *Target) validateTexts() error {
	v := Values{ConfDir: "/conf", BinDir: "/bin", CacheDir: "/cache", StateDir: "/state", Dir: "/dir", ID: "c0", Netns: "/netns/c0", IfName: "eth0",
		Network: "net", Args: "K=V", Capabilities: "{}", Valid: "[]"}
	f := &t.file
	texts := map[string][]string{"daemon.command": f.Daemon.Command, "daemon.ready": {f.Daemon.Ready}, "runtime.cri": {f.Runtime.CRI}}
	for _, command := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS"} {
		texts["runtime.commands."+strings.ToLower(command)] = f.Runtime.Commands.of(command)
	}
	for key, value := range f.Runtime.Env {
		texts["runtime.env."+key] = []string{value}
	}
	for key, value := range f.Daemon.Env {
		texts["daemon.env."+key] = []string{value}
	}
	for i, placed := range f.Files {
		texts[fmt.Sprintf("files[%d]", i)] = []string{placed.Path, placed.Content}
	}
	for key, all := range texts {
		if _, err := target.RenderAll(key, all, v, nil); err != nil {
			return err
		}
	}
	return nil
}
