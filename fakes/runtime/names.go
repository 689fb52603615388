// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// identifier is what the specification allows as a container's id and a network's
// name.
var identifier = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// validate checks the container's id and the interface's name before anything is
// executed or written (CNI §2, §3).
func (c *call) validate() error {
	if !identifier.MatchString(c.id) && !c.has(noValidation) {
		return fmt.Errorf("the container id %q is not valid", c.id)
	}
	if c.has(noNameValidation) {
		return nil
	}
	return validInterface(c.ifName)
}

func validInterface(name string) error {
	switch {
	case name == "" || len(name) > 15 || name == "." || name == "..":
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) }):
	default:
		return nil
	}
	return fmt.Errorf("the interface name %q is not valid", name)
}
