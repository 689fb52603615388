// SPDX-License-Identifier: Apache-2.0

// Package lint judges manifests and CNI configurations as the daemon would, before
// a node meets them: network definitions, pods and the templates of pods, and
// configuration files. It reads files and nothing else.
package lint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/foreign"
	"github.com/thicket-cni/thicket/pkg/network"
)

// Most is the largest file that is read, in bytes: what the daemon reads of one.
const Most = 4 << 20

// Options say by which rules to judge.
type Options struct {
	// Network are the rules of the daemon. Where its networks are named does not
	// matter: those of the node are not looked at.
	Network network.Options
	// Installed returns an error for a type of plugin that is not installed, or
	// cannot be a delegate. When it is nil, nobody looks.
	Installed func(plugin string) error
	// Complete says that the files have all the definitions that there are: one
	// that is not among them is a fault and not a warning.
	Complete bool
}

// Finding is something that is wrong.
type Finding struct {
	// Place is FILE:LINE.
	Place string
	// Text says what is wrong, and the way out.
	Text string
	// Warning says that it may be right where more is known.
	Warning bool
}

// String is the finding as a line.
func (f Finding) String() string {
	if f.Warning {
		return f.Place + ": warning: " + f.Text
	}
	return f.Place + ": " + f.Text
}

// Linter collects files, to judge them together.
type Linter struct {
	options  Options
	objects  []cluster.Object
	findings []Finding
}

// New returns a Linter without files.
func New(o Options) *Linter { return &Linter{options: o} }

// File reads a file: a CNI configuration by its extension (.conf, .conflist) or
// its content, else manifests. What is wrong with it is a finding; the error is
// that it cannot be read.
func (l *Linter) File(path string) error {
	data, err := foreign.ReadFile(path, Most, foreign.FollowLinks)
	if err != nil {
		return err
	}
	switch extension := filepath.Ext(path); {
	case extension == ".conf", extension == ".conflist", extension == ".json" && !isManifest(data):
		l.config(path, data)
	default:
		l.Manifests(path, data)
	}
	return nil
}

// isManifest reports whether JSON is an object of Kubernetes.
func isManifest(data []byte) bool {
	var of struct {
		APIVersion, Kind string
	}
	return json.Unmarshal(data, &of) == nil && of.APIVersion != "" && of.Kind != ""
}

// Manifests takes the manifests of a text that findings call by a name.
func (l *Linter) Manifests(name string, data []byte) {
	objects, problems := cluster.ReadObjects(name, data)
	l.objects = append(l.objects, objects...)
	for _, p := range problems {
		place, text := split(p)
		l.find(place, text)
	}
}

// split takes FILE:LINE from the sentence that it begins.
func split(problem string) (place, text string) {
	place, text, _ = strings.Cut(problem, ": ")
	return place, text
}

func (l *Linter) find(place, text string) {
	l.findings = append(l.findings, Finding{Place: place, Text: text})
}

// config judges a configuration file of the node.
func (l *Linter) config(path string, data []byte) {
	place := fmt.Sprintf("%s:%d", path, lineOf(data))
	list, err := network.ReadFile(path)
	if err != nil {
		l.find(place, strings.TrimPrefix(err.Error(), path+": "))
		return
	}
	if network.IsShim(list) {
		return // it sends the runtime to the daemon, and is no delegate
	}
	if _, err := network.NewDelegate(list, "eth0", nil); err != nil {
		l.find(place, message(err))
		return
	}
	l.plugins(place, list)
}

// lineOf is the line at which JSON breaks, the first where it does not.
func lineOf(data []byte) int {
	var v any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, &v); errors.As(err, &syntax) {
		return 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
	}
	return 1
}

// plugins judges what a configuration list names: its version and its plugins.
func (l *Linter) plugins(place string, config []byte) {
	var list struct {
		CNIVersion string `json:"cniVersion"`
		Plugins    []struct {
			Type string `json:"type"`
			IPAM struct {
				Type string `json:"type"`
			} `json:"ipam"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal(config, &list); err != nil {
		l.find(place, err.Error())
		return
	}
	if !network.KnownVersion(list.CNIVersion) {
		l.find(place, fmt.Sprintf("cniVersion %q is not a version of CNI; there are %s", list.CNIVersion, strings.Join(version.All.SupportedVersions(), ", ")))
	}
	if l.options.Installed == nil {
		return
	}
	for _, p := range list.Plugins {
		for _, plugin := range []string{p.Type, p.IPAM.Type} {
			if plugin == "" {
				continue
			}
			if err := l.options.Installed(plugin); err != nil {
				l.find(place, fmt.Sprintf("plugin %q: %s", plugin, message(err)))
			}
		}
	}
}

// message is an error's text, of a CNI error without its details.
func message(err error) string {
	var own *types.Error
	if errors.As(err, &own) {
		return own.Msg
	}
	return err.Error()
}

// Findings judges what was read, and says what is wrong: first of what cannot be
// used at all, then of the definitions and of the pods, each in their order.
func (l *Linter) Findings(ctx context.Context) []Finding {
	known := newKnown(l.objects)
	l.findings = append(l.findings, known.twice...)
	planner := network.NewPlanner(l.options.Network, known)
	said := map[string]string{} // what is wrong with a definition, by what the planner calls it
	for i := range l.objects {
		if o := &l.objects[i]; o.Definition != nil {
			said["network definition "+o.Definition.Namespace+"/"+o.Definition.Name] = l.definition(ctx, planner, o)
		}
	}
	for i := range l.objects {
		if o := &l.objects[i]; o.Pod != nil {
			l.pod(ctx, planner, o, said)
		}
	}
	return l.findings
}

// definition judges a network definition by itself, and returns why it cannot be
// used.
func (l *Linter) definition(ctx context.Context, planner *network.Planner, o *cluster.Object) string {
	d := o.Definition
	if strings.TrimSpace(d.Config) == "" {
		return "" // it stands for a file of the node (NET-05)
	}
	place := o.At("spec.config")
	made, err := planner.Plug(ctx, []byte(d.Config), "net1", &network.Selection{Namespace: d.Namespace, Name: d.Name}, 0)
	if err != nil {
		l.find(place, message(err))
		return message(err)
	}
	l.plugins(place, made.Config)
	return ""
}

// pod judges what a pod asks for; what is wrong with a definition is said of it.
func (l *Linter) pod(ctx context.Context, planner *network.Planner, o *cluster.Object, said map[string]string) {
	if o.Pod.Annotations[network.NetworksAnnotation]+o.Pod.Annotations[network.DefaultNetworkAnnotation] == "" {
		return
	}
	for _, e := range planner.Judge(ctx, o.Pod) {
		switch {
		case e.Err == nil, said[e.Source] != "" && said[e.Source] == message(e.Err):
		case errors.Is(e.Err, cluster.ErrNotFound) && !l.options.Complete:
			l.findings = append(l.findings, Finding{Place: o.At(e.Annotation), Warning: true, Text: e.Err.Error()})
		case e.Source == "" && e.Delegate == nil && strings.Contains(e.Err.Error(), "has no spec.config"):
			// Whether the node has the file is not known here.
		default:
			l.find(o.At(e.Annotation), message(e.Err))
		}
	}
}
