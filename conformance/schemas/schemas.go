// SPDX-License-Identifier: Apache-2.0

// Package schemas has the JSON Schemas of the files that people write and read:
// target files, waivers files, and reports. They are generated from the Go types,
// whose comments are the descriptions. An editor completes and checks a file that
// names its schema in a comment:
//
//	# yaml-language-server: $schema=https://raw.githubusercontent.com/thicket-cni/thicket/main/conformance/schemas/target.json
//
// Schemas of files that people write have every key; those of reports let newer
// ones have more.
package schemas

import "embed"

// Files are target.json (kind Target), plugin.json (kind Plugin), runtime.json
// (kind Runtime), waivers.json, settings.json (of the file that --config-file
// names), report.json (of the file report.json) and conformancereport.json (of
// report.yaml).
//
//go:embed *.json
var Files embed.FS
