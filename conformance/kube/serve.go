// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"net"
	"net/http"
	"net/http/httputil"
	"os"

	"k8s.io/client-go/rest"
)

// serveSockets opens both sockets, which lie in the run's own directory. Who
// comes by the first is an administrator, however the kubeconfig makes one (a
// plugin of it may need the runner's network); who comes by the second is who
// the request's own token says.
func (h *Server) serveSockets() error {
	for socket, config := range map[string]*rest.Config{h.access.Admin: h.config, h.access.Client: rest.AnonymousClientConfig(h.config)} {
		server, _, err := rest.DefaultServerUrlFor(config)
		if err != nil {
			return err
		}
		transport, err := rest.TransportFor(config)
		if err != nil {
			return err
		}
		l, err := net.Listen("unix", socket) //nolint:noctx // close ends it
		if err != nil {
			return err
		}
		h.sockets = append(h.sockets, l)
		if err := os.Chmod(socket, 0o600); err != nil {
			return err
		}
		proxy := &httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1, ErrorLog: noLog,
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(server) },
		}
		go func() { _ = (&http.Server{Handler: proxy, ErrorLog: noLog}).Serve(l) }() // it ends when the socket is closed
	}
	return nil
}
