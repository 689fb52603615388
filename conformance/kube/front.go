// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/test/bufconn"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// noLog is for servers whose clients are cut off on purpose.
var noLog = log.New(io.Discard, "", 0)

// front is an API server as the case's daemon sees it: a port on the loopback
// interface of the case's own network namespace, with TLS. What it gets goes
// to the runner's socket. It can be taken away (forwarder), and can be late
// with what it tells watchers.
type front struct {
	*forwarder
	// Ca is the certificate that it shows, in PEM.
	Ca     []byte
	server *http.Server
	lag    atomic.Int64
	// older has it refuse to stream lists, as servers do that do not know how.
	// conflicts is how many of the next patches of a status it answers with one.
	older     atomic.Bool
	conflicts atomic.Int64
	// certifying is whose client certificates are a proof of who asks; nil for
	// none. certified counts the requests that had one.
	certifying atomic.Pointer[authority]
	Certified  atomic.Int64
}

// authority signs client certificates. What they may do is asked of admin, in
// their name.
type authority struct {
	roots *x509.CertPool
	admin http.RoundTripper
}

// signed says whether a certificate is the authority's, and valid now.
func (a *authority) signed(leaf *x509.Certificate) bool {
	_, err := leaf.Verify(x509.VerifyOptions{Roots: a.roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err == nil
}

// certify has the front accept certificates that ca signed, as an API server
// does: their common name is the user, their organizations are the groups.
// admin is the socket that may impersonate them.
func (f *front) certify(ca *x509.Certificate, admin string) {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	f.certifying.Store(&authority{roots, &http.Transport{DialContext: Dialing(admin), MaxIdleConnsPerHost: 100, DisableCompression: true}})
}

// identify passes a request with a valid client certificate on in the name of
// its user; others keep their own credentials. A certificate that has ended is
// refused, also on a connection that is older.
type identify struct {
	front *front
	plain http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (i *identify) RoundTrip(r *http.Request) (*http.Response, error) {
	by := i.front.certifying.Load()
	if by == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return i.plain.RoundTrip(r)
	}
	leaf := r.TLS.PeerCertificates[0]
	if !by.signed(leaf) {
		return &http.Response{StatusCode: http.StatusUnauthorized, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	i.front.Certified.Add(1)
	r.Header.Del("Authorization")
	r.Header.Set("Impersonate-User", leaf.Subject.CommonName)
	r.Header["Impersonate-Group"] = append(leaf.Subject.Organization, "system:authenticated")
	return by.admin.RoundTrip(r)
}

// newFront serves what the runner's socket answers.
func newFront(runner string) (*front, error) {
	f := &front{}
	certificate, err := f.certificate()
	if err != nil {
		return nil, err
	}
	// Behind the forwarder, which is all that anybody sees.
	l := bufconn.Listen(64 << 10)
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, ErrorLog: noLog,
		Transport:      &identify{f, &http.Transport{DialContext: Dialing(runner), MaxIdleConnsPerHost: 100, DisableCompression: true}},
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "runner"}) },
		ModifyResponse: f.delay,
	}
	f.server = &http.Server{Handler: f.answering(proxy), ErrorLog: noLog, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		// Whose they are is judged per request.
		ClientAuth: tls.RequestClientCert}}
	go func() { _ = f.server.ServeTLS(l, "", "") }() // close ends it
	f.forwarder, err = forward(l.DialContext)
	return f, err
}

// answering answers by itself what another API server would answer differently.
func (f *front) answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case f.older.Load() && r.URL.Query().Get("sendInitialEvents") != "":
			writeStatus(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid,
				"ListOptions is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
		case r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/status") && f.conflicts.Add(-1) >= 0:
			writeStatus(w, http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified; please apply your changes to the latest version and try again")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// writeStatus answers with a failure, in JSON.
func writeStatus(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(&metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message})
}

// direct stands for no front at all: the API server itself, in the same network
// namespace, with the certificate ca. It cannot be taken away.
func direct(address string, ca []byte) *front {
	return &front{Ca: ca, forwarder: &forwarder{Address: address, cancel: func() {}}}
}

// Close ends the front and its connections.
func (f *front) Close() {
	f.forwarder.close()
	if f.server != nil {
		_ = f.server.Close()
	}
}

// Dialing always dials one unix socket.
func Dialing(path string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}

// certificate makes one that is valid for the loopback address, signed by
// itself.
func (f *front) certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	f.Ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// delay makes the answer to a watch one that may be late.
func (f *front) delay(r *http.Response) error {
	if watch := r.Request.URL.Query().Get("watch"); watch == "true" || watch == "1" {
		r.Body = newLateBody(r.Body, &f.lag)
	}
	return nil
}

// lateBody passes on what it reads after a time that may change.
type lateBody struct {
	io.Closer
	pieces chan piece
	rest   []byte
	closed chan struct{}
	once   sync.Once
}

// piece is some bytes, and an error behind them, that are due at a time.
type piece struct {
	data []byte
	err  error
	due  time.Time
}

func newLateBody(body io.ReadCloser, lag *atomic.Int64) *lateBody {
	b := &lateBody{Closer: body, pieces: make(chan piece, 1024), closed: make(chan struct{})}
	go func() {
		for {
			data := make([]byte, 32<<10)
			n, err := body.Read(data)
			select {
			case b.pieces <- piece{data[:n], err, time.Now().Add(time.Duration(lag.Load()))}:
			case <-b.closed:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return b
}

// Read implements io.Reader for one reader.
func (b *lateBody) Read(to []byte) (int, error) {
	for len(b.rest) == 0 {
		next := <-b.pieces
		if wait := time.Until(next.due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-b.closed:
				return 0, net.ErrClosed
			}
		}
		b.rest = next.data
		if next.err != nil && len(next.data) == 0 {
			return 0, next.err
		}
		if next.err != nil {
			b.pieces <- piece{nil, next.err, next.due}
		}
	}
	n := copy(to, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *lateBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Closer.Close()
}
