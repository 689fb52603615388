// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"

	"k8s.io/client-go/rest"
)

// serveSockets opens both sockets. They lie in the run's own directory, which
// is root's.
func (h *hostedAPI) serveSockets() error {
	admin, err := h.listen(h.access.Admin)
	if err != nil {
		return err
	}
	proxy, err := h.adminProxy()
	if err != nil {
		return err
	}
	go func() { _ = (&http.Server{Handler: proxy}).Serve(admin) }() // it ends when the socket is closed
	raw, err := h.listen(h.access.Raw)
	if err != nil {
		return err
	}
	go h.acceptRaw(raw)
	return nil
}

func (h *hostedAPI) listen(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path) //nolint:noctx // close ends it
	if err != nil {
		return nil, err
	}
	h.sockets = append(h.sockets, l)
	return l, os.Chmod(path, 0o600)
}

// adminProxy passes requests on with the administrator's credentials, however
// these are made (a plugin of the kubeconfig may need the runner's network).
func (h *hostedAPI) adminProxy() (http.Handler, error) {
	server, _, err := rest.DefaultServerUrlFor(h.config)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(h.config)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(server) },
	}, nil
}

// acceptRaw passes connections on to the API server as they are.
func (h *hostedAPI) acceptRaw(l net.Listener) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go func() {
			defer client.Close()
			server, err := h.dialServer(context.Background())
			if err != nil {
				return
			}
			defer server.Close()
			done := make(chan struct{}, 2)
			for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					done <- struct{}{}
				}()
			}
			<-done
		}()
	}
}

func (h *hostedAPI) dialServer(ctx context.Context) (net.Conn, error) {
	server, _, err := rest.DefaultServerUrlFor(h.config)
	if err != nil {
		return nil, err
	}
	if h.config.Dial != nil {
		return h.config.Dial(ctx, "tcp", net.JoinHostPort(server.Hostname(), portOf(server)))
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort(server.Hostname(), portOf(server)))
}
