// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"log/slog"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Object is a pod or a network definition of a manifest.
type Object struct {
	// Place is FILE:LINE.
	Place string
	// Kind is that of the manifest, such as Deployment for a pod's template.
	Kind       string
	Pod        *Pod
	Definition *Definition
	// lines are those of the annotations' keys and of "spec.config".
	lines map[string]string
}

// At returns the FILE:LINE of an annotation, or of "spec.config"; the object's
// own where it has no such key.
func (o *Object) At(key string) string {
	if place := o.lines[key]; place != "" {
		return place
	}
	return o.Place
}

// configKey is what At calls a definition's configuration.
const configKey = "spec.config"

// ReadObjects reads a file of manifests as a Directory does, with the templates of
// pods in workloads beside the pods, for somebody who wants to know what is wrong
// with them. Each problem is a sentence that begins with FILE:LINE.
func ReadObjects(path string, data []byte) (objects []Object, problems []string) {
	found, problems := parseAll(path, data, slog.New(slog.DiscardHandler), true)
	for _, o := range found {
		objects = append(objects, Object{Place: o.place, Kind: o.kind, Pod: o.pod, Definition: o.definition, lines: o.lines})
	}
	return objects, problems
}

// templates are the kinds of workloads whose pods have a template, and where it is.
var templates = map[string][]string{
	"Deployment": {"spec", "template"}, "DaemonSet": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "ReplicaSet": {"spec", "template"},
	"ReplicationController": {"spec", "template"}, "Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
}

// template reads the pod that a workload makes, named after it. Nil is none.
func (r *reader) template(n *yaml.Node, kind string) (*object, error) {
	meta, err := field(n, "metadata")
	if err != nil || meta == nil {
		return nil, err
	}
	o := &object{kind: kind, place: r.place(n)}
	if o.key, err = identity(meta, kind); err != nil {
		return nil, err
	}
	at := n
	for _, name := range slices.Concat(templates[kind], []string{"metadata"}) {
		if at, err = field(at, name); err != nil || at == nil {
			return nil, err
		}
	}
	annotations, err := texts(at, "annotations")
	if err != nil {
		return nil, err
	}
	o.pod = &Pod{Namespace: o.key.namespace, Name: o.key.name, Annotations: annotations}
	o.lines = r.linesOf(at)
	return o, nil
}

// linesOf returns where the annotations of a metadata are.
func (r *reader) linesOf(meta *yaml.Node) map[string]string {
	lines := map[string]string{}
	annotations, err := field(meta, "annotations")
	if err != nil || annotations == nil || annotations.Kind != yaml.MappingNode {
		return lines
	}
	for i := 0; i+1 < len(annotations.Content); i += 2 {
		lines[resolve(annotations.Content[i]).Value] = r.place(annotations.Content[i])
	}
	return lines
}

// linesOfObject is linesOf a pod or a definition, with where its configuration is.
func (r *reader) linesOfObject(n *yaml.Node) map[string]string {
	meta, err := field(n, "metadata")
	if err != nil || meta == nil {
		return nil
	}
	lines := r.linesOf(meta)
	if spec, err := field(n, "spec"); err == nil && spec != nil {
		if config, err := field(spec, "config"); err == nil && config != nil {
			lines[configKey] = fmt.Sprintf("%s:%d", r.path, r.offset+config.Line)
		}
	}
	return lines
}
