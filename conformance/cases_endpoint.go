// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "EP-01", Profile: "endpoint", Level: Must, Source: "API", Body: endpointAnswered,
			Title: "GetAPIEndpoint(e) is an http URL with path e; POST of a Request to /cni and /delegate is answered",
		},
		Case{
			ID: "EP-02", Profile: "endpoint", Level: Must, Source: "API", Body: endpointOtherMethods, Live: liveMethods,
			Title: "Any other method on them is 405 with Allow; an unknown path is 404",
		},
		Case{
			ID: "EP-03", Profile: "endpoint", Level: Must, Source: "API", Body: endpointResult,
			Title: `A successful ADD is 200, application/json, {"Result": …} with a CNI 1.x result`,
		},
		Case{
			ID: "EP-04", Profile: "endpoint", Level: Must, Source: "API", Body: endpointEmptySuccess,
			Title: "A successful DEL, CHECK, GC, STATUS is 200 with an empty body or an empty JSON object",
		},
		Case{
			ID: "EP-05", Profile: "endpoint", Level: Must, Source: "CNI", Body: endpointFailures,
			Title: "A failed operation is a non-200 status with a CNI error (code, msg, details) as application/json",
		},
		Case{
			ID: "EP-06", Profile: "endpoint", Level: Must, Source: "CNI", Body: endpointNotJSON, Live: liveGarbage,
			Title: "A body that is not JSON: 400, code 6",
		},
		Case{
			ID: "EP-07", Profile: "endpoint", Level: Must, Source: "CNI", Body: endpointVariables, Live: liveVariables,
			Title: "A missing or invalid CNI_* variable: 400, code 4, and the msg names the variable",
		},
		Case{
			ID: "EP-08", Profile: "endpoint", Level: Must, Source: "CNI, OPS", Body: endpointNoPaths,
			Title: "Container id and interface name follow the CNI rules: no path separator reaches the file system",
		},
		Case{
			ID: "EP-09", Profile: "endpoint", Level: Must, Source: "OPS", Body: endpointTooLarge, Live: liveLimit,
			Title: "A body over the limit (4 MiB): 413, and the daemon's memory does not grow by it",
		},
		Case{
			ID: "EP-10", Profile: "endpoint", Level: Must, Source: "CNI", Body: endpointDelegateError,
			Title: "An error that a delegate returned arrives with its own code, msg and details",
		},
		Case{
			ID: "EP-11", Profile: "endpoint", Level: Must, Source: "CNI", Body: endpointArgs,
			Title: "Values of CNI_ARGS may contain '='; with IgnoreUnknown unknown keys are passed on",
		},
		Case{
			ID: "EP-12", Profile: "endpoint", Level: Must, Source: "API", Body: endpointUnknownFields,
			Title: "Unknown JSON fields are ignored; field names and base64 of Config are exactly the API's",
		},
		Case{
			ID: "EP-13", Profile: "endpoint", Level: Must, Source: "OPS", Body: endpointPanic,
			Needs: []Feature{FeaturePanic}, Timeout: 30 * time.Second,
			Title: "A panic while serving one request is one 500 with a CNI error; the next request is served",
		},
		Case{
			ID: "EP-14", Profile: "endpoint", Level: Should, Source: "OPS", Body: endpointStatusClasses,
			Title: "Client errors are 4xx, a delegate's or the daemon's failures 5xx, overload 503 with code 11",
		},
	)
}
