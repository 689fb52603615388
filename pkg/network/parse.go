// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// ParseSelections reads the value of k8s.v1.cni.cncf.io/networks in both its
// forms: a comma-separated list of [namespace/]name[@interface], or a JSON list
// (NPWG standard, section 4.1; NET-01). namespace is for selections which
// give none. A blank annotation selects nothing. One malformed element makes
// the whole annotation malformed (NET-25). Errors are *types.Error with code 7
// and quote the part at fault (NET-07); unknown JSON keys are ignored.
func ParseSelections(annotation, namespace string) ([]Selection, error) {
	selections, err := recallSelections(annotation, namespace)
	if err != nil {
		return nil, err
	}
	for i := range selections {
		if err := selections[i].checkRequests(); err != nil {
			return nil, err
		}
	}
	return selections, nil
}

// recallSelections is ParseSelections without judging what is asked of the
// networks: what another daemon has accepted must still be found to be deleted.
func recallSelections(annotation, namespace string) ([]Selection, error) {
	annotation = strings.TrimSpace(annotation)
	if annotation == "" {
		return nil, nil
	}
	parse := parseCommas
	if strings.ContainsAny(annotation, `[{"`) {
		parse = parseJSON
	}
	selections, err := parse(annotation)
	if err != nil {
		return nil, err
	}
	for i := range selections {
		s := &selections[i]
		if s.Namespace == "" {
			s.Namespace = namespace
		}
		if err := s.checkNames(); err != nil {
			return nil, err
		}
	}
	return selections, nil
}

// parseCommas reads the short form. Spaces around the parts are tolerated.
func parseCommas(annotation string) ([]Selection, error) {
	var all []Selection
	for i, item := range strings.Split(annotation, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			return nil, invalid("network selection %q: element %d is empty; remove the comma or name a network", quote(annotation), i+1)
		}
		var s Selection
		rest := item
		if namespace, name, ok := strings.Cut(rest, "/"); ok {
			if s.Namespace, rest = strings.TrimSpace(namespace), name; s.Namespace == "" {
				return nil, invalid("network selection %q: the namespace before '/' is empty", quote(item))
			}
		}
		name, ifName, asks := strings.Cut(rest, "@")
		s.Name, s.InterfaceRequest = strings.TrimSpace(name), strings.TrimSpace(ifName)
		switch {
		case asks && s.InterfaceRequest == "":
			return nil, invalid("network selection %q: the interface name after '@' is empty", quote(item))
		case strings.Contains(ifName, "@"):
			return nil, invalid("network selection %q: there is more than one '@'; want [namespace/]name[@interface]", quote(item))
		}
		all = append(all, s)
	}
	return all, nil
}

// parseJSON reads the JSON form, one element at a time so that an error can
// quote the one at fault.
func parseJSON(annotation string) ([]Selection, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(annotation), &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, invalid("network selection is not valid JSON: %v, near: %s", err, shown(around(annotation, syntax.Offset)))
		}
		return nil, invalid("network selection %s: want a JSON list; put [ and ] around it", shown(annotation))
	}
	var all []Selection
	for i, one := range raw {
		s, err := parseElement(one)
		if err != nil {
			return nil, invalid("network selection, element %d, %s: %v", i+1, shown(string(one)), err)
		}
		all = append(all, *s)
	}
	return all, nil
}

func parseElement(raw json.RawMessage) (*Selection, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New(`want a JSON object such as {"name": "a"}`)
	}
	var e element
	if err := json.Unmarshal(raw, &e); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			// The value of a number is the number, as long as somebody wrote it.
			return nil, fmt.Errorf("%s: a JSON %s is of the wrong type or out of range", shown(wrong.Field), shown(wrong.Value))
		}
		return nil, err
	}
	s := e.selection()
	if len(e.CNIArgs) > 0 {
		// Numbers stay as they are written: an argument may exceed a float64.
		dec := json.NewDecoder(bytes.NewReader(e.CNIArgs))
		dec.UseNumber()
		if err := dec.Decode(&s.CNIArgs); err != nil {
			return nil, errors.New("cni-args: want a JSON object")
		}
	}
	return s, e.gateways(s)
}

// gateways reads default-route. It is part of the form, since an address that
// cannot be read cannot be kept.
func (e *element) gateways(s *Selection) error {
	if e.DefaultRoute != nil {
		s.GatewayRequest = []net.IP{}
	}
	for _, ip := range e.DefaultRoute {
		gateway := net.ParseIP(ip)
		if gateway == nil {
			return fmt.Errorf("default-route %q is not an IP address", quote(ip))
		}
		s.GatewayRequest = append(s.GatewayRequest, gateway)
	}
	return nil
}

// checkNames applies the rules for what a selection names.
func (s *Selection) checkNames() error {
	switch {
	case s.Name == "":
		return invalid("network selection %q: the network's name is missing", quote(s.definition()))
	case !cluster.ValidName(s.Name):
		return invalid("network selection: name %q is not a DNS-1123 name; use lower case letters, digits, '-' and '.'", quote(s.Name))
	case !cluster.ValidNamespace(s.Namespace):
		return invalid("network selection: namespace %q is not a DNS-1123 label; use lower case letters, digits and '-'", quote(s.Namespace))
	}
	return nil
}

// quoteLimit is how much of a user's text an error repeats, in bytes.
const quoteLimit = 200

func quote(s string) string {
	if len(s) > quoteLimit {
		return strings.ToValidUTF8(s[:quoteLimit], "") + "…"
	}
	return s
}

// shown is a user's text as an error repeats it that does not quote it: cut, and
// without what would steer a terminal or begin another line.
func shown(s string) string { return brief.PlainLine(quote(s)) }

// around is the text on both sides of an offset.
func around(s string, offset int64) string {
	at := min(int(offset), len(s))
	return strings.ToValidUTF8(s[max(0, at-30):min(len(s), at+10)], "")
}
