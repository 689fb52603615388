// SPDX-License-Identifier: Apache-2.0

package quick

// env is what a usual command has in its environment.
type env struct {
	command, netns string
	// passed are the variables that the daemon gets, NAME=value, by name.
	passed []string
}

const (
	// longestInterface is IFNAMSIZ without the final NUL.
	longestInterface = 15
	// longestVariable bounds a variable with its name, in bytes: package api leaves out a trace context that is longer.
	longestVariable = 16 << 10
)

// usualEnv takes the variables that skel asks for. It is nil when one of them is not certainly one that skel accepts, or
// cannot be written as it is between the quotes of a JSON string.
func usualEnv(environ []string) *env {
	e := &env{}
	var container, ifName, path string
	for _, variable := range environ {
		name, value := cut(variable, '=')
		switch name {
		case "CNI_COMMAND":
			e.command = value
		case "CNI_CONTAINERID":
			container = value
		case "CNI_IFNAME":
			ifName = value
		case "CNI_NETNS":
			e.netns = value
		case "CNI_PATH":
			path = value
		case "CNI_NETNS_OVERRIDE", "CNI_DELEGATE_OF":
			if value != "" {
				return nil
			}
		case "TRACEPARENT", "TRACESTATE", "BAGGAGE":
		default:
			if len(name) < 4 || name[:4] != "CNI_" {
				continue
			}
		}
		if len(name) == len(variable) || !isText(variable) || len(variable) > longestVariable {
			return nil
		}
		e.pass(variable)
	}
	if e.command != "ADD" && e.command != "DEL" && e.command != "CHECK" || !isPlain(container) || !isPlain(ifName) ||
		len(ifName) > longestInterface || path == "" || e.netns == "" && e.command != "DEL" {
		return nil
	}
	return e
}

// pass inserts a variable behind those with smaller names.
func (e *env) pass(variable string) {
	name, _ := cut(variable, '=')
	i := len(e.passed)
	e.passed = append(e.passed, variable)
	for ; i > 0; i-- {
		if before, _ := cut(e.passed[i-1], '='); before <= name {
			break
		}
		e.passed[i] = e.passed[i-1]
	}
	e.passed[i] = variable
}

// isPlain holds of letters, digits, '_', '.' and '-', of which the first is a letter or a digit: what CNI wants of the
// names of containers and networks (CNI spec 1.1.0, section 2, "Parameters").
func isPlain(name string) bool {
	for i := range len(name) {
		c := name[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return name != ""
}

// isText holds of printable ASCII that JSON, as encoding/json writes it, does not escape.
func isText(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// cut splits a text at the first separator.
func cut(s string, separator byte) (before, after string) {
	for i := range len(s) {
		if s[i] == separator {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
