// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	_ "embed" // for the manifests
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/conformance/apiserver"
)

// The labels of everything that a run makes in an API server.
const (
	labelRun  = "conformance.thicket-cni.io/run"
	labelCase = "conformance.thicket-cni.io/case"
)

// envKubernetes names the file that tells a case how to reach the API server.
const envKubernetes = "THICKET_CONFORMANCE_KUBERNETES"

var (
	//go:embed kubernetes/clusterrole.yaml
	defaultClusterRole []byte
	//go:embed kubernetes/definitions.yaml
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

// hostedAPI is the runner's side of an API server: the suite's own, or that of
// a kubeconfig.
type hostedAPI struct {
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

// hostAPI makes an API server ready for the cases of a run, with its files
// below work, and for the daemons of these targets. A MissingError of package
// apiserver says that there is none.
func hostAPI(ctx context.Context, s *Settings, work string, targets ...Target) (*hostedAPI, error) {
	dir := filepath.Join(work, "apiserver")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	h := &hostedAPI{file: filepath.Join(dir, "access.json"), access: apiAccess{
		Run: randomHex(4), Admin: filepath.Join(dir, "admin.sock"), Client: filepath.Join(dir, "client.sock"),
	}}
	h.unaudited = os.Getenv(envCase) == benchCase
	err := h.open(ctx, s, dir, targets)
	if err != nil {
		err = errors.Join(fmt.Errorf("the Kubernetes API: %w", err), h.close())
		return nil, err
	}
	return h, nil
}

func (h *hostedAPI) open(ctx context.Context, s *Settings, dir string, targets []Target) (err error) {
	if s.Kubeconfig != "" {
		h.config, err = clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	} else {
		err = h.startOwn(ctx, s.KubernetesAssets, dir)
	}
	if err != nil {
		return err
	}
	h.config = rest.CopyConfig(h.config)
	h.config.QPS, h.config.UserAgent = -1, "thicket-conformance/"+Version
	if h.client, err = kubernetes.NewForConfig(h.config); err != nil {
		return err
	}
	if h.dynamic, err = dynamic.NewForConfig(h.config); err != nil {
		return err
	}
	h.access.ClusterRoles = map[string]string{}
	for i, t := range targets {
		h.access.ClusterRoles[t.Name()] = fmt.Sprintf("thicket-conformance-%s-%d", h.access.Run, i)
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
	for _, t := range targets {
		if err := h.makeRole(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (h *hostedAPI) startOwn(ctx context.Context, assets, dir string) error {
	assets, err := apiserver.Assets(assets)
	if err != nil {
		return err
	}
	if h.own, err = apiserver.Start(ctx, apiserver.Options{Assets: assets, Dir: dir, Audit: !h.unaudited}); err != nil {
		return err
	}
	h.config, h.access.AuditLog = h.own.Config, h.own.AuditLog
	server, err := url.Parse(h.config.Host)
	if err != nil {
		return err
	}
	h.access.Address, h.access.CA = server.Host, h.config.CAData
	if h.unaudited {
		h.access.Token = h.config.BearerToken
	}
	return nil
}

// clusterRoleOf is what a target's daemon needs: its own word, or the least
// that a daemon of this kind can do with.
func clusterRoleOf(t Target) (*rbacv1.ClusterRole, error) {
	text := defaultClusterRole
	if own, ok := t.(interface{ ClusterRole() []byte }); ok && len(own.ClusterRole()) > 0 {
		text = own.ClusterRole()
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

// openAPI gives the run an API server when the target needs one. When there is
// none, its cases are skipped, and say what to do.
func (o *Options) openAPI(ctx context.Context, work string) error {
	if !slices.Contains(o.Target.Features(), FeatureKubernetes) {
		return nil
	}
	if o.API != nil {
		var err error
		o.api, err = o.API.share(work, o.Target)
		return err
	}
	api, err := hostAPI(ctx, &o.Settings, work, o.Target)
	var missing *apiserver.MissingError
	if errors.As(err, &missing) {
		o.unserved = err.Error()
		return nil
	}
	o.api = api
	return err
}

func (o *Options) closeAPI() error {
	if o.api == nil {
		return nil
	}
	return o.api.close()
}

// apiVariable tells a case how to reach the API server.
func (o *Options) apiVariable() string {
	if o.api == nil {
		return envKubernetes + "="
	}
	return envKubernetes + "=" + o.api.file
}

// sweepAPI removes what a case made, whatever its end was. What it leaves is
// seen when the run closes the API server.
func (o *Options) sweepAPI(ctx context.Context, c *Case) {
	if o.api != nil {
		_ = o.api.sweep(ctx, c.ID)
	}
}
