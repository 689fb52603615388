// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	nadclient "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/client/clientset/versioned"
	nadinformers "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/client/informers/externalversions"
	nadlisters "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/client/listers/k8s.cni.cncf.io/v1"
	nadutils "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/utils"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/thicket-cni/thicket/fakes/hollow"
)

// What Multus' thick daemon (4.3, commit 95a0932) sets its clients to.
const (
	multusQPS = 50
	// multusTimeout ends every request, and so every watch, after a minute.
	multusTimeout = time.Minute
	// multusResync is the informers' resync, which asks the API server for nothing.
	multusResync = time.Second
	// multusPoll is how often it looks for a pod that its informer does not know yet,
	// and multusPatience for how long.
	multusPoll     = 50 * time.Millisecond
	multusPatience = 2500 * time.Millisecond
)

// multus makes the requests of Multus' thick daemon, with the same libraries: informers
// of the node's pods and of all definitions; for an ADD a read and an update of the pod's
// status, and an event for each interface.
type multus struct {
	client      kubernetes.Interface
	pods        corelisters.PodLister
	definitions nadlisters.NetworkAttachmentDefinitionLister
	synced      []cache.InformerSynced
	start       []func(stop <-chan struct{})
	broadcaster record.EventBroadcaster
	events      record.EventRecorder
	ready       chan struct{}
}

func newMultus(id hollow.Identity, kubeconfig string) (hollow.Node, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.QPS, config.Burst, config.Timeout = multusQPS, multusQPS, multusTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	definitionClient, err := nadclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	pods := informers.NewSharedInformerFactoryWithOptions(client, multusResync, informers.WithTransform(withoutManagedFields),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", id.Name).String()
		}))
	definitions := nadinformers.NewSharedInformerFactory(definitionClient, multusResync)
	podInformer, definitionInformer := pods.Core().V1().Pods(), definitions.K8sCniCncfIo().V1().NetworkAttachmentDefinitions()
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &multus{
		client: client, pods: podInformer.Lister(), definitions: definitionInformer.Lister(),
		synced:      []cache.InformerSynced{podInformer.Informer().HasSynced, definitionInformer.Informer().HasSynced},
		start:       []func(<-chan struct{}){pods.Start, definitions.Start},
		broadcaster: broadcaster, events: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "multus"}),
		ready: make(chan struct{}),
	}, nil
}

// withoutManagedFields is the informers' transform: it saves memory, and no traffic.
func withoutManagedFields(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}

// Run implements hollow.Node.
func (m *multus) Run(ctx context.Context) error {
	defer m.broadcaster.Shutdown()
	for _, start := range m.start {
		start(ctx.Done())
	}
	if cache.WaitForCacheSync(ctx.Done(), m.synced...) {
		close(m.ready)
	}
	<-ctx.Done()
	return nil
}

// Ready implements hollow.Node.
func (m *multus) Ready() <-chan struct{} { return m.ready }

// Knows implements hollow.Node.
func (m *multus) Knows(d hollow.Definition) bool {
	known, err := m.definitions.NetworkAttachmentDefinitions(d.Namespace).Get(d.Name)
	return err == nil && known.Spec.Config == d.Config
}

// Attach implements hollow.Node. Pod and definitions come from the informers.
func (m *multus) Attach(ctx context.Context, p hollow.Pod) error {
	var pod *corev1.Pod
	err := wait.PollUntilContextTimeout(ctx, multusPoll, multusPatience, true, func(context.Context) (bool, error) {
		var err error
		pod, err = m.pods.Pods(p.Namespace).Get(p.Name)
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	for _, name := range p.Networks {
		if _, err := m.definitions.NetworkAttachmentDefinitions(p.Namespace).Get(name); err != nil {
			return err
		}
	}
	var status []nadv1.NetworkStatus
	for _, a := range p.Attachments() {
		status = append(status, nadv1.NetworkStatus{Name: a.Network, Interface: a.Interface, IPs: []string{a.Address}, Mac: a.MAC, Default: a.Default})
		m.events.Eventf(pod, corev1.EventTypeNormal, "AddedInterface", "Add %s [%s/24] from %s", a.Interface, a.Address, a.Network)
	}
	return nadutils.SetNetworkStatus(m.client, pod.DeepCopy(), status)
}
