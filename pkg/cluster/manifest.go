// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// The kinds that are taken from manifests, and their API versions.
const (
	kindPod        = "Pod"
	kindDefinition = "NetworkAttachmentDefinition"
	kindList       = "List"

	versionCore       = "v1"
	versionDefinition = "k8s.cni.cncf.io/v1"
)

// object is a pod or a definition and the place, FILE:LINE, that defines it.
type object struct {
	kind       string
	key        key
	place      string
	pod        *Pod
	definition *Definition
	// lines say where its parts are, for ReadObjects.
	lines map[string]string
}

// parse reads the documents of a file. Each problem is a sentence that begins
// with FILE:LINE and stands for one document, or one item of a List, that is
// left out; the others are not harmed.
func parse(path string, data []byte, log *slog.Logger) (objects []object, problems []string) {
	return parseAll(path, data, log, false)
}

// parseAll is parse; with templates it takes those of workloads for pods, and says
// where the parts of the objects are.
func parseAll(path string, data []byte, log *slog.Logger, templates bool) (objects []object, problems []string) {
	for _, part := range split(data) {
		r := &reader{path: path, offset: part.line - 1, log: log, templates: templates}
		dec := yaml.NewDecoder(bytes.NewReader(part.text))
		for {
			var doc yaml.Node
			err := dec.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				r.problems = append(r.problems, r.syntax(part, err))
				break
			}
			r.document(doc.Content[0], false)
		}
		objects, problems = append(objects, r.objects...), append(problems, r.problems...)
	}
	return objects, problems
}

// part is one document of a file; line is its first line, counted from 1.
type part struct {
	line int
	text []byte
}

// split cuts a file at its document markers, so that a syntax error in one
// document does not take the others with it. No scalar can hold a marker at
// the beginning of a line (YAML 1.2, section 9.1.2).
func split(data []byte) []part {
	var parts []part
	current := part{line: 1}
	line, content := 1, false
	for text := range bytes.Lines(data) {
		if isMarker(text) {
			if content {
				parts = append(parts, current)
				current = part{line: line}
			}
			content = true
		} else if t := bytes.TrimSpace(text); len(t) > 0 && t[0] != '#' && t[0] != '%' {
			// Comments and directives before a marker belong to what follows it.
			content = true
		}
		current.text = append(current.text, text...)
		line++
	}
	return append(parts, current)
}

func isMarker(line []byte) bool {
	return bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || bytes.ContainsAny(line[3:4], " \t\r\n"))
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax words a syntax error with the line in the file. The parser does not
// always know the line, and names the one above now and then; when it knows
// none, the first line of the document is named.
func (r *reader) syntax(p part, err error) string {
	line, text := p.line, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = r.offset + n
		}
	}
	return fmt.Sprintf("%s:%d: not valid YAML near this line: %s; this document is left out until it is corrected", r.path, line, text)
}

// reader collects the objects of one document.
type reader struct {
	path   string
	offset int // lines before the document
	log    *slog.Logger
	// templates says that this is for ReadObjects.
	templates bool
	objects   []object
	problems  []string
}

func (r *reader) place(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, r.offset+n.Line) }

// document reads an object, or a List of objects.
func (r *reader) document(n *yaml.Node, inList bool) {
	if n = resolve(n); n.Tag == "!!null" && !inList {
		return // an empty document
	}
	if err := r.object(n, inList); err != nil {
		at := n
		var wrong *fieldError
		if errors.As(err, &wrong) {
			at = wrong.at
		}
		r.problems = append(r.problems, fmt.Sprintf("%s: %v", r.place(at), err))
	}
}

func (r *reader) object(n *yaml.Node, inList bool) error {
	if n.Kind != yaml.MappingNode {
		return faultAt(n, "a manifest has to be a mapping with apiVersion, kind and metadata, this is %s", describe(n))
	}
	kind, err := text(n, "kind")
	if err != nil {
		return err
	}
	want := versionCore
	switch kind {
	case kindPod, kindList:
	case kindDefinition:
		want = versionDefinition
	case "":
		return faultAt(n, "kind is missing; this manifest needs apiVersion and kind")
	default:
		if r.templates && templates[kind] != nil {
			o, err := r.template(n, kind)
			if o != nil {
				r.objects = append(r.objects, *o)
			}
			return err
		}
		r.log.Debug("manifest of another kind is passed over", "place", r.place(n), "kind", kind)
		return nil
	}
	version, err := text(n, "apiVersion")
	if err != nil {
		return err
	}
	if version != want {
		return faultAt(n, "%s has apiVersion %q; write apiVersion: %s", kind, version, want)
	}
	if kind == kindList {
		return r.list(n, inList)
	}
	o, err := read(n, kind)
	if err != nil {
		return err
	}
	o.place = r.place(n)
	if r.templates {
		o.lines = r.linesOfObject(n)
	}
	r.objects = append(r.objects, *o)
	return nil
}

// list reads the items of a List. Lists in Lists are refused: nobody writes
// them, and aliases could make them endless.
func (r *reader) list(n *yaml.Node, inList bool) error {
	if inList {
		return faultAt(n, "a List inside a List; put its items into the outer one")
	}
	items, err := field(n, "items")
	if err != nil || items == nil {
		return err
	}
	if items.Kind != yaml.SequenceNode {
		return faultAt(items, "items: want a list, got %s", describe(items))
	}
	for _, item := range items.Content {
		r.document(item, true)
	}
	return nil
}

// read reads a pod or a network definition.
func read(n *yaml.Node, kind string) (*object, error) {
	meta, err := field(n, "metadata")
	if err != nil {
		return nil, err
	}
	if meta == nil {
		return nil, faultAt(n, "%s without metadata; it needs metadata.name", kind)
	}
	o := &object{kind: kind}
	if o.key, err = identity(meta, kind); err != nil {
		return nil, err
	}
	annotations, err := texts(meta, "annotations")
	if err != nil {
		return nil, err
	}
	spec, err := field(n, "spec")
	if err != nil {
		return nil, err
	}
	if kind == kindDefinition {
		config, err := text(spec, "config")
		o.definition = &Definition{Namespace: o.key.namespace, Name: o.key.name, Config: config, Annotations: annotations}
		return o, err
	}
	uid, err := text(meta, "uid")
	if err != nil {
		return nil, err
	}
	node, err := text(spec, "nodeName")
	o.pod = &Pod{Namespace: o.key.namespace, Name: o.key.name, UID: uid, NodeName: node, Annotations: annotations}
	return o, err
}

func identity(meta *yaml.Node, kind string) (key, error) {
	name, err := text(meta, "name")
	if err != nil {
		return key{}, err
	}
	namespace, err := text(meta, "namespace")
	if err != nil {
		return key{}, err
	}
	if namespace == "" {
		namespace = "default"
	}
	switch {
	case name == "":
		return key{}, faultAt(meta, "%s without a name; set metadata.name", kind)
	case !ValidName(name):
		return key{}, faultAt(meta, "metadata.name %q is not a DNS-1123 name; use lower case letters, digits, '-' and '.'", name)
	case !ValidNamespace(namespace):
		return key{}, faultAt(meta, "metadata.namespace %q is not a DNS-1123 label; use lower case letters, digits and '-'", namespace)
	}
	return key{namespace, name}, nil
}
