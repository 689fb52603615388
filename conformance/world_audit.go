// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// APIRequest is a request of the case's daemon, as the API server's audit log
// tells of it.
type APIRequest struct {
	// Verb is Kubernetes' (get, list, watch, patch, create …).
	Verb string
	// Resource has the subresource behind a slash; empty for other URLs.
	Resource        string
	Namespace, Name string
	URI, UserAgent  string
}

// isWrite says whether the request changes something.
func (r APIRequest) isWrite() bool {
	switch r.Verb {
	case "get", "list", "watch":
		return false
	}
	return true
}

// auditEvent is what is read of an event of audit.k8s.io/v1.
type auditEvent struct {
	Stage, Verb, RequestURI, UserAgent string
	User                               struct{ Username string }
	ObjectRef                          struct{ Resource, Subresource, Namespace, Name string }
}

// APIRequests lists what the case's daemon has asked of the API server so far,
// each request as soon as it arrived there. The case is skipped when the API
// server's audit log cannot be read, which is so for any but the suite's own.
func (e *Env) APIRequests() []APIRequest {
	ginkgo.GinkgoHelper()
	w := e.api()
	if w.access.AuditLog == "" {
		e.Skipf("the API server's audit log is needed, and this is not the suite's own API server; leave --kubeconfig out")
	}
	f, err := os.Open(w.access.AuditLog)
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	_, err = f.Seek(w.auditFrom, io.SeekStart)
	Expect(err).NotTo(HaveOccurred())
	data, err := io.ReadAll(f)
	Expect(err).NotTo(HaveOccurred())
	user := []byte(w.user())
	var all []APIRequest
	for line := range bytes.Lines(data) {
		if !bytes.Contains(line, user) || !bytes.HasSuffix(line, []byte("\n")) {
			continue // somebody else's, or still being written
		}
		var event auditEvent
		Expect(json.Unmarshal(line, &event)).To(Succeed(), "a line of the audit log: %s", line)
		if event.Stage != "RequestReceived" || event.User.Username != w.user() {
			continue
		}
		r := APIRequest{Verb: event.Verb, Resource: event.ObjectRef.Resource, Namespace: event.ObjectRef.Namespace,
			Name: event.ObjectRef.Name, URI: event.RequestURI, UserAgent: event.UserAgent}
		if event.ObjectRef.Subresource != "" {
			r.Resource += "/" + event.ObjectRef.Subresource
		}
		all = append(all, r)
	}
	return all
}

// Events lists the events of a sandbox's pod.
func (e *Env) Events(s *Sandbox) []corev1.Event {
	ginkgo.GinkgoHelper()
	w := e.api()
	var list *corev1.EventList
	Expect(call(func(ctx context.Context) (err error) {
		list, err = w.client.CoreV1().Events(s.PodNamespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.kind": "Pod", "involvedObject.name": s.PodName}.String(),
		})
		return err
	})).To(Succeed(), "the events of pod %s", s.PodName)
	return list.Items
}
