// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/utils"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// lookScript is the program of every pod of the tests. It prints the pod's
// addresses before anything else, and again whenever they change, so that the
// log has all networks that the pod ever had. A pod cannot be Ready before its
// program runs: what the first look lacks was missing at Ready.
const lookScript = `
	last=
	while :; do
		now=$(ip -o -4 address show)
		if [ "$now" != "$last" ]; then
			echo look
			echo "$now"
			echo seen
			last=$now
		fi
		sleep 2
	done`

// look is what a pod saw of its networks from the inside: the addresses of each
// interface but the loopback.
type look struct {
	at        time.Time
	addresses map[string][]string
}

func (l look) String() string {
	var words []string
	for name, addresses := range l.addresses {
		words = append(words, name+" "+strings.Join(addresses, " "))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// parseLooks reads the log of lookScript, in which the runtime puts a timestamp
// before each line. A look that is not complete yet is left out.
func parseLooks(log string) ([]look, error) {
	var looks []look
	var current look
	for line := range strings.Lines(log) {
		stamp, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		switch fields := strings.Fields(text); {
		case text == "look":
			current = look{at: at, addresses: map[string][]string{}}
		case text == "seen":
			looks = append(looks, current)
		case len(fields) < 4 || fields[2] != "inet" || current.addresses == nil:
			return nil, fmt.Errorf("%q is not a line of ip -o -4 address show", text)
		case fields[1] != "lo":
			address, _, _ := strings.Cut(fields[3], "/")
			current.addresses[fields[1]] = append(current.addresses[fields[1]], address)
		}
	}
	return looks, nil
}

// requested returns the interfaces that a pod's annotation asks for, by the
// standard's own rules for their names, and the default network's.
func requested(pod *corev1.Pod) []string {
	GinkgoHelper()
	names := []string{"eth0"}
	annotation := pod.Annotations[networksAnnotation]
	if annotation == "" {
		return names
	}
	selections, err := utils.ParseNetworkAnnotation(annotation, pod.Namespace)
	Expect(err).NotTo(HaveOccurred())
	for i, s := range selections {
		name := s.InterfaceRequest
		if name == "" {
			name = fmt.Sprintf("net%d", i+1)
		}
		names = append(names, name)
	}
	return names
}

// inside returns what a Ready pod saw of its networks when it started. All that
// it asked for have to be there from the beginning, and to stay.
func inside(ctx context.Context, pod *corev1.Pod) look {
	GinkgoHelper()
	var looks []look
	Eventually(func() ([]look, error) {
		log, err := the.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Timestamps: true}).DoRaw(ctx)
		if err != nil {
			return nil, err
		}
		looks, err = parseLooks(string(log))
		return looks, err
	}).WithContext(ctx).ShouldNot(BeEmpty(), "the log of %s", pod.Name)
	where := fmt.Sprintf("%s on %s is Ready; from the inside it had: %s", pod.Name, pod.Spec.NodeName, looks[0])
	var names []string
	for name := range looks[0].addresses {
		names = append(names, name)
	}
	Expect(names).To(ConsistOf(requested(pod)), where)
	Expect(looks[0].addresses["eth0"]).To(ConsistOf(pod.Status.PodIP), where)
	Expect(looks).To(HaveLen(1), "the networks of %s changed while it ran", pod.Name)
	return looks[0]
}

// expectStatus expects that a pod's network-status says what the pod saw.
func expectStatus(pod *corev1.Pod, seen look) {
	GinkgoHelper()
	told := look{addresses: map[string][]string{}}
	for _, s := range statusOf(pod) {
		told.addresses[s.Interface] = s.IPs
	}
	Expect(told.String()).To(Equal(seen.String()), "network-status of %s, and what it saw from the inside", pod.Name)
}

func TestParseLooks(t *testing.T) {
	g := NewWithT(t)
	looks, err := parseLooks(`2026-11-26T14:00:01.5Z look
2026-11-26T14:00:01.6Z 1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2026-11-26T14:00:01.6Z 2: eth0    inet 10.244.1.7/24 brd 10.244.1.255 scope global eth0\       valid_lft forever
2026-11-26T14:00:01.6Z 3: net1    inet 10.96.0.7/26 brd 10.96.0.63 scope global net1\       valid_lft forever
2026-11-26T14:00:01.6Z seen
2026-11-26T14:00:05Z look
2026-11-26T14:00:05Z 2: eth0    inet 10.244.1.7/24 brd 10.244.1.255 scope global eth0
`)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(looks).To(HaveLen(1), "the second look is not complete")
	g.Expect(looks[0].at).To(Equal(time.Date(2026, 11, 26, 14, 0, 1, 500_000_000, time.UTC)))
	g.Expect(looks[0].String()).To(Equal("eth0 10.244.1.7, net1 10.96.0.7"))

	_, err = parseLooks("2026-11-26T14:00:01Z look\n2026-11-26T14:00:01Z ip: not found\n")
	g.Expect(err).To(MatchError(ContainSubstring("ip: not found")))
}
