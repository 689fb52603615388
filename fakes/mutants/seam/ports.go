// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
)

// OnPorts has the daemon's TCP ports served by a server of the mutant's own, in
// front of the real ones. Its transport to those costs as little as it can.
func (a *Assembly) OnPorts(serve func(l net.Listener, h http.Handler) error) {
	a.OnStart(func() error {
		if err := front(a.Config.MetricsAddress, &a.Config.MetricsPort, serve); err != nil {
			return err
		}
		return front(a.Config.ProbeAddress, &a.Config.ProbePort, serve)
	})
}

// front takes a port of the configuration, and gives the daemon another one.
func front(address string, port *int, serve func(l net.Listener, h http.Handler) error) error {
	if *port == 0 {
		return nil
	}
	own, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(address, strconv.Itoa(*port)))
	if err != nil {
		return err
	}
	behind, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return err
	}
	*port = behind.Addr().(*net.TCPAddr).Port
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind.Addr().String()})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	if err := behind.Close(); err != nil {
		return err
	}
	go func() {
		if err := serve(own, proxy); err != nil {
			fmt.Println("a mutant's port:", err)
		}
	}()
	return nil
}
