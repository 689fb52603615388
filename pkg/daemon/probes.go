// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"

	"github.com/thicket-cni/thicket/pkg/api"
)

// serveProbes answers the kubelet's probes on probeAddress until ctx ends, with what the socket's endpoints of the same names answer. A kubelet
// cannot probe a unix socket, and a probe that executes a program in the
// container would take that program's memory from the delegates.
//
// A port that is taken is an error in the log: the node's pods still start.
func (d *Daemon) serveProbes(ctx context.Context) {
	if d.config.ProbePort == 0 {
		return
	}
	mux := http.NewServeMux()
	mux.Handle(api.MultusHealthAPIEndpoint, probe(alive, nil))
	mux.Handle(api.MultusReadyAPIEndpoint, probe(d.unready, d.follower.strays.warning))
	address := net.JoinHostPort(d.config.ProbeAddress, strconv.Itoa(d.config.ProbePort))
	if err := d.servePort(ctx, address, mux, portTimeout); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		d.log.Error("probes are not answered; free the port or set probePort to another one", "probePort", d.config.ProbePort, "error", err)
	}
}
