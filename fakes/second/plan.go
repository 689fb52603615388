// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"
)

const (
	// largestNetwork and mostPlugins bound one network's configuration.
	largestNetwork = 64 << 10
	mostPlugins    = 32
	// longestKey is how long the name of libcni's cache file may become.
	longestKey = 255
	// specNotAvailable is the code of STATUS and ADD without a default network.
	specNotAvailable = 50
)

// planner knows which networks a pod gets.
type planner struct {
	conf    *config
	cluster *cluster
	// self is what this program is: no delegate may be it (SEC-09).
	self os.FileInfo
}

// listOf makes a configuration list of a network's configuration, which may be a
// single plugin's; fallback is the name of one that has none.
func (p *planner) listOf(text []byte, fallback string) (json.RawMessage, error) {
	wrong := func(format string, args ...any) error {
		return refuse(types.ErrInvalidNetworkConfig, "network %s: "+format, append([]any{cut(fallback, 300)}, args...)...)
	}
	if len(text) > largestNetwork {
		return nil, wrong("its configuration has %d bytes, more than the limit of %d", len(text), largestNetwork)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, wrong("its configuration is not a JSON object")
	}
	if _, list := fields["plugins"]; !list {
		head := map[string]json.RawMessage{"plugins": slices.Concat([]byte("["), text, []byte("]"))}
		for _, key := range []string{"name", "cniVersion", "disableCheck", "disableGC"} {
			if value, ok := fields[key]; ok {
				head[key] = value
			}
		}
		fields = head
	}
	var name string
	if json.Unmarshal(fields["name"], &name) != nil || name == "" {
		name = fallback
		fields["name"], _ = json.Marshal(name)
	}
	if err := utils.ValidateNetworkName(name); err != nil || len(name) > 200 {
		return nil, wrong("the name %q is not a network's, or longer than the limit of 200", cut(name, 64))
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, wrong("its configuration cannot be encoded")
	}
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil {
		// libcni's text quotes the configuration, secrets included (SEC-04).
		return nil, wrong("its configuration is unusable: no plugins, a plugin without a type, or a value of the wrong type")
	}
	if len(list.Plugins) == 0 || len(list.Plugins) > mostPlugins {
		return nil, wrong("it has %d plugins; the limit is 1 to %d", len(list.Plugins), mostPlugins)
	}
	for _, plugin := range list.Plugins {
		for _, kind := range []string{plugin.Network.Type, plugin.Network.IPAM.Type} {
			if err := p.mayRun(kind); err != nil {
				return nil, wrong("%v", err)
			}
		}
		if plugin.Network.Type == "" {
			return nil, wrong("a plugin has no type")
		}
	}
	return data, nil
}

// installed reports a plugin of a network that is not there (ST-03).
func (p *planner) installed(a *attached) error {
	list, err := libcni.NetworkConfFromBytes(a.List)
	if err != nil {
		return refuse(types.ErrInvalidNetworkConfig, "network %s is unusable", a.Name)
	}
	for _, plugin := range list.Plugins {
		for _, kind := range []string{plugin.Network.Type, plugin.Network.IPAM.Type} {
			if info, err := os.Stat(filepath.Join(p.conf.Plugins, kind)); kind != "" && (err != nil || info.Mode()&0o111 == 0) && !broken("ready-without-plugins") {
				return refuse(types.ErrTryAgainLater, "plugin %s of network %s is not installed in %s", kind, nameOf(a.List), p.conf.Plugins)
			}
		}
	}
	return nil
}

// mayRun refuses types that are not the name of a plugin, and this program under
// any name.
func (p *planner) mayRun(kind string) error {
	if broken("runs-anything") || kind == "" {
		return nil
	}
	if strings.ContainsAny(kind, "/\x00") || kind == "." || kind == ".." {
		return fmt.Errorf("%q is not the type of a plugin", cut(kind, 64))
	}
	if strings.HasPrefix(kind, "thicket-second") || p.isSelf(filepath.Join(p.conf.Plugins, kind)) {
		return fmt.Errorf("type %q is this program itself", kind)
	}
	return nil
}

// isSelf reports whether a file is this program, or a copy of it.
func (p *planner) isSelf(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Size() != p.self.Size() {
		return false
	}
	if os.SameFile(info, p.self) {
		return true
	}
	sum := func(path string) (s [sha256.Size]byte) {
		if f, err := os.Open(path); err == nil {
			h := sha256.New()
			_, _ = io.Copy(h, f)
			_ = f.Close()
			h.Sum(s[:0])
		}
		return s
	}
	return sum(path) == sum("/proc/self/exe")
}

// inFolder finds the configuration of a network in a directory by its name; any
// is the first one that there is.
func (p *planner) inFolder(dir, name string) (json.RawMessage, error) {
	files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	for _, file := range files {
		data, err := readRegular(file, largestManifest)
		var head struct {
			Name string `json:"name"`
		}
		if err == nil && json.Unmarshal(data, &head) == nil && (name == "" || head.Name == name) {
			return p.listOf(data, head.Name)
		}
	}
	return nil, fmt.Errorf("%w: no network %q in %s", errAbsent, name, dir)
}

// definition is the configuration of a network definition.
func (p *planner) definition(namespace, name string) (json.RawMessage, error) {
	full := namespace + "/" + name
	m, err := p.cluster.read("definition", namespace, name)
	if errors.Is(err, errAbsent) {
		return nil, fmt.Errorf("%w: network definition %s", errAbsent, full)
	}
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(m.Spec.Config) != "" {
		return p.listOf([]byte(m.Spec.Config), name)
	}
	list, err := p.inFolder(p.conf.Networks.Folder, name)
	if errors.Is(err, errAbsent) {
		err = refuse(types.ErrInvalidNetworkConfig, "network definition %s is empty, and the node has no network of that name", full)
	}
	return list, err
}

// primary is the default network of pods that ask for no other.
func (p *planner) primary() (*attached, error) {
	name := p.conf.Networks.Primary
	var (
		list json.RawMessage
		err  error
	)
	if filepath.IsAbs(name) {
		list, err = p.ofPath(name)
	} else if list, err = p.definition(p.conf.Networks.Home, name); errors.Is(err, errAbsent) || list == nil && isAway(err) {
		list, err = p.inFolder(p.conf.Networks.Folder, name)
	}
	if err != nil {
		var own *refusal
		if errors.As(err, &own) {
			return nil, err
		}
		return nil, refuse(specNotAvailable, "the default network %s is missing: %v", name, err)
	}
	return &attached{Name: nameOf(list), List: list, Default: true}, nil
}

func isAway(err error) bool {
	var own *refusal
	return errors.As(err, &own) && own.cni.Code == types.ErrTryAgainLater
}

func (p *planner) ofPath(path string) (json.RawMessage, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return p.inFolder(path, "")
	}
	data, err := readRegular(path, largestManifest)
	if err != nil {
		return nil, err
	}
	return p.listOf(data, filepath.Base(path))
}

func nameOf(list json.RawMessage) string {
	var head struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(list, &head)
	return head.Name
}

// networks are those of a pod in their order, the default network first.
func (p *planner) networks(r *record, pod *manifest) ([]*attached, error) {
	first, err := p.first(r.Pod, pod)
	if err != nil {
		return nil, err
	}
	first.IfName = r.IfName
	all := []*attached{first}
	if pod == nil {
		return all, nil
	}
	var wanted []*selection
	if !slices.Contains(p.conf.Networks.Exempt, r.Pod.Namespace) {
		for _, name := range p.conf.Networks.Always {
			wanted = append(wanted, &selection{Name: name, Namespace: p.conf.Networks.Home})
		}
	}
	always := len(wanted)
	asked, err := selections(pod.Metadata.Annotations[networksAnnotation], r.Pod.Namespace)
	if err != nil {
		return nil, err
	}
	wanted = append(wanted, asked...)
	bytes := len(first.List)
	for i, s := range wanted {
		if i >= always {
			if err := p.reachable(r.Pod.Namespace, s.Namespace); err != nil {
				return nil, err
			}
		}
		a, err := p.attach(s, i+1)
		if err != nil {
			return nil, err
		}
		if bytes += len(a.List); bytes > 2*largestNetwork {
			return nil, refuse(types.ErrInvalidNetworkConfig, "the configurations of the pod's networks have more bytes than the limit of %d", 2*largestNetwork)
		}
		all = append(all, a)
	}
	return all, distinct(r, all)
}

// first is the pod's default network: the node's, or the one that it asks for.
func (p *planner) first(ref podRef, pod *manifest) (*attached, error) {
	annotation := ""
	if pod != nil {
		annotation = pod.Metadata.Annotations[defaultAnnotation]
	}
	if annotation == "" {
		return p.primary()
	}
	chosen, err := selections(annotation, p.conf.Networks.Home)
	if err != nil {
		return nil, err
	}
	if len(chosen) != 1 {
		return nil, malformed("%s names %d networks, not one", defaultAnnotation, len(chosen))
	}
	if chosen[0].Namespace != p.conf.Networks.Home {
		if err := p.reachable(ref.Namespace, chosen[0].Namespace); err != nil {
			return nil, err
		}
	}
	a, err := p.attach(chosen[0], 0)
	if err == nil {
		a.Default = true
	}
	return a, err
}

// reachable keeps isolated pods to their namespace and the shared ones (NET-08).
func (p *planner) reachable(from, to string) error {
	if p.conf.Pods.Isolated && from != to && !slices.Contains(p.conf.Pods.Shared, to) && !broken("no-isolation") {
		return refuse(types.ErrInvalidNetworkConfig, "pods of namespace %s are isolated from the networks of namespace %s", from, to)
	}
	return nil
}

// attach is what becomes of a selection, with the interface name of its place
// unless it has one.
func (p *planner) attach(s *selection, place int) (*attached, error) {
	list, err := p.definition(s.Namespace, s.Name)
	if errors.Is(err, errAbsent) {
		return nil, refuse(types.ErrInvalidNetworkConfig, "network definition %s/%s does not exist", s.Namespace, s.Name)
	}
	if err != nil {
		return nil, err
	}
	a := &attached{Name: s.Namespace + "/" + s.Name, IfName: s.Interface, List: list, Capabilities: s.capabilities()}
	if a.IfName == "" {
		a.IfName = fmt.Sprintf("net%d", place)
	}
	if s.Routes != nil {
		a.Gateways = *s.Routes
	}
	if len(s.Args) > 0 {
		if a.List, err = withArgs(list, s.Args); err != nil {
			return nil, err
		}
	}
	return a, a.declares()
}

// declares refuses what no plugin of the network will act on (NET-18).
func (a *attached) declares() error {
	list, err := libcni.NetworkConfFromBytes(a.List)
	if err != nil {
		return refuse(types.ErrInvalidNetworkConfig, "network %s is unusable", a.Name)
	}
	for _, capability := range slices.Sorted(maps.Keys(a.Capabilities)) {
		declared := slices.ContainsFunc(list.Plugins, func(p *libcni.PluginConfig) bool { return p.Network.Capabilities[capability] })
		if !declared && capability != "deviceID" && !broken("drops-undeclared") {
			return refuse(types.ErrInvalidNetworkConfig, "network %s is asked for %s, which none of its plugins declares", a.Name, capability)
		}
	}
	return nil
}

// withArgs merges cni-args into the args.cni of every plugin.
func withArgs(list json.RawMessage, args map[string]any) (json.RawMessage, error) {
	var fields map[string]any
	if err := json.Unmarshal(list, &fields); err != nil {
		return nil, err
	}
	plugins, _ := fields["plugins"].([]any)
	for _, plugin := range plugins {
		conf, _ := plugin.(map[string]any)
		own, _ := conf["args"].(map[string]any)
		if own == nil {
			own = map[string]any{}
		}
		merged, _ := own["cni"].(map[string]any)
		if merged == nil {
			merged = map[string]any{}
		}
		maps.Copy(merged, args)
		own["cni"] = merged
		conf["args"] = own
	}
	return json.Marshal(fields)
}

// distinct refuses interface names that are asked for twice, and names that make
// a cache file's too long (SEC-10).
func distinct(r *record, all []*attached) error {
	seen := map[string]bool{}
	for _, a := range all {
		if seen[a.IfName] && !broken("duplicate-interfaces") {
			return refuse(types.ErrInvalidNetworkConfig, "the interface name %s is asked for twice", a.IfName)
		}
		seen[a.IfName] = true
		if key := len(nameOf(a.List)) + len(r.Container) + len(a.IfName) + 2; key > longestKey {
			return refuse(types.ErrInvalidNetworkConfig, "network %s: its name, the container's and the interface's have %d characters, more than the limit of %d",
				cut(a.Name, 64), key, longestKey)
		}
	}
	return nil
}
