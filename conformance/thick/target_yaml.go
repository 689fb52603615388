// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/strict"
	"github.com/thicket-cni/thicket/conformance/target"
)

func (t *yamlTarget) place(f target.PlacedFile, p Paths) error {
	path, err := t.render("daemon.files.path", f.Path, p)
	if err != nil {
		return err
	}
	content, err := t.render("daemon.files.content", f.Content, p)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("daemon.files: %s is a relative path; begin it with {{.Dir}} or with /", path)
	}
	if !strings.HasPrefix(filepath.Clean(path), p.Dir+"/") {
		if path, err = target.Cover(path, p.Dir); err != nil {
			return fmt.Errorf("daemon.files: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(f.Mode)
	if mode == 0 {
		mode = 0o644
	}
	return os.WriteFile(path, []byte(content), mode)
}

// TargetAPIVersion and TargetKind head every target file.
const (
	TargetAPIVersion = target.APIVersion
	TargetKind       = "Target"
)

// File is a target as its YAML file says it. Texts are templates of
// text/template over Paths; ${NAME} stands for an environment variable, in any
// of them.
type File struct {
	// APIVersion is always conformance.thicket-cni.io/v1alpha1.
	APIVersion string `yaml:"apiVersion" jsonschema:"required,enum=conformance.thicket-cni.io/v1alpha1"`
	// Kind is always Target.
	Kind string `yaml:"kind" jsonschema:"required,enum=Target"`
	// Name is what reports call the implementation.
	Name string `yaml:"name" jsonschema:"required"`
	// Root is what relative paths of executables start from, itself relative
	// to the file.
	Root       string         `yaml:"root"`
	Shim       ShimKeys       `yaml:"shim" jsonschema:"required"`
	Daemon     DaemonKeys     `yaml:"daemon" jsonschema:"required"`
	Kubernetes KubernetesKeys `yaml:"kubernetes"`
	Client     ClientKeys     `yaml:"client"`
	// SetAside are where the daemon keeps damaged records, as patterns of Go's
	// filepath.Match: what is found there after a case was not left behind.
	SetAside []string `yaml:"setAside"`
	// Records is a command that prints what the daemon has recorded, a container
	// id and an interface name in each line; see RecordsTarget. It is asked with
	// the daemon running and without, and what was set aside is not among it.
	Records []string `yaml:"records"`
	// Version is a command whose first line is the implementation's version.
	Version []string `yaml:"version"`
	// Install is a command that puts the shim into {{.InstallDir}}, for the feature
	// install.
	Install []string `yaml:"install"`
	// Features are what the implementation has beyond what every one must have; see
	// below.
	Features []spec.Feature `yaml:"features"`
}

// ShimKeys are what a target file says of the shim.
type ShimKeys struct {
	// Path is the executable that the container runtime starts.
	Path string `yaml:"path" jsonschema:"required"`
	// Config is the network configuration that makes it talk to the daemon of
	// the case, a JSON object.
	Config string `yaml:"config" jsonschema:"required"`
}

// DaemonKeys are what a target file says of the daemon.
type DaemonKeys struct {
	// Command starts the daemon in the foreground: the executable and its
	// arguments. SIGTERM ends it.
	Command []string `yaml:"command" jsonschema:"required"`
	// Env is the daemon's environment beside PATH.
	Env map[string]string `yaml:"env"`
	// Config is the daemon's configuration, in a form of its own, which is
	// written to {{.ConfigFile}}.
	Config string `yaml:"config" jsonschema:"required"`
	// Files are further files that the daemon needs, written before it starts.
	Files []target.PlacedFile `yaml:"files"`
}

// KubernetesKeys are what a target file says of the API server.
type KubernetesKeys struct {
	// ClusterRole is a manifest: what the daemon may do in the API. Empty
	// for conformance/kube/clusterrole.yaml.
	ClusterRole string `yaml:"clusterRole"`
}

// yamlTarget runs an implementation's binaries.
type yamlTarget struct {
	source string
	file   File
}

// LoadTarget reads a target file. Unknown keys, missing ones, templates that
// do not parse and executables that are not there are errors that name the
// file and the key.
func LoadTarget(path string) (Target, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	return ParseTarget(data, path, "")
}

// ParseTarget is LoadTarget for a file's content. source is what errors call
// it; root, when it is not empty, takes the place of the file's own key.
func ParseTarget(data []byte, source, root string) (Target, error) {
	return Override{}.Parse(data, source, root)
}

// Override takes the place of parts of a target file, each where it is not
// empty: a variant of an implementation needs no file of its own.
type Override struct {
	Name string
	// Shim is the shim's executable. The others are commands.
	Shim                                            string
	Daemon, Version, Install, CheckReady, WaitReady []string
	// Features are added to the file's.
	Features []spec.Feature
}

// Parse is ParseTarget with the override.
func (o Override) Parse(data []byte, source, root string) (Target, error) {
	t := &yamlTarget{source: source}
	// An empty file is one without an apiVersion, which validate explains.
	if err := strict.Decode(data, &t.file); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	o.apply(&t.file)
	if root != "" {
		t.file.Root = root
	}
	if err := target.Expand(&t.file, data); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("target %s: %w", source, err)
	}
	if root == "" {
		root = t.file.Root
		if !filepath.IsAbs(root) {
			root = filepath.Join(filepath.Dir(source), root)
		}
	}
	return t, t.resolve(root)
}

func (o *Override) apply(f *File) {
	f.Name, f.Shim.Path = cmp.Or(o.Name, f.Name), cmp.Or(o.Shim, f.Shim.Path)
	for _, c := range []struct {
		to   *[]string
		with []string
	}{{&f.Daemon.Command, o.Daemon}, {&f.Version, o.Version}, {&f.Install, o.Install}, {&f.Client.CheckReady, o.CheckReady}, {&f.Client.WaitReady, o.WaitReady}} {
		if len(c.with) > 0 {
			*c.to = c.with
		}
	}
	if len(o.Daemon) > 0 {
		f.Records = nil // the file's command need not know what another daemon records
	}
	f.Features = append(f.Features, o.Features...)
}

func (t *yamlTarget) validate() error {
	f := &t.file
	switch {
	case f.APIVersion != TargetAPIVersion || f.Kind != TargetKind:
		return fmt.Errorf("want apiVersion %s and kind %s", TargetAPIVersion, TargetKind)
	case f.Name == "":
		return errors.New("name is missing")
	case f.Shim.Path == "" || f.Shim.Config == "":
		return errors.New("shim.path and shim.config are required")
	case len(f.Daemon.Command) == 0 || f.Daemon.Config == "":
		return errors.New("daemon.command and daemon.config are required")
	}
	if (len(f.Client.CheckReady) == 0) != (len(f.Client.WaitReady) == 0) {
		return errors.New("client.checkReady and client.waitReady belong together")
	}
	for _, feature := range f.Features {
		switch {
		case Features[feature] == "":
			return fmt.Errorf("feature %q is unknown%s", feature, strict.Suggestion(feature, slices.Sorted(maps.Keys(Features))))
		case feature == FeatureInstall && len(f.Install) == 0:
			return errors.New("feature install needs the key install: the installer's command")
		case feature == FeatureKubernetes && slices.Contains(f.Features, FeatureStandalone):
			return errors.New("features kubernetes and standalone exclude each other: a daemon has one cluster; write two target files")
		}
	}
	if _, err := kube.RoleOf(daemonOf(t)); err != nil {
		return fmt.Errorf("kubernetes.clusterRole: %w", err)
	}
	return t.renderSamples()
}

// renderSamples renders every template, with and without the parameters that
// may be empty, so that a mistake is reported before any case runs.
func (t *yamlTarget) renderSamples() error {
	plain := Paths{Dir: "/d", RunDir: "/d/r", CNIVersion: "1.1.0"}
	full := plain
	full.DelegateTimeout, full.RequestLimit, full.CNIConfDir = "1s", 1024, "/d/cni"
	full.DefaultNetwork, full.HomeNamespace, full.AuxiliaryChain = "other", "home", "chain"
	full.EveryPod, full.ExemptNamespaces, full.Isolated, full.SharedNamespaces = []string{"a", "b"}, []string{"c"}, true, []string{"d"}
	full.MetricsPort, full.MetricsAddress, full.ProbePort = 9100, "127.0.0.1", 9101
	for _, p := range []Paths{plain, full} {
		if _, err := t.ShimConfig(p); err != nil {
			return err
		}
		if _, err := t.DaemonConfig(p); err != nil {
			return err
		}
		texts := map[string][]string{"daemon.command": t.file.Daemon.Command, "install": t.file.Install, "setAside": t.file.SetAside, "records": t.file.Records}
		for key, value := range t.file.Daemon.Env {
			texts["daemon.env."+key] = []string{value}
		}
		for i, f := range t.file.Daemon.Files {
			texts[fmt.Sprintf("daemon.files[%d]", i)] = []string{f.Path, f.Content}
		}
		for key, all := range texts {
			if _, err := t.renderAll(key, all, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve makes the paths of executables absolute and looks for them.
func (t *yamlTarget) resolve(root string) error {
	base, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	commands := []*string{&t.file.Shim.Path, &t.file.Daemon.Command[0]}
	for _, c := range [][]string{t.file.Version, t.file.Install, t.file.Records, t.file.Client.CheckReady, t.file.Client.WaitReady} {
		if len(c) > 0 {
			commands = append(commands, &c[0])
		}
	}
	for _, c := range commands {
		if !filepath.IsAbs(*c) {
			*c = filepath.Join(base, *c)
		}
		if _, err := exec.LookPath(*c); err != nil {
			return fmt.Errorf("target %s: %w; build it, or correct the path (relative ones start from %s)", t.source, err, base)
		}
	}
	return nil
}

// functions are what the templates have beside text/template's own: json encodes
// a value, and join puts commas between texts.
var functions = template.FuncMap{
	"json": func(v any) (string, error) { text, err := json.Marshal(v); return string(text), err },
	"join": func(texts []string) string { return strings.Join(texts, ",") },
}

func (t *yamlTarget) render(key, text string, p Paths) (string, error) {
	return target.Render(key, text, p, functions)
}

func (t *yamlTarget) renderJSON(key, text string, p Paths) ([]byte, error) {
	out, err := t.render(key, text, p)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		return nil, fmt.Errorf("%s does not render to a JSON object: %w", key, err)
	}
	return []byte(out), nil
}

func (t *yamlTarget) renderAll(key string, texts []string, p Paths) ([]string, error) {
	return target.RenderAll(key, texts, p, functions)
}

// Name implements Target.
func (t *yamlTarget) Name() string { return t.file.Name }

// Features implements Target.
func (t *yamlTarget) Features() []spec.Feature { return t.file.Features }

// ShimPath implements Target.
func (t *yamlTarget) ShimPath() string { return t.file.Shim.Path }

// Executables are the programs that the file names beside the shim.
func (t *yamlTarget) Executables() []string { return t.file.Daemon.Command[:1] }

// ShimConfig implements Target.
func (t *yamlTarget) ShimConfig(p Paths) ([]byte, error) {
	return t.renderJSON("shim.config", t.file.Shim.Config, p)
}

// DaemonConfig implements Target: text of any form. One that begins as a JSON
// object has to be one.
func (t *yamlTarget) DaemonConfig(p Paths) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(t.file.Daemon.Config), "{") {
		return t.renderJSON("daemon.config", t.file.Daemon.Config, p)
	}
	text, err := t.render("daemon.config", t.file.Daemon.Config, p)
	return []byte(text), err
}

// ClusterRole is what the daemon may do in the API, empty for the default.
func (t *yamlTarget) ClusterRole() []byte { return []byte(t.file.Kubernetes.ClusterRole) }

// Records implements RecordsTarget.
func (t *yamlTarget) Records(p Paths) func() ([]string, error) {
	if len(t.file.Records) == 0 {
		return nil
	}
	return func() ([]string, error) {
		command, err := t.renderAll("records", t.file.Records, p)
		if err != nil {
			return nil, err
		}
		out, err := exec.Command(command[0], command[1:]...).Output() //nolint:noctx // the case's end ends it
		if err != nil {
			return nil, fmt.Errorf("records: %v: %w", command, err)
		}
		lines := []string{}
		for line := range strings.Lines(string(out)) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return lines, nil
	}
}

// SetAside implements LeavingTarget.
func (t *yamlTarget) SetAside(p Paths) []string {
	paths, err := t.renderAll("setAside", t.file.SetAside, p)
	if err != nil {
		panic(err) // renderSamples has rendered them
	}
	return paths
}

// Version implements Target: the version command's first line.
func (t *yamlTarget) Version(ctx context.Context) (string, error) {
	if len(t.file.Version) == 0 {
		return "", nil
	}
	out, err := exec.CommandContext(ctx, t.file.Version[0], t.file.Version[1:]...).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	if line == "" && err != nil {
		return "", fmt.Errorf("version of %s: %w", t.file.Name, err)
	}
	return line, nil // Multus prints its version and exits with 4
}

// StartDaemon implements Target.
func (t *yamlTarget) StartDaemon(_ context.Context, p Paths, config []byte) (Process, error) {
	if err := os.WriteFile(p.ConfigFile, config, 0o600); err != nil {
		return nil, err
	}
	for _, f := range t.file.Daemon.Files {
		if err := t.place(f, p); err != nil {
			return nil, err
		}
	}
	command, err := t.renderAll("daemon.command", t.file.Daemon.Command, p)
	if err != nil {
		return nil, err
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	for key, text := range t.file.Daemon.Env {
		value, err := t.render("daemon.env."+key, text, p)
		if err != nil {
			return nil, err
		}
		env = append(env, key+"="+value)
	}
	return target.StartProcess(command, env, p.LogFile)
}

// Install implements Target.
func (t *yamlTarget) Install(ctx context.Context, p Paths) error {
	command, err := t.renderAll("install", t.file.Install, p)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("install: %w: %s", err, out)
	}
	return nil
}
