// SPDX-License-Identifier: Apache-2.0

package kube

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

// IsWrite says whether the request changes something.
func (r APIRequest) IsWrite() bool {
	switch r.Verb {
	case "get", "list", "watch":
		return false
	}
	return true
}

// AuditEvent is what is read of an event of audit.k8s.io/v1.
type AuditEvent struct {
	Stage, Verb, RequestURI, UserAgent string
	User                               struct{ Username string }
	ObjectRef                          struct{ Resource, Subresource, Namespace, Name string }
}
