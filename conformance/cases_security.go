// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "SEC-01", Profile: "security", Level: Must, Source: "OPS", Body: securityEnvironment,
			Title: "The client's environment does not reach delegates; only CNI_* that the daemon decided",
		},
		Case{
			ID: "SEC-02", Profile: "security", Level: Must, Source: "OPS", Body: securityPluginType,
			Title: "A plugin type with a path separator, '..', or outside the plugin directories is never executed",
		},
		Case{
			ID: "SEC-03", Profile: "security", Level: Must, Source: "OPS", Body: securityRecords,
			Title: "Records and caches are root-only (0600 in 0700) and are written through no symlink",
		},
		Case{
			ID: "SEC-04", Profile: "security", Level: Must, Source: "OPS", Body: securitySecrets, Timeout: 3 * time.Minute,
			Title: "Errors and logs do not print the configuration's secrets",
		},
	)
}
