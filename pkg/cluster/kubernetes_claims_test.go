// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// objects is an API server that knows a few objects by path, and lists by
// path?fieldSelector; asked are the paths in order.
type objects struct {
	byPath map[string]any
	asked  []string
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := r.URL.Path
	if s := r.URL.Query().Get("fieldSelector"); s != "" {
		at += "?" + s
	}
	o.asked = append(o.asked, at)
	w.Header().Set("Content-Type", "application/json")
	found, ok := o.byPath[at]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		found = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: "NotFound", Code: 404, Message: at + " not found"}
	}
	_ = json.NewEncoder(w).Encode(found)
}

func openKubernetes(t *testing.T, o http.Handler) *Kubernetes {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	config := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":"` + server.URL +
		`"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":""}}],"current-context":"c"}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := NewKubernetes(KubernetesOptions{Kubeconfig: config, NodeName: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.events.shutdown)
	return k
}

var claimType = metav1.TypeMeta{Kind: "ResourceClaim", APIVersion: "resource.k8s.io/v1"}

func claim(results ...resourcev1.DeviceRequestAllocationResult) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{TypeMeta: claimType}
	c.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: results}}
	return c
}

func given(request, pool, device string) resourcev1.DeviceRequestAllocationResult {
	return resourcev1.DeviceRequestAllocationResult{Request: request, Driver: "d", Pool: pool, Device: device}
}

// slice is a ResourceSlice of driver d; attributes are name=value by device.
func slice(pool string, generation int64, devices map[string][]string) resourcev1.ResourceSlice {
	s := resourcev1.ResourceSlice{Spec: resourcev1.ResourceSliceSpec{Driver: "d", Pool: resourcev1.ResourcePool{Name: pool, Generation: generation}}}
	for name, attributes := range devices {
		d := resourcev1.Device{Name: name, Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{}}
		for _, a := range attributes {
			key, value, _ := strings.Cut(a, "=")
			d.Attributes[resourcev1.QualifiedName(key)] = resourcev1.DeviceAttribute{StringValue: &value}
		}
		s.Spec.Devices = append(s.Spec.Devices, d)
	}
	return s
}

func sliceList(all ...resourcev1.ResourceSlice) *resourcev1.ResourceSliceList {
	return &resourcev1.ResourceSliceList{TypeMeta: metav1.TypeMeta{Kind: "ResourceSliceList", APIVersion: "resource.k8s.io/v1"}, Items: all}
}

const (
	claimsPath  = "/apis/resource.k8s.io/v1/namespaces/ns/resourceclaims/"
	nodeSlices  = "/apis/resource.k8s.io/v1/resourceslices?spec.nodeName=n1,spec.driver=d"
	otherSlices = "/apis/resource.k8s.io/v1/resourceslices?spec.nodeName=,spec.driver=d"
)

func podWith(claims ...corev1.PodResourceClaim) *corev1.Pod {
	return &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: types.UID("u")}, Spec: corev1.PodSpec{NodeName: "n1", ResourceClaims: claims}}
}

func named(name, claim string) corev1.PodResourceClaim {
	return corev1.PodResourceClaim{Name: name, ResourceClaimName: &claim}
}

func TestClaimedDevices(t *testing.T) {
	nic := func(id string) []string {
		return []string{"k8s.cni.cncf.io/deviceID=" + id, "k8s.cni.cncf.io/resourceName=x/nic"}
	}
	o := &objects{byPath: map[string]any{
		claimsPath + "a": claim(given("vf", "p", "one"), given("vf/first", "p", "pci"), given("gpu", "p", "gpu"), given("vf", "p", "gone")),
		claimsPath + "b": claim(given("vf", "fabric", "seven")),
		claimsPath + "e": claim(given("container-0-request-0", "p", "two")),
		nodeSlices: sliceList(slice("p", 2, map[string][]string{"one": nic("1"), "two": nic("2"), "pci": {"resource.kubernetes.io/pciBusID=0000:00:01.0"}, "gpu": nil}),
			slice("p", 1, map[string][]string{"one": nic("old"), "gone": nic("gone")})),
		otherSlices: sliceList(slice("fabric", 1, map[string][]string{"seven": nic("7")})),
	}}
	k := openKubernetes(t, o)
	p := podWith(named("first", "a"), named("second", "b"))
	p.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "e",
		RequestMappings: []corev1.ContainerExtendedResourceRequest{{ContainerName: "c", ResourceName: "x/two", RequestName: "container-0-request-0"}}}
	got, err := k.ClaimedDevices(t.Context(), podOf(p))
	want := []Device{{"first/vf", "0000:00:01.0"}, {"x/nic", "1"}, {"x/nic", "7"}, {"x/two", "2"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	asked := []string{claimsPath + "a", nodeSlices, otherSlices, claimsPath + "b", claimsPath + "e"}
	if !reflect.DeepEqual(o.asked, asked) {
		t.Errorf("asked for %v, want %v: each list once", o.asked, asked)
	}
	if _, err := k.ClaimedDevices(Offline(t.Context()), podOf(p)); err == nil || len(o.asked) != len(asked) {
		t.Errorf("offline: %v, asked %d times", err, len(o.asked)-len(asked))
	}
}

// The other way round the older generation comes first.
func TestGenerations(t *testing.T) {
	p := newPublished(nil)
	for _, generation := range []int64{1, 2} {
		s := slice("p", generation, map[string][]string{"d" + string(rune('0'+generation)): {"k8s.cni.cncf.io/deviceID=x"}})
		p.add(&s.Spec)
	}
	if len(p.devices) != 1 || p.devices[deviceKey{"d", "p", "d2"}].ID != "x" {
		t.Errorf("got %v", p.devices)
	}
}

func TestNoClaims(t *testing.T) {
	o := &objects{}
	k := openKubernetes(t, o)
	got, err := k.ClaimedDevices(Offline(t.Context()), podOf(podWith()))
	if got != nil || err != nil || o.asked != nil {
		t.Errorf("got %v, %v, asked for %v", got, err, o.asked)
	}
}

// A claim that was not made when the pod was heard of is looked for again.
func TestClaimOfTemplate(t *testing.T) {
	template, made := "t", "made"
	pending := podWith(corev1.PodResourceClaim{Name: "c", ResourceClaimTemplateName: &template}, corev1.PodResourceClaim{Name: "unused", ResourceClaimTemplateName: &template})
	done := pending.DeepCopy()
	done.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "c", ResourceClaimName: &made}, {Name: "unused"}}
	o := &objects{byPath: map[string]any{
		"/api/v1/namespaces/ns/pods/p": done,
		claimsPath + "made":            claim(given("vf", "p", "one")),
		nodeSlices:                     sliceList(slice("p", 1, map[string][]string{"one": {"k8s.cni.cncf.io/deviceID=1"}})),
	}}
	k := openKubernetes(t, o)
	got, err := k.ClaimedDevices(t.Context(), podOf(pending))
	if want := []Device{{"c/vf", "1"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	o.byPath["/api/v1/namespaces/ns/pods/p"] = pending
	if _, err := k.ClaimedDevices(t.Context(), podOf(pending)); err == nil || !strings.Contains(err.Error(), `claim "c" of pod ns/p`) {
		t.Errorf("got %v", err)
	}
}

func TestClaimErrors(t *testing.T) {
	o := &objects{byPath: map[string]any{claimsPath + "empty": &resourcev1.ResourceClaim{TypeMeta: claimType}}}
	k := openKubernetes(t, o)
	for name, part := range map[string]string{"empty": "no device is allocated", "absent": "ns/absent", "../x": "no name of a claim"} {
		_, err := k.ClaimedDevices(context.Background(), podOf(podWith(named("c", name))))
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("claim %s: %v", name, err)
		}
	}
}

// What the daemon remembers of a pod is enough for its claims.
func TestTrimmedPodKeepsClaims(t *testing.T) {
	p := podWith(named("c", "a"))
	p.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "e"}
	trimmed, err := trimPod(p)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := podOf(trimmed.(*corev1.Pod)).claims, claimsOf(p); !reflect.DeepEqual(got, want) || got == nil {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
