// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/thicket-cni/thicket/pkg/background"
)

// The resources that are asked for.
var (
	podResource        = schema.GroupResource{Resource: "pods"}
	definitionResource = schema.GroupResource{Group: nadv1.SchemeGroupVersion.Group, Resource: "network-attachment-definitions"}
)

// KubernetesOptions say which API server's pods and definitions are used.
type KubernetesOptions struct {
	// Kubeconfig is a path; empty means the service account of the pod that
	// the daemon runs in.
	Kubeconfig string
	// NodeName is the node whose pods are followed; it is required.
	NodeName string
	// Certificate, unless nil, has the daemon authenticate with a certificate of
	// its own, for which Kubeconfig is not used.
	Certificate *CertificateOptions
	// Budget is how many bytes of definitions, and how many of pods, are
	// remembered; 64 MiB each when it is 0.
	Budget int
	// PageBytes is how much of a list is read at once; 4 MiB when it is 0.
	PageBytes int
	// Log may be nil.
	Log *slog.Logger
}

// Kubernetes is the Cluster of an API server. It follows the pods of one node
// and all network definitions, keeps of each what attaching needs, and answers
// look-ups from that as long as it is sure to be new enough; otherwise it asks.
//
// Look-ups and status are tried again while the API server is away, until the
// request ends or patience is over.
type Kubernetes struct {
	options     KubernetesOptions
	host        string
	config      *rest.Config
	certificate *certificate // nil without CertificateOptions
	log         *slog.Logger

	clients     *clients
	pods        *podCache
	definitions *definitionCache
	events      *recorder
	withdrawals *withdrawals
	rights      *rights
	ready       chan struct{}

	// lookUps has a value for each object that is being looked up.
	lookUps chan struct{}
	// retries counts the requests that were made again.
	retries atomic.Int64

	mu      sync.Mutex
	waiting string // what for, before ready
}

// NewKubernetes reads how to reach the API server, which need not answer yet:
// Run follows it. Errors name the file or the setting at fault.
func NewKubernetes(o KubernetesOptions) (*Kubernetes, error) {
	if o.NodeName == "" {
		return nil, errors.New("the node's name is not known; set the environment variable MULTUS_NODE_NAME (from the pod's spec.nodeName), or the key nodeName")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Kubernetes{options: o, log: o.Log, ready: make(chan struct{}), rights: newRights(), withdrawals: newWithdrawals(),
		pods: newPodCache(o.Budget), definitions: newDefinitionCache(o.Budget), lookUps: make(chan struct{}, liveAtOnce)}
	var err error
	if o.Certificate != nil {
		k.certificate, err = newCertificate(*o.Certificate, o.NodeName, o.Log)
	}
	if err != nil {
		return nil, err
	}
	if k.certificate != nil {
		k.config = k.certificate.config
	} else if k.config, err = clientConfig(o.Kubeconfig); err != nil {
		return nil, err
	}
	if k.clients, err = newClients(k.config); err != nil {
		return nil, err
	}
	k.host = k.config.Host
	k.events = newRecorder(k.clients.core, o.NodeName)
	k.setWaiting("the API server " + k.host)
	return k, nil
}

// Ready implements Cluster: it is closed when pods and definitions are known,
// and stays so while the API server is away.
func (k *Kubernetes) Ready() <-chan struct{} { return k.ready }

// Waiting implements Cluster.
func (k *Kubernetes) Waiting() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.waiting
}

// Retries is how many requests have been made again because the API server did
// not answer, or could not.
func (k *Kubernetes) Retries() int64 { return k.retries.Load() }

func (k *Kubernetes) setWaiting(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = what
}

// Run follows the API server until ctx ends; it returns nil then. It waits,
// with growing pauses, for whatever is missing: the server itself, a
// permission, the definitions' CustomResourceDefinition.
func (k *Kubernetes) Run(ctx context.Context) error {
	surviveClientGo()
	followers := background.Group{Log: k.log}
	defer followers.Wait()
	defer k.events.shutdown()
	defer k.withdrawals.shutdown()
	if k.certificate != nil {
		k.setWaiting("the node's certificate from the API server " + k.host)
		if err := k.certificate.obtain(ctx, k.waitsFor); err != nil {
			return nil // ctx ended
		}
		followers.Keep(ctx, "renewing the node's certificate", k.certificate.renew)
	}
	// Definitions come after the pods, so that no pod of the first list is newer
	// than what is known of definitions: a restarted node asks nothing more.
	pods := &kindFollower{
		what: "pods of node " + k.options.NodeName, cache: k.pods, example: &corev1.Pod{}, transform: k.pods.trim, owner: k,
		list:  func() runtime.Object { return &corev1.PodList{} },
		query: k.query(k.clients.core, podResource.Resource, "spec.nodeName="+k.options.NodeName),
	}
	definitions := &kindFollower{
		what: "network definitions", cache: k.definitions, example: &nadv1.NetworkAttachmentDefinition{}, transform: k.definitions.trim, owner: k,
		list:  func() runtime.Object { return &nadv1.NetworkAttachmentDefinitionList{} },
		query: k.query(k.clients.definitions, definitionResource.Resource, ""),
	}
	for _, f := range []*kindFollower{pods, definitions} {
		k.waitsFor(f.what, nil)
		followers.Keep(ctx, "following "+f.what, f.run)
		select {
		case <-f.cache.synced():
		case <-ctx.Done():
			return nil
		}
	}
	if err := k.awaitRights(ctx); err != nil {
		return nil // ctx ended
	}
	k.setWaiting("")
	followers.Keep(ctx, "following the daemon's rights", k.followRights)
	// What the first lists took is given back to the node, not kept for the next
	// one, which may never come.
	debug.FreeOSMemory()
	close(k.ready)
	k.warnOfRights(ctx)
	<-ctx.Done()
	return nil
}

// surviveClientGo keeps a panic on one of client-go's own goroutines from ending
// the daemon (SEC-08).
var surviveClientGo = sync.OnceFunc(func() {
	utilruntime.ReallyCrash = false
	utilruntime.PanicHandlers = []func(context.Context, any){
		func(_ context.Context, value any) { _ = background.Recovered(nil, "client-go", value) },
	}
})

// waitsFor says, in Waiting and in the log, what the daemon waits for and what
// stands in the way.
func (k *Kubernetes) waitsFor(what string, trouble error) {
	what += " from the API server " + k.host
	if trouble != nil {
		what += ": " + trouble.Error()
	}
	if k.Waiting() != what {
		k.log.Info("not ready yet", "waitingFor", what)
	}
	k.setWaiting(what)
}

// query makes the requests of a follower.
func (k *Kubernetes) query(client *rest.RESTClient, resource, fields string) func(metav1.ListOptions) *rest.Request {
	return func(o metav1.ListOptions) *rest.Request {
		o.FieldSelector = fields
		return client.Get().Resource(resource).VersionedParams(&o, metav1.ParameterCodec)
	}
}

var _ interface {
	Cluster
	LiveCluster
	Recorder
	Claims
} = (*Kubernetes)(nil)

// startWatch opens a watch for as long as the options say.
func startWatch(ctx context.Context, r *rest.Request, o metav1.ListOptions) (watch.Interface, error) {
	if o.TimeoutSeconds != nil {
		r = r.Timeout(time.Duration(*o.TimeoutSeconds) * time.Second)
	}
	w, err := r.Watch(ctx)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return w, nil
}
