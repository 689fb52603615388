// SPDX-License-Identifier: Apache-2.0

package security

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "SEC-01", Level: spec.Must, Source: "OPS", Body: securityEnvironment,
		Title: "The client's environment does not reach delegates; only CNI_* that the daemon decided",
	},
	{
		ID: "SEC-02", Level: spec.Must, Source: "OPS", Body: securityPluginType,
		Title: "A plugin type with a path separator, '..', or outside the plugin directories is never executed",
	},
	{
		ID: "SEC-03", Level: spec.Must, Source: "OPS", Body: securityRecords,
		Title: "Records and caches are root-only (0600 in 0700) and are written through no symlink",
	},
	{
		ID: "SEC-04", Level: spec.Must, Source: "OPS", Body: securitySecrets, Timeout: 3 * time.Minute,
		Title: "Errors and logs do not print the configuration's secrets",
	},
}
