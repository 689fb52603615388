// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
)

// ErrNotFound is wrapped by the error of a look-up when the cluster is known
// and has no such object. Any other error of a look-up means that nobody knows.
var ErrNotFound = errors.New("not found")

// Pod is what attaching needs to know of a Kubernetes pod.
type Pod struct {
	Namespace, Name string
	// UID may be empty: manifests in a directory need not have one.
	UID string
	// NodeName is empty when the pod is not bound to a node.
	NodeName    string
	Annotations map[string]string
	// Running says that its kubelet reports an address of the pod's own: somebody
	// has attached it.
	Running bool

	// terminating is that it is being deleted.
	terminating bool
	// status is the text of its network status, where it has just been looked up.
	status string
	// version is the resource version of what is known, 0 when there is none.
	version uint64
	// since is when the pod, with these annotations, came to be; zero when that
	// does not matter.
	since moment
	// claims are the pod's resource claims, nil when it has none.
	claims *podClaims
}

// Annotations of mirror pods, which stand for static pods in the API. The UID
// of a static pod, which the runtime passes on, is its kubelet's and not that
// of the mirror.
const (
	mirrorAnnotation = "kubernetes.io/config.mirror"
	hashAnnotation   = "kubernetes.io/config.hash"
)

// HasUID says whether a runtime that speaks of the pod with this UID means
// this pod. An unknown UID, on either side, contradicts nothing.
func (p *Pod) HasUID(uid string) bool {
	if uid == "" || p.UID == "" || uid == p.UID {
		return true
	}
	return p.Annotations[mirrorAnnotation] != "" && (uid == p.Annotations[mirrorAnnotation] || uid == p.Annotations[hashAnnotation])
}

// UIDs are those by which a runtime may speak of the pod, an empty one among them.
func (p *Pod) UIDs() []string {
	return []string{"", p.UID, p.Annotations[mirrorAnnotation], p.Annotations[hashAnnotation]}
}

// Definition is a NetworkAttachmentDefinition (NPWG standard, section 3).
type Definition struct {
	Namespace, Name string
	// Config is spec.config as it was written. When it is empty, the network's
	// configuration is a file on the node (NPWG standard, section 3.4.1; NET-05).
	Config      string
	Annotations map[string]string
}

// Cluster looks up pods and network definitions and publishes the network
// status of pods. Its methods are safe for concurrent use.
type Cluster interface {
	// Pod returns a pod; the error wraps ErrNotFound when there is none.
	Pod(ctx context.Context, namespace, name string) (*Pod, error)
	// Definition returns a network definition; the error wraps ErrNotFound when
	// there is none.
	Definition(ctx context.Context, namespace, name string) (*Definition, error)
	// PublishStatus replaces the network status of a pod. The error wraps
	// ErrNotFound when the pod is known to be gone or to be another one, by its
	// UID.
	PublishStatus(ctx context.Context, pod *Pod, status []NetworkStatus) error
	// WithdrawStatus takes the status of a pod away whose sandbox is gone. It waits
	// for no server: where that takes time it happens later, however long one is
	// away.
	WithdrawStatus(w Withdrawal)
	// Ready is closed as soon as look-ups can be answered.
	Ready() <-chan struct{}
	// Waiting says what look-ups wait for, worded to follow "waiting for"; it
	// is empty when they can be answered.
	Waiting() string
}

// Withdrawal is the status of a sandbox that is gone, to be taken away.
type Withdrawal struct {
	Pod *Pod
	// Status is the one that was published, as far as it is known.
	Status []NetworkStatus
	// Exact leaves any other status of the pod alone, which somebody else may have
	// published since.
	Exact bool
	// Done is called when the pod does not show the status, or is to show another;
	// not when the daemon ends before. It may be nil.
	Done func()
}

func (w *Withdrawal) done() {
	if w.Done != nil {
		w.Done()
	}
}

// LiveCluster is a Cluster whose look-ups may be behind.
type LiveCluster interface {
	// LivePod is Pod without what is remembered.
	LivePod(ctx context.Context, namespace, name string) (*Pod, error)
	// MayShow reports whether a pod may go on to show the status of a sandbox that
	// is deleted: not one that is known to be going, or to be another pod now.
	MayShow(pod *Pod) bool
}

// Device is a device that a resource claim (resource.k8s.io/v1) gave a pod.
type Device struct {
	// Resource is the name that the device's driver publishes for network
	// definitions to ask for it by; where there is none, "claim/request" by the
	// pod's own name for the claim.
	Resource string
	// ID is what a delegate calls the device, such as its PCI address.
	ID string
}

// Claims is a Cluster that has resource claims.
type Claims interface {
	// ClaimedDevices returns the devices that a pod's claims gave it and that
	// have an id for delegates: claim by claim in the pod's order, those of one
	// claim sorted.
	ClaimedDevices(ctx context.Context, pod *Pod) ([]Device, error)
}

// The types of events.
const (
	EventNormal  = "Normal"
	EventWarning = "Warning"
)

// Recorder is a Cluster that keeps events of pods.
type Recorder interface {
	// Event records an event of a pod. It does not wait, and drops events
	// rather than to hold anything up.
	Event(pod *Pod, eventType, reason, message string)
}

// NetworkStatus is one element of the annotation
// k8s.v1.cni.cncf.io/network-status (NPWG standard, section 5; NET-09).
type NetworkStatus struct {
	// Name is namespace/name of the definition, or the network's own name when
	// the network comes from a configuration file.
	Name      string `json:"name"`
	Interface string `json:"interface,omitempty"`
	// IPs are addresses without a prefix length.
	IPs []string `json:"ips,omitempty"`
	Mac string   `json:"mac,omitempty"`
	// MTU is in bytes; 0 when the delegate did not say.
	MTU int `json:"mtu,omitempty"`
	// Default is true for the pod's default network only.
	Default bool `json:"default,omitempty"`
	// DNS has no omitempty: consumers of the standard's client find "dns":{}.
	DNS DNS `json:"dns"`
	// DeviceInfo is an object as of the NPWG device information specification.
	DeviceInfo json.RawMessage `json:"device-info,omitempty"`
	// Gateway holds the gateways of the attachment's default routes.
	Gateway []string `json:"gateway,omitempty"`
}

// DNS is what a delegate's result said of name resolution.
type DNS struct {
	Nameservers []string `json:"nameservers,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	Search      []string `json:"search,omitempty"`
	Options     []string `json:"options,omitempty"`
}
