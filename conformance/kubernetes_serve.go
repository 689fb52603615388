// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"

	"k8s.io/client-go/rest"
)

// serveSockets opens both sockets, which lie in the run's own directory. Who
// comes by the first is an administrator, however the kubeconfig makes one (a
// plugin of it may need the runner's network); who comes by the second is who
// the request's own token says.
func (h *hostedAPI) serveSockets() error {
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
	if h.access.Raw == "" {
		return nil
	}
	l, err := net.Listen("unix", h.access.Raw) //nolint:noctx // close ends it
	if err != nil {
		return err
	}
	h.sockets = append(h.sockets, l)
	server, err := url.Parse(h.config.Host)
	if err != nil {
		return err
	}
	go passOn(l, server.Host)
	return nil
}

// passOn connects whoever comes by a listener with a TCP address.
func passOn(l net.Listener, address string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", address) //nolint:noctx // on the loopback interface
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			}()
			_, _ = io.Copy(client, server)
		}()
	}
}
