// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"regexp"
	"strings"
	"unicode"
)

// environment is the execution's variables (CNI §2).
type environment struct {
	command, container, netns, ifname, args, path string
}

func readEnvironment(get func(string) string) environment {
	return environment{
		command: get("CNI_COMMAND"), container: get("CNI_CONTAINERID"), netns: get("CNI_NETNS"),
		ifname: get("CNI_IFNAME"), args: get("CNI_ARGS"), path: get("CNI_PATH"),
	}
}

// identifier is the form of a container's id and of a network's name.
var identifier = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`)

// validateEnvironment refuses variables that are missing or unusable, and names
// all of them.
func (c *call) validateEnvironment() error {
	e := &c.env
	if c.has(longInterfaceName) && len(e.ifname) > 15 {
		e.ifname = e.ifname[:15]
	}
	if e.command == "" {
		return fail(codeEnvironment, "CNI_COMMAND is missing")
	}
	if e.command == "GC" || e.command == "STATUS" {
		return nil
	}
	if c.has(checksUnnamed) && e.command == "CHECK" {
		return nil
	}
	var wrong []string
	if !identifier.MatchString(e.container) && !c.has(idAsPath) {
		wrong = append(wrong, "CNI_CONTAINERID")
	}
	if !interfaceName(e.ifname) {
		wrong = append(wrong, "CNI_IFNAME")
	}
	if e.netns == "" && e.command != "DEL" {
		wrong = append(wrong, "CNI_NETNS")
	}
	if len(wrong) > 0 {
		return fail(codeEnvironment, "missing or not valid: %s", strings.Join(wrong, ", "))
	}
	return nil
}

// interfaceName reports whether the kernel can have an interface of that name.
// It would take a % for a pattern to complete.
func interfaceName(name string) bool {
	return name != "" && len(name) <= 15 && name != "." && name != ".." &&
		!strings.ContainsAny(name, "/:%\x00") && strings.IndexFunc(name, unicode.IsSpace) < 0
}

// arg returns the value of a key of CNI_ARGS, "" when it is not there.
func (e *environment) arg(key string) string {
	for pair := range strings.SplitSeq(e.args, ";") {
		if k, value, ok := strings.Cut(pair, "="); ok && k == key {
			return value
		}
	}
	return ""
}
