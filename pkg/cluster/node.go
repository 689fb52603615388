// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// fieldError is a problem at one place of a document.
type fieldError struct {
	at   *yaml.Node
	what string
}

func (e *fieldError) Error() string { return e.what }

func faultAt(n *yaml.Node, format string, args ...any) error {
	return &fieldError{at: n, what: fmt.Sprintf(format, args...)}
}

// resolve follows an alias. An alias never stands for another alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// field returns the value of a key of a mapping, nil when it is missing or
// null. A nil or null mapping has no keys.
func field(n *yaml.Node, name string) (*yaml.Node, error) {
	if n == nil {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, faultAt(n, "want a mapping with the key %s, got %s", name, describe(n))
	}
	var found *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := resolve(n.Content[i])
		switch {
		case k.Tag == "!!merge":
			return nil, faultAt(k, "merge keys (<<) are not supported; write the fields out")
		case k.Value != name:
		case found != nil:
			return nil, faultAt(k, "%s is given twice; remove one of them", name)
		default:
			found = resolve(n.Content[i+1])
		}
	}
	if found == nil || found.Tag == "!!null" {
		return nil, nil
	}
	return found, nil
}

// text returns the string under a key, "" when there is none.
func text(n *yaml.Node, name string) (string, error) {
	v, err := field(n, name)
	if err != nil || v == nil {
		return "", err
	}
	if v.Tag != "!!str" {
		return "", faultAt(v, "%s: want a string, got %s; %s", name, describe(v), remedy(v))
	}
	return v.Value, nil
}

// texts returns the mapping of strings under a key, nil when there is none.
func texts(n *yaml.Node, name string) (map[string]string, error) {
	v, err := field(n, name)
	if err != nil || v == nil {
		return nil, err
	}
	if v.Kind != yaml.MappingNode {
		return nil, faultAt(v, "%s: want a mapping of strings, got %s", name, describe(v))
	}
	all := make(map[string]string, len(v.Content)/2)
	for i := 0; i+1 < len(v.Content); i += 2 {
		k, s := resolve(v.Content[i]), resolve(v.Content[i+1])
		if k.Tag == "!!merge" {
			return nil, faultAt(k, "merge keys (<<) are not supported; write the fields out")
		}
		if k.Tag != "!!str" {
			return nil, faultAt(k, "%s: the key has to be a string, got %s; %s", name, describe(k), remedy(k))
		}
		if s.Tag != "!!str" {
			return nil, faultAt(s, "%s %s: want a string, got %s; %s", name, k.Value, describe(s), remedy(s))
		}
		if _, twice := all[k.Value]; twice {
			return nil, faultAt(k, "%s: %s is given twice; remove one of them", name, k.Value)
		}
		all[k.Value] = s.Value
	}
	return all, nil
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!str":
		return "a string"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the truth value " + n.Value
	}
	return "a value of type " + n.Tag
}

func remedy(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return "put it in quotes"
	}
	return "write it as text, for JSON as a block after '|'"
}
