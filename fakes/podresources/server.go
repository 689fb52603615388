// SPDX-License-Identifier: Apache-2.0

// Package podresources is a kubelet's pod-resources API (v1) on a unix socket,
// with the answers that a test sets: real gRPC and protobuf, and no kubelet.
package podresources

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// Server answers List until Close. Its methods are safe for concurrent use.
type Server struct {
	podresources.UnimplementedPodResourcesListerServer

	grpc *grpc.Server
	done chan struct{}

	mu    sync.Mutex
	pods  map[string]*podresources.PodResources
	fault error
	asked int
}

// Device is what a container has of one resource, on one NUMA node: a kubelet
// lists the devices of a resource in as many pieces as it has nodes.
type Device struct {
	// Container is the container's name, such as "app".
	Container string
	// Resource is an extended resource's name, IDs are the device plugin's.
	Resource string
	IDs      []string
}

// Serve makes a socket, and its directory when that is missing, and serves
// there. No pod has any resources at first.
func Serve(socket string) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", socket) //nolint:noctx // Close ends it
	if err != nil {
		return nil, fmt.Errorf("pod-resources socket: %w", err)
	}
	s := &Server{grpc: grpc.NewServer(), done: make(chan struct{}), pods: map[string]*podresources.PodResources{}}
	podresources.RegisterPodResourcesListerServer(s.grpc, s)
	go func() {
		defer close(s.done)
		_ = s.grpc.Serve(l) // it ends with Close
	}()
	return s, nil
}

// Set gives a pod these devices in place of those that it had; none are a pod
// without containers.
func (s *Server) Set(namespace, name string, devices ...Device) {
	pod := &podresources.PodResources{Namespace: namespace, Name: name}
	for _, d := range devices {
		at := slices.IndexFunc(pod.Containers, func(c *podresources.ContainerResources) bool { return c.GetName() == d.Container })
		if at < 0 {
			at = len(pod.Containers)
			pod.Containers = append(pod.Containers, &podresources.ContainerResources{Name: d.Container})
		}
		pod.Containers[at].Devices = append(pod.Containers[at].Devices, &podresources.ContainerDevices{
			ResourceName: d.Resource, DeviceIds: d.IDs,
			Topology: &podresources.TopologyInfo{Nodes: []*podresources.NUMANode{{ID: 0}}},
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods[namespace+"/"+name] = pod
}

// Fail has every question answered with a gRPC error of this message, "" to
// end it.
func (s *Server) Fail(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = nil
	if message != "" {
		s.fault = status.Error(codes.Internal, message)
	}
}

// Asked is how many questions have been answered so far.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Close ends the server and removes its socket, as a kubelet that ends.
func (s *Server) Close() {
	s.grpc.Stop()
	<-s.done
}

// List implements the API: the pods in the order of their names.
func (s *Server) List(context.Context, *podresources.ListPodResourcesRequest) (*podresources.ListPodResourcesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.fault != nil {
		return nil, s.fault
	}
	answer := &podresources.ListPodResourcesResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.pods)) {
		answer.PodResources = append(answer.PodResources, s.pods[name])
	}
	return proto.CloneOf(answer), nil
}

// Get implements the API, as far as the kubelet's List has the pod.
func (s *Server) Get(_ context.Context, r *podresources.GetPodResourcesRequest) (*podresources.GetPodResourcesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.fault != nil {
		return nil, s.fault
	}
	pod, ok := s.pods[r.GetPodNamespace()+"/"+r.GetPodName()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "pod %s in namespace %s not found", r.GetPodName(), r.GetPodNamespace())
	}
	return &podresources.GetPodResourcesResponse{PodResources: proto.CloneOf(pod)}, nil
}
