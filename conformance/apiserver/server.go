// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	_ "embed" // for the audit policy
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// readyTimeout is how long the API server may take to become ready, which is
// about three seconds on an idle machine.
const readyTimeout = 90 * time.Second

//go:embed audit.yaml
var auditPolicy []byte

// Options are what Start needs.
type Options struct {
	// Assets is the directory of etcd and kube-apiserver; see Assets.
	Assets string
	// Dir is where all their files go.
	Dir string
	// Audit has the requests of service accounts logged, each before it is
	// handled; what is to be measured does without.
	Audit bool
	// Args are further arguments of kube-apiserver's; what was given before them
	// they replace.
	Args []string
}

// Server is a running API server.
type Server struct {
	// Config is an administrator's.
	Config *rest.Config
	// AuditLog is the file with one event per line (audit.k8s.io/v1): the
	// requests of service accounts. Empty without Options.Audit.
	AuditLog string

	dir       string
	processes []*process
}

// Start starts etcd and kube-apiserver and returns when the API server is
// ready. Stop ends both; so does the end of this process.
func Start(ctx context.Context, o Options) (*Server, error) {
	var err error
	// A port is free when it is looked for, and may not be when it is used.
	for range 3 {
		s := &Server{dir: o.Dir}
		if o.Audit {
			s.AuditLog = s.file("audit.log")
		}
		if err = s.start(ctx, o); err == nil {
			return s, nil
		}
		err = errors.Join(err, s.Stop())
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func (s *Server) start(ctx context.Context, o Options) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	token, err := s.writeFiles()
	if err != nil {
		return err
	}
	client, peer := "http://"+ports[0], "http://"+ports[1]
	etcd, err := start(s.dir, filepath.Join(o.Assets, "etcd"), "--data-dir", s.file("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, etcd)
	host, port, _ := net.SplitHostPort(ports[2])
	api, err := start(s.dir, filepath.Join(o.Assets, "kube-apiserver"), slices.Concat(s.auditFlags(), []string{"--etcd-servers", client,
		// Of itself it would look for a default route.
		"--bind-address", host, "--advertise-address", host, "--secure-port", port, "--cert-dir", s.file("certs"), "--authorization-mode", "RBAC",
		// The kubelets and controllers that these need are not there.
		"--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none",
		"--service-cluster-ip-range", "10.255.0.0/24", "--token-auth-file", s.file("tokens.csv"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--api-audiences", "https://kubernetes.default.svc",
		"--service-account-key-file", s.file("accounts.pem"), "--service-account-signing-key-file", s.file("accounts.pem"),
		"--enable-priority-and-fairness=false", "--profiling=false"}, o.Args)...)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, api)
	return s.awaitReady(ctx, "https://"+ports[2], token)
}

func (s *Server) auditFlags() []string {
	if s.AuditLog == "" {
		return nil
	}
	return []string{"--audit-policy-file", s.file("audit.yaml"), "--audit-log-path", s.AuditLog, "--audit-log-mode", "blocking"}
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// writeFiles writes what the processes read, and returns the administrator's
// token.
func (s *Server) writeFiles() (string, error) {
	token := rand.Text()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	files := map[string][]byte{
		"tokens.csv":   []byte(token + ",conformance-admin,conformance-admin,system:masters\n"),
		"accounts.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		"audit.yaml":   auditPolicy,
		// The file is there before its first event is.
		"audit.log": nil,
	}
	for name, content := range files {
		if err := os.WriteFile(s.file(name), content, 0o600); err != nil {
			return "", err
		}
	}
	return token, nil
}

// awaitReady polls /readyz until the API server is ready, or has ended, or
// took too long.
func (s *Server) awaitReady(ctx context.Context, url, token string) error {
	deadline := time.After(readyTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	etcd, api := s.processes[0], s.processes[1]
	for {
		// The certificate that it signs for itself has the signer's beside it.
		ca, err := os.ReadFile(s.file("certs/apiserver.crt"))
		if err == nil {
			s.Config = &rest.Config{Host: url, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: ca}, QPS: -1}
			if ready(ctx, s.Config) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-etcd.done:
			return etcd.failure("ended instead of serving")
		case <-api.done:
			return api.failure("ended instead of serving")
		case <-deadline:
			return api.failure(fmt.Sprintf("is not ready after %s", readyTimeout))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func ready(ctx context.Context, config *rest.Config) bool {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
}

// freePorts finds addresses on the loopback interface that nobody listens on.
func freePorts(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
		if err != nil {
			return nil, err
		}
		defer l.Close() // only when all are known, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// PIDs are the processes of etcd and of kube-apiserver.
func (s *Server) PIDs() (etcd, api int) {
	return s.processes[0].cmd.Process.Pid, s.processes[1].cmd.Process.Pid
}

// Stop ends both processes.
func (s *Server) Stop() error {
	var all []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		all = append(all, s.processes[i].stop())
	}
	s.processes = nil
	return errors.Join(all...)
}
