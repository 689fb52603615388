// SPDX-License-Identifier: Apache-2.0

// Package buildinfo tells a program's version. The Makefile sets it with
// -ldflags; go install sets no flag, but the Go toolchain records the module's
// version or the commit in the binary.
package buildinfo

import "runtime/debug"

// unknown is the version of a binary that neither a flag nor the toolchain
// gave one.
const unknown = "devel"

// Version returns what -ldflags set, or else what the toolchain recorded: the
// version of the program's module, or the commit that it was built from.
func Version(set string) string {
	if set != "" {
		return set
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	return recorded(info)
}

// recorded returns the version in a binary's build information.
func recorded(info *debug.BuildInfo) string {
	// The toolchain's word for a module that was built from a directory.
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var commit, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if commit == "" {
		return unknown
	}
	return commit + dirty
}
