// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

const (
	// kubeletTimeout bounds one question, which the kubelet answers from memory.
	kubeletTimeout = 10 * time.Second
	// answerLimit is the largest answer in bytes, which is about all pods of the
	// node; the kubelet's own clients have the same.
	answerLimit = 16 << 20
)

// plugged returns the devices that device plugins gave the containers of a
// pod, by the resource that they were asked for with. The kubelet lists the
// containers in the pod's order, and a container's devices in any, in a piece
// for each NUMA node.
func (s *Source) plugged(ctx context.Context, pod *cluster.Pod) (map[string][]string, error) {
	answer, err := s.ask(ctx)
	if err != nil {
		return nil, fmt.Errorf("pod-resources API of the kubelet, %s: %w", s.socket, err)
	}
	ids := map[string][]string{}
	for _, p := range answer.GetPodResources() {
		if p.GetNamespace() != pod.Namespace || p.GetName() != pod.Name {
			continue
		}
		for _, c := range p.GetContainers() {
			own := map[string][]string{}
			for _, d := range c.GetDevices() {
				own[d.GetResourceName()] = append(own[d.GetResourceName()], d.GetDeviceIds()...)
			}
			for resource, all := range own {
				slices.Sort(all)
				ids[resource] = append(ids[resource], all...)
			}
		}
	}
	return ids, nil
}

// ask lists the resources of all pods. The call that is about one pod is not
// used: kubelets have it switched off by default.
func (s *Source) ask(ctx context.Context) (*podresources.ListPodResourcesResponse, error) {
	switch info, err := os.Stat(s.socket); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; is the kubelet running, and its directory mounted where the daemon runs? The key podResourcesSocket names another one", fs.ErrNotExist)
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errors.New("this is no unix socket; name the kubelet's with the key podResourcesSocket")
	}
	ctx, cancel := context.WithTimeout(ctx, kubeletTimeout)
	defer cancel()
	// A connection for each question: there are few, and between them the daemon
	// keeps nothing of a kubelet that may be replaced.
	conn, err := grpc.NewClient("passthrough:///kubelet", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerLimit)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", s.socket)
		}))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	answer, err := podresources.NewPodResourcesListerClient(conn).List(ctx, &podresources.ListPodResourcesRequest{})
	if err != nil {
		return nil, fmt.Errorf("list: %w; is the kubelet running?", err)
	}
	return answer, nil
}
