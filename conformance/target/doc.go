// SPDX-License-Identifier: Apache-2.0

// Package target has what every kind of target file shares: templates, files
// that are placed for a case alone, and processes.
package target

import "strings"

// APIVersion heads every target file, whatever its kind.
const APIVersion = "conformance.thicket-cni.io/v1alpha1"

// Schemas is where the JSON Schemas of conformance/schemas are published.
const Schemas = "https://raw.githubusercontent.com/thicket-cni/thicket/main/conformance/schemas/"

// SchemaComment is the first line of a target file of a kind: by it an editor
// completes and checks the file.
func SchemaComment(kind string) string {
	return "# yaml-language-server: $schema=" + Schemas + strings.ToLower(kind) + ".json\n"
}
