// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// definitions is a cluster of network definitions by namespace/name.
type definitions map[string]string

var errAway = errors.New("the API server is away")

func (d definitions) Definition(_ context.Context, namespace, name string) (*cluster.Definition, error) {
	config, ok := d[namespace+"/"+name]
	if config == "away" {
		return nil, errAway
	}
	if !ok {
		return nil, fmt.Errorf("network definition %s/%s: %w", namespace, name, cluster.ErrNotFound)
	}
	return &cluster.Definition{Namespace: namespace, Name: name, Config: config}, nil
}

func (definitions) Pod(context.Context, string, string) (*cluster.Pod, error) {
	return nil, cluster.ErrNotFound
}

func (definitions) WithdrawStatus(cluster.Withdrawal) {}

func (definitions) PublishStatus(context.Context, *cluster.Pod, []cluster.NetworkStatus) error {
	return errAway
}
func (definitions) Ready() <-chan struct{} { return nil }
func (definitions) Waiting() string        { return "" }

func plugin(name string) string { return fmt.Sprintf(`{"name":%q,"type":"t"}`, name) }

func pod(namespace, networks string) *cluster.Pod {
	return &cluster.Pod{Namespace: namespace, Name: "p", Annotations: map[string]string{NetworksAnnotation: networks}}
}

// files writes a directory of configuration files.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shape is a plan in a line: network/definition@interface, '*' for the default.
func shape(plan []Delegate) string {
	var all []string
	for _, d := range plan {
		s := d.Network + ":" + d.Definition + "@" + d.Interface
		if d.Default {
			s += "*"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestPlan(t *testing.T) {
	defs := definitions{"ns/a": plugin("net-a"), "ns/b": plugin(""), "kube-system/sys": plugin("net-sys"), "default/g": plugin("net-g"), "x/a": plugin("net-xa"), "ns/file": " "}
	conf := files(t, map[string]string{"10-d.conflist": `{"name":"d","plugins":[{"type":"t"}]}`, "20-file.conf": plugin("file")})
	options := Options{ConfDir: conf, ClusterNetwork: "d"}
	extra := Options{ConfDir: conf, ClusterNetwork: "d", DefaultNetworks: []string{"sys", "file"}}
	isolated := Options{ConfDir: conf, ClusterNetwork: "d", NamespaceIsolation: true}
	with := func(p *cluster.Pod, annotation string) *cluster.Pod {
		p.Annotations[DefaultNetworkAnnotation] = annotation
		return p
	}
	tests := map[string]struct {
		options Options
		pod     *cluster.Pod
		want    string
	}{
		"alone":                   {options, &cluster.Pod{Namespace: "ns"}, "d:d@eth0*"},
		"selections":              {options, pod("ns", "a,b@e1,x/a"), "d:d@eth0* net-a:ns/a@net1 b:ns/b@e1 net-xa:x/a@net3"},
		"empty config":            {options, pod("ns", "file"), "d:d@eth0* file:ns/file@net1"},
		"same twice":              {options, pod("ns", "a,a"), "d:d@eth0* net-a:ns/a@net1 net-a:ns/a@net2"},
		"default networks":        {extra, pod("ns", "a"), "d:d@eth0* net-sys:kube-system/sys@net1 file:file@net2 net-a:ns/a@net3"},
		"system namespace":        {extra, pod("kube-system", "sys"), "d:d@eth0* net-sys:kube-system/sys@net1"},
		"replaced default":        {options, with(pod("ns", "a"), "sys@ignored"), "net-sys:kube-system/sys@eth0* net-a:ns/a@net1"},
		"replaced from elsewhere": {options, with(pod("ns", ""), `[{"name":"a","namespace":"x"}]`), "net-xa:x/a@eth0*"},
		"isolated, own":           {isolated, pod("ns", "a"), "d:d@eth0* net-a:ns/a@net1"},
		"isolated, global":        {isolated, pod("ns", "default/g"), "d:d@eth0* net-g:default/g@net1"},
		"isolated, replaced":      {isolated, with(pod("ns", ""), "sys"), "net-sys:kube-system/sys@eth0*"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlanner(tt.options, defs).Plan(t.Context(), tt.pod, "eth0", nil)
			if err != nil || shape(plan) != tt.want {
				t.Errorf("got %s, %v; want %s", shape(plan), err, tt.want)
			}
		})
	}
}

func TestPlanPassesArguments(t *testing.T) {
	defs := definitions{"ns/a": `{"capabilities":{"ips":true},"name":"a","type":"t"}`, "kube-system/d": plugin("d")}
	p := NewPlanner(Options{ConfDir: t.TempDir(), ClusterNetwork: "d"}, defs)
	plan, err := p.Plan(t.Context(), pod("ns", `[{"name":"a","ips":["10.0.0.1"],"cni-args":{"k":"v"}}]`), "eth0", map[string]any{"ips": "r", "dns": "r"})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"ips": "r", "dns": "r"}; !reflect.DeepEqual(plan[0].CapabilityArgs, want) {
		t.Errorf("default network: %v", plan[0].CapabilityArgs)
	}
	if want := map[string]any{"ips": []string{"10.0.0.1"}}; !reflect.DeepEqual(plan[1].CapabilityArgs, want) {
		t.Errorf("selection: %v", plan[1].CapabilityArgs)
	}
	if got := string(plan[1].Config); got != `{"name":"a","plugins":[{"args":{"cni":{"k":"v"}},"capabilities":{"ips":true},"name":"a","type":"t"}]}` {
		t.Errorf("selection: %s", got)
	}
}

func TestPlanRefuses(t *testing.T) {
	defs := definitions{"ns/a": plugin("net-a"), "ns/bad": `{"type":"a/b"}`, "kube-system/d": plugin("d"), "ns/none": "", "x/a": plugin("net-xa")}
	options := Options{ConfDir: t.TempDir(), ClusterNetwork: "d"}
	isolated := options
	isolated.NamespaceIsolation, isolated.GlobalNamespaces = true, []string{"shared"}
	replaced := func(annotation string) *cluster.Pod {
		return &cluster.Pod{Namespace: "ns", Annotations: map[string]string{DefaultNetworkAnnotation: annotation}}
	}
	tests := map[string]struct {
		options Options
		pod     *cluster.Pod
		says    []string
	}{
		"malformed":             {options, pod("ns", "a,Bad"), []string{NetworksAnnotation, `"Bad"`}},
		"same interface":        {options, pod("ns", "a@e1,x/a@e1"), []string{"e1", "ns/a", "x/a"}},
		"the default's":         {options, pod("ns", "a@eth0"), []string{"eth0", "kube-system/d", "ns/a"}},
		"the next one's":        {options, pod("ns", "a@net2,x/a"), []string{"net2", "ns/a", "x/a"}},
		"bad definition":        {options, pod("ns", "bad"), []string{"network definition ns/bad", "type", `"a/b"`}},
		"isolation":             {isolated, pod("ns", "x/a"), []string{"namespaceIsolation", "ns", "x/a", "shared"}},
		"isolation, no default": {isolated, pod("ns", "default/g"), []string{"namespaceIsolation", "default/g"}},
		"isolation of default":  {isolated, replaced("x/a"), []string{DefaultNetworkAnnotation, "namespaceIsolation", "x/a"}},
		"malformed default":     {options, replaced("a b"), []string{DefaultNetworkAnnotation, `"a b"`}},
		"two defaults":          {options, replaced("a,b"), []string{DefaultNetworkAnnotation, `"a,b"`}},
		"no default":            {options, replaced("[]"), []string{DefaultNetworkAnnotation, `"[]"`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewPlanner(tt.options, defs).Plan(t.Context(), tt.pod, "eth0", nil)
			expectInvalid(t, err, tt.says...)
		})
	}

	planner := NewPlanner(options, defs)
	if _, err := planner.Plan(t.Context(), pod("ns", "gone"), "eth0", nil); !errors.Is(err, cluster.ErrNotFound) || !strings.Contains(err.Error(), "ns/gone") {
		t.Errorf("a definition that does not exist: %v", err)
	}
	if _, err := planner.Plan(t.Context(), pod("ns", "none"), "eth0", nil); err == nil || !strings.Contains(err.Error(), "ns/none") || !strings.Contains(err.Error(), options.ConfDir) {
		t.Errorf("a definition without configuration anywhere: %v", err)
	}
	defs["ns/away"] = "away"
	var own *types.Error
	if _, err := planner.Plan(t.Context(), pod("ns", "away"), "eth0", nil); !errors.As(err, &own) || own.Code != types.ErrTryAgainLater {
		t.Errorf("a cluster that does not answer: %v", err)
	}
}

func TestDefaultIsFound(t *testing.T) {
	defs := definitions{"kube-system/def": plugin("net-def"), "own/def": plugin("net-own"), "kube-system/both": plugin("of-def")}
	dir := files(t, map[string]string{
		"05-broken.conf":    `{`,
		"10-a.conf":         plugin("a"),
		"15-b.conf":         plugin("b"),
		"20-b.conflist":     `{"name":"b","cniVersion":"1.0.0","plugins":[{"type":"t"},{"type":"u"}]}`,
		"30-c.json":         plugin("c"),
		"40-both.conf":      plugin("both"),
		"50-d.conflist":     `{"name":"chain","cniVersion":"1.1.0","plugins":[{"type":"t"}]}`,
		"60-e.conflist":     `{"name":"inline","cniVersion":"1.1.0","loadOnlyInlinedPlugins":true,"plugins":[{"type":"t"}]}`,
		"70-upper.conf":     plugin("Upper_Case"),
		"chain/1.conf":      `{"type":"u","x":12345678901234567890}`,
		"inline/1.conf":     `{"type":"u"}`,
		"README":            `{`,
		"sub/00.conflist":   `{"name":"multus","plugins":[{"type":"thicket-shim"}]}`,
		"sub/10-z.conf":     plugin("z"),
		"sub/20-a.conflist": `{"name":"a2","plugins":[{"type":"t"}]}`,
	})
	tests := map[string]struct{ network, namespace, want, config string }{
		"definition":             {"def", "", "net-def:kube-system/def@eth0*", ""},
		"definition elsewhere":   {"def", "own", "net-own:own/def@eth0*", ""},
		"definition comes first": {"both", "", "of-def:kube-system/both@eth0*", ""},
		"conf":                   {"a", "", "a:a@eth0*", `{"name":"a","plugins":[{"name":"a","type":"t"}]}`},
		"conflist":               {"b", "", "b:b@eth0*", `{"name":"b","cniVersion":"1.0.0","plugins":[{"type":"t"},{"type":"u"}]}`},
		"json":                   {"c", "", "c:c@eth0*", ""},
		"no DNS name":            {"Upper_Case", "", "Upper_Case:Upper_Case@eth0*", ""},
		"chained files":          {"chain", "", "chain:chain@eth0*", `{"cniVersion":"1.1.0","name":"chain","plugins":[{"type":"t"},{"type":"u","x":12345678901234567890}]}`},
		"inlined only":           {"inline", "", "inline:inline@eth0*", `{"name":"inline","cniVersion":"1.1.0","loadOnlyInlinedPlugins":true,"plugins":[{"type":"t"}]}`},
		"file":                   {dir + "/20-b.conflist", "", "b:b@eth0*", ""},
		"directory":              {dir + "/sub", "", "z:z@eth0*", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := NewPlanner(Options{ConfDir: dir, ClusterNetwork: tt.network, MultusNamespace: tt.namespace}, defs)
			d, err := p.Default(t.Context(), "eth0", nil)
			if err != nil || shape([]Delegate{*d}) != tt.want {
				t.Fatalf("got %+v, %v; want %s", d, err, tt.want)
			}
			if tt.config != "" && string(d.Config) != tt.config {
				t.Errorf("got  %s\nwant %s", d.Config, tt.config)
			}
		})
	}
}

func TestDefaultIsMissing(t *testing.T) {
	dir := files(t, map[string]string{"05-broken.conf": `{`, "empty/README": ""})
	for _, network := range []string{"", "n", dir + "/empty", dir + "/missing", dir + "/missing.conflist"} {
		_, err := NewPlanner(Options{ConfDir: dir, ClusterNetwork: network}, definitions{}).Default(t.Context(), "eth0", nil)
		if !errors.Is(err, ErrNoDefaultNetwork) || !strings.Contains(err.Error(), network) {
			t.Errorf("%q: got %v", network, err)
		}
	}
	_, err := NewPlanner(Options{ConfDir: dir + "/missing", ClusterNetwork: "n"}, definitions{}).Default(t.Context(), "eth0", nil)
	if !errors.Is(err, ErrNoDefaultNetwork) {
		t.Errorf("no ConfDir: got %v", err)
	}
	for _, network := range []string{dir, dir + "/05-broken.conf", "rel/ative", "bad"} {
		_, err := NewPlanner(Options{ConfDir: dir, ClusterNetwork: network}, definitions{"kube-system/bad": "{"}).Default(t.Context(), "eth0", nil)
		expectInvalid(t, err, "clusterNetwork", filepath.Base(network))
		if errors.Is(err, ErrNoDefaultNetwork) {
			t.Errorf("%q is there and wrong, not missing: %v", network, err)
		}
	}
}
