// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
)

// statusWrite is statusWriter of a pod that has no sandbox.
func (b *bench) statusWrite(ctx context.Context) func(round int) time.Duration {
	ginkgo.GinkgoHelper()
	write := b.statusWriter(ctx)
	if write == nil {
		return nil
	}
	box := b.sides[0].Sandbox(node.WithoutNetns())
	return func(round int) time.Duration { return write(box, round) }
}

// statusWriter returns what writes a pod's network status, as a daemon does, and
// says how long that took: a part of every ADD that no daemon can make shorter.
// It is nil where the benchmark has no API server of its own.
func (b *bench) statusWriter(ctx context.Context) func(box *node.Sandbox, round int) time.Duration {
	ginkgo.GinkgoHelper()
	s := b.sides[0]
	w, ok := s.World.(*kube.World)
	if !ok || w.Access.Address == "" {
		return nil
	}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "https://" + w.Access.Address, BearerToken: w.Access.Token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: w.Access.CA}})
	Expect(err).NotTo(HaveOccurred())
	return func(box *node.Sandbox, round int) time.Duration {
		// Each is another one: the API server does not write what is there already.
		status := fmt.Sprintf(`[{"name":"default","interface":"eth0","ips":["192.0.2.%d"],"mac":"02:00:00:00:00:01","default":true,"dns":{}}]`, round%250)
		patch := node.MustJSON(map[string]any{"metadata": map[string]any{"annotations": map[string]string{kube.StatusAnnotation: status}}})
		start := time.Now()
		_, err := client.CoreV1().Pods(box.PodNamespace).Patch(ctx, box.PodName, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		took := time.Since(start)
		Expect(err).NotTo(HaveOccurred())
		return took
	}
}
