// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// The labels of everything that a run makes in an API server.
const (
	labelRun  = "conformance.thicket-cni.io/run"
	labelCase = "conformance.thicket-cni.io/case"
)

// envKubernetes names the file that tells a case how to reach the API server.
const envKubernetes = "THICKET_CONFORMANCE_KUBERNETES"

var (
	//go:embed clusterrole.yaml
	defaultClusterRole []byte
	//go:embed definitions.yaml
	definitionsCRD []byte
)

// apiAccess is how a case, which has a network namespace of its own, reaches
// the API server: over unix sockets that the runner serves.
type apiAccess struct {
	// Run is the run's label.
	Run string `json:"run"`
	// Admin is a socket that answers as the API server does to an
	// administrator: the credentials stay with the runner.
	Admin string `json:"admin"`
	// Client is a socket that passes requests on with their own credentials.
	Client string `json:"client"`
	// Address is the suite's own API server's, with the certificate CA, for a
	// benchmark, which has it in its own network namespace: what is measured does
	// not go through the suite.
	Address string `json:"address,omitempty"`
	CA      []byte `json:"ca,omitempty"`
	// Token is an administrator's, for the benchmark's own measurements there.
	Token string `json:"token,omitempty"`
	// ClusterRoles are what the daemons may do, by the target's name.
	ClusterRoles map[string]string `json:"clusterRoles"`
	// AuditLog is empty when the API server is not the suite's own.
	AuditLog string `json:"auditLog,omitempty"`
}

// Server is the runner's side of an API server: the suite's own, or that of
// a kubeconfig.
type Server struct {
	access    apiAccess
	own       *apiserver.Server
	config    *rest.Config
	client    kubernetes.Interface
	dynamic   dynamic.Interface
	sockets   []net.Listener
	installed bool // the definitions' CRD is the suite's
	shared    bool // other runs use it too, and it is not this one's to end
	unaudited bool // it is there to be measured
	file      string
}

// Settings say which API server the cases get, and which daemons use it.
type Settings struct {
	// Kubeconfig names a cluster whose API is used; empty means an API server
	// that the suite starts.
	Kubeconfig string
	// Assets is where etcd and kube-apiserver are, unless KUBEBUILDER_ASSETS says
	// so.
	Assets string
	// Daemons are those of the targets.
	Daemons []Daemon
	// Direct means that the API server stands in the cases' own network
	// namespace, without an audit log: nothing is between it and a daemon, as
	// measuring needs it.
	Direct bool
}

// Daemon is the daemon of a target, as the API server knows it.
type Daemon struct {
	// Name is the target's.
	Name string
	// Role is the manifest of its ClusterRole; empty means the least that a
	// daemon of this kind can do with.
	Role []byte
}

// Host makes an API server ready for the cases of a run, with its files
// below work. A MissingError of package apiserver says that there is none.
func Host(ctx context.Context, s Settings, work string) (*Server, error) {
	dir := filepath.Join(work, "apiserver")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	h := &Server{file: filepath.Join(dir, "access.json"), access: apiAccess{
		Run: node.RandomHex(4), Admin: filepath.Join(dir, "admin.sock"), Client: filepath.Join(dir, "client.sock"),
	}}
	h.unaudited = s.Direct
	err := h.open(ctx, s, dir)
	if err != nil {
		err = errors.Join(fmt.Errorf("the Kubernetes API: %w", err), h.close())
		return nil, err
	}
	return h, nil
}

func (h *Server) open(ctx context.Context, s Settings, dir string) (err error) {
	if s.Kubeconfig != "" {
		h.config, err = clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	} else {
		err = h.startOwn(ctx, s.Assets, dir)
	}
	if err != nil {
		return err
	}
	h.config = rest.CopyConfig(h.config)
	h.config.QPS, h.config.UserAgent = -1, "thicket-conformance/"+spec.Version
	if h.client, err = kubernetes.NewForConfig(h.config); err != nil {
		return err
	}
	if h.dynamic, err = dynamic.NewForConfig(h.config); err != nil {
		return err
	}
	h.access.ClusterRoles = map[string]string{}
	for i, d := range s.Daemons {
		h.access.ClusterRoles[d.Name] = fmt.Sprintf("thicket-conformance-%s-%d", h.access.Run, i)
	}
	data, err := json.Marshal(h.access)
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.file, data, 0o600); err != nil {
		return err
	}
	if err := h.serveSockets(); err != nil {
		return err
	}
	if err := h.installDefinitions(ctx); err != nil {
		return err
	}
	for _, d := range s.Daemons {
		if err := h.makeRole(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (h *Server) startOwn(ctx context.Context, assets, dir string) error {
	assets, err := apiserver.Assets(assets)
	if err != nil {
		return err
	}
	if h.own, err = apiserver.Start(ctx, apiserver.Options{Assets: assets, Dir: dir, Audit: !h.unaudited}); err != nil {
		return err
	}
	h.config, h.access.AuditLog = h.own.Config, h.own.AuditLog
	if !h.unaudited {
		return nil
	}
	server, err := url.Parse(h.config.Host)
	if err != nil {
		return err
	}
	h.access.Address, h.access.CA, h.access.Token = server.Host, h.config.CAData, h.config.BearerToken
	return nil
}

// RoleOf reads the ClusterRole of a daemon.
func RoleOf(d Daemon) (*rbacv1.ClusterRole, error) {
	text := defaultClusterRole
	if len(d.Role) > 0 {
		text = d.Role
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(text, role); err != nil {
		return nil, fmt.Errorf("the daemon's ClusterRole: %w", err)
	}
	if len(role.Rules) == 0 {
		return nil, errors.New("the daemon's ClusterRole has no rules")
	}
	return role, nil
}
