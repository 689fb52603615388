// SPDX-License-Identifier: Apache-2.0

package security

import (
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

var sec14 = []string{"SEC-14"}

// The ports for probes and metrics.
var portsMutants = []mutant.Mutant{
	{Name: "ports-unbounded", Cases: sec14, Daemon: func(a *seam.Assembly) {
		a.OnPorts(http.Serve)
	}, Fault: "a port takes any number of connections, for any time"},
	{Name: "ports-bounded-in-time-only", Cases: sec14, Daemon: func(a *seam.Assembly) {
		a.OnPorts(func(l net.Listener, h http.Handler) error {
			return (&http.Server{Handler: h, ReadTimeout: portLimit, WriteTimeout: portLimit, IdleTimeout: portLimit}).Serve(l)
		})
	}, Fault: "a port's connections have time limits, and their number has none"},
	{Name: "ports-bounded-in-number-only", Cases: sec14, Daemon: func(a *seam.Assembly) {
		a.OnPorts(func(l net.Listener, h http.Handler) error {
			return http.Serve(netutil.LimitListener(l, 64), h)
		})
	}, Fault: "a port has a bound on its connections, and whoever holds one holds it for ever"},
	{Name: "ports-idle-only-bounded", Cases: sec14, Daemon: func(a *seam.Assembly) {
		a.OnPorts(func(l net.Listener, h http.Handler) error {
			return (&http.Server{Handler: h, IdleTimeout: time.Second}).Serve(netutil.LimitListener(l, 256))
		})
	}, Fault: "connections that wait for their next request are closed, and those that drip or do not read are not"},
	{Name: "metrics-on-every-address", Cases: sec14, Daemon: func(a *seam.Assembly) { a.Config.MetricsAddress = "0.0.0.0" },
		Fault: "metrics are served on every address of the node"},
	{Name: "probes-on-every-address", Cases: sec14, Daemon: func(a *seam.Assembly) { a.Config.ProbeAddress = "0.0.0.0" },
		Fault: "probes are answered on every address of the node"},
}

// portLimit is the time limit of a mutant's connections.
const portLimit = 30 * time.Second
