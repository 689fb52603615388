// SPDX-License-Identifier: Apache-2.0

package api

import (
	"path/filepath"
	"strings"
	"time"
)

const (
	// APIReadyPollDuration is the period in which WaitUntilAPIReady asks the daemon (READY-02).
	APIReadyPollDuration = 100 * time.Millisecond
	// APIReadyPollTimeout is how long WaitUntilAPIReady, and with it an ADD or CHECK that finds no daemon, waits before
	// it gives up (READY-03, SHIM-06).
	APIReadyPollTimeout = 60000 * time.Millisecond

	// MultusCNIAPIEndpoint is the path that takes the CNI requests of the shim (EP-01).
	MultusCNIAPIEndpoint = "/cni"
	// MultusDelegateAPIEndpoint is the path that takes hot-plug requests: one network more, or less, on a running
	// sandbox (HOT-01).
	MultusDelegateAPIEndpoint = "/delegate"
	// MultusHealthAPIEndpoint is the path that answers 200 as long as the daemon serves at all, also while it starts
	// and while it drains (READY-06, READY-08).
	MultusHealthAPIEndpoint = "/healthz"
	// MultusReadyAPIEndpoint is the path that answers 200 when the daemon can serve an ADD, and anything else before
	// its caches are synced and from SIGTERM on (READY-07). Multus before 4.3 answers 404.
	MultusReadyAPIEndpoint = "/readyz"
)

// defaultRunDir is where the socket is when the shim's configuration does not say.
const defaultRunDir = "/run/multus/"

// socketName is Multus', so that either daemon can be put behind either shim.
const socketName = "multus.sock"

// GetAPIEndpoint returns the http URL of an endpoint such as MultusCNIAPIEndpoint, for DoCNI (EP-01). The host in it
// is a placeholder: the connection goes to the unix socket, but HTTP/1.1 demands a Host header.
func GetAPIEndpoint(endpoint string) string {
	if !strings.HasPrefix(endpoint, "/") {
		endpoint = "/" + endpoint
	}
	return "http://dummy" + endpoint
}

// SocketPath returns the path of the daemon's unix socket in its run directory: <rundir>/multus.sock (SOCK-01).
func SocketPath(rundir string) string {
	return filepath.Join(rundir, socketName)
}
