// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "EP-01", Level: spec.Must, Source: "API", Body: endpointAnswered,
		Title: "GetAPIEndpoint(e) is an http URL with path e; POST of a Request to /cni and /delegate is answered",
	},
	{
		ID: "EP-02", Level: spec.Must, Source: "API", Body: endpointOtherMethods, Live: liveMethods,
		Title: "Any other method on them is 405 with Allow; an unknown path is 404",
	},
	{
		ID: "EP-03", Level: spec.Must, Source: "API", Body: endpointResult,
		Title: `A successful ADD is 200, application/json, {"Result": …} with a CNI 1.x result`,
	},
	{
		ID: "EP-04", Level: spec.Must, Source: "API", Body: endpointEmptySuccess,
		Title: "A successful DEL, CHECK, GC, STATUS is 200 with an empty body or an empty JSON object",
	},
	{
		ID: "EP-05", Level: spec.Must, Source: "CNI", Body: endpointFailures,
		Title: "A failed operation is a non-200 status with a CNI error (code, msg, details) as application/json",
	},
	{
		ID: "EP-06", Level: spec.Must, Source: "CNI", Body: endpointNotJSON, Live: liveGarbage,
		Title: "A body that is not JSON: 400, code 6",
	},
	{
		ID: "EP-07", Level: spec.Must, Source: "CNI", Body: endpointVariables, Live: liveVariables,
		Title: "A missing or invalid CNI_* variable: 400, code 4, and the msg names the variable",
	},
	{
		ID: "EP-08", Level: spec.Must, Source: "CNI, OPS", Body: endpointNoPaths,
		Title: "Container id and interface name follow the CNI rules: no path separator reaches the file system",
	},
	{
		ID: "EP-09", Level: spec.Must, Source: "OPS", Body: endpointTooLarge, Live: liveLimit,
		Title: "A body over the limit (4 MiB): 413, and the daemon's memory does not grow by it",
	},
	{
		ID: "EP-10", Level: spec.Must, Source: "CNI", Body: endpointDelegateError,
		Title: "An error that a delegate returned arrives with its own code, msg and details",
	},
	{
		ID: "EP-11", Level: spec.Must, Source: "CNI", Body: endpointArgs,
		Title: "Values of CNI_ARGS may contain '='; with IgnoreUnknown unknown keys are passed on",
	},
	{
		ID: "EP-12", Level: spec.Must, Source: "API", Body: endpointUnknownFields,
		Title: "Unknown JSON fields are ignored; field names and base64 of Config are exactly the API's",
	},
	{
		ID: "EP-13", Level: spec.Should, Source: "OPS", Body: endpointPanic,
		Needs: []spec.Feature{thick.FeaturePanic}, Timeout: 30 * time.Second,
		Title: "A panic while serving one request is one 500 with a CNI error; the next request is served",
	},
	{
		ID: "EP-14", Level: spec.Should, Source: "OPS", Body: endpointStatusClasses,
		Title: "Client errors, on /delegate too, are 4xx, a delegate's or the daemon's failures 5xx, overload 503 with code 11",
	},
}
