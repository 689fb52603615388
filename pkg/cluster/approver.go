// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// approverResync is how long a request waits whose decision could not be written.
const approverResync = 30 * time.Second

// ApproverOptions say where certificates are approved.
type ApproverOptions struct {
	// Kubeconfig is a path; empty means the service account of the approver's pod.
	Kubeconfig string
	// Log may be nil.
	Log *slog.Logger
}

// Approver decides on the requests for client certificates that the daemons of
// nodes make (perNodeCertificate): it approves what a node asks for itself, and
// denies whatever else would speak for a daemon. Requests of others it leaves
// alone.
type Approver struct {
	client *rest.RESTClient
	host   string
	log    *slog.Logger

	mu      sync.Mutex
	trouble string // what keeps requests from being followed
}

// NewApprover reads how to reach the API server. Errors name the file or the
// setting at fault.
func NewApprover(o ApproverOptions) (*Approver, error) {
	config, err := clientConfig(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := restClient(config, certificatesv1.SchemeGroupVersion, contentJSON)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Approver{client: client, host: config.Host, log: o.Log}, nil
}

// Run decides on requests until ctx ends: those that are there, and those that
// come. While the API server is away it waits.
func (a *Approver) Run(ctx context.Context) {
	surviveClientGo()
	quiet := logr.Discard()
	seen := func(object any) {
		if r, ok := object.(*certificatesv1.CertificateSigningRequest); ok {
			a.decide(ctx, r)
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: a.source(), ObjectType: &certificatesv1.CertificateSigningRequest{}, ResyncPeriod: approverResync, Logger: &quiet,
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: seen, UpdateFunc: func(_, now any) { seen(now) }},
	})
	a.log.Info("approving the nodes' requests for certificates", "server", a.host)
	informer.RunWithContext(logr.NewContext(ctx, quiet))
}

// source lists and watches the requests for client certificates.
func (a *Approver) source() *cache.ListWatch {
	query := func(o metav1.ListOptions) *rest.Request {
		o.FieldSelector = "spec.signerName=" + certificatesv1.KubeAPIServerClientSignerName
		return a.client.Get().Resource(requestResource).VersionedParams(&o, metav1.ParameterCodec)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			all := &certificatesv1.CertificateSigningRequestList{}
			err := query(o).Do(ctx).Into(all)
			a.note(err)
			return all, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			w, err := startWatch(ctx, query(o), o)
			a.note(err)
			return w, errors.Unwrap(err)
		},
	}
}

// note logs what keeps requests from being followed, once until it changes.
func (a *Approver) note(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var trouble string
	if err != nil && !errors.Is(err, context.Canceled) && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		trouble = explain(err, "list and watch", requestResource).Error()
	}
	if trouble != "" && trouble != a.trouble {
		a.log.Warn("requests for certificates cannot be followed; tried again", "server", a.host, "error", trouble)
	}
	a.trouble = trouble
}

// decide writes the decision on a request. What cannot be written is tried again
// when the request is seen again.
func (a *Approver) decide(ctx context.Context, r *certificatesv1.CertificateSigningRequest) {
	v, why := judgeRequest(r)
	if v == notOurs {
		return
	}
	condition := certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "NodeAsksForItself", Message: "approved by thicketd approve",
	}
	if v == denied {
		condition.Type, condition.Reason = certificatesv1.CertificateDenied, "NotOfThisNode"
		condition.Message = brief.Shown(why.Error())
	}
	decided := r.DeepCopy()
	decided.Status.Conditions = append(decided.Status.Conditions, condition)
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	err := a.client.Put().Resource(requestResource).Name(r.Name).SubResource("approval").Body(decided).Do(ctx).Error()
	log := a.log.With("certificatesigningrequest", r.Name, "user", r.Spec.Username)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		// It has changed, and comes again as it is now; or it is gone.
	case err != nil:
		log.Error("the decision cannot be written; tried again", "in", approverResync, "error", fmt.Errorf("API server %s: %w", a.host, explain(err, "approve", "certificatesigningrequests, of the signer kubernetes.io/kube-apiserver-client,")))
	case v == denied:
		log.Warn("a request for a certificate is denied", "reason", why)
	default:
		log.Info("a request for a certificate is approved")
	}
}
