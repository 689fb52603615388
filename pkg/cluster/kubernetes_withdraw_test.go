// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// onePod is an API server with one pod, whose status is removed by a patch that names
// it, and by no other one.
type onePod struct {
	pod     corev1.Pod
	patches int
}

func (o *onePod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPatch {
		o.patches++
		body, _ := io.ReadAll(r.Body)
		shown, _ := json.Marshal(o.pod.Annotations[statusAnnotation])
		if !strings.Contains(string(body), string(shown)) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: 422})
			return
		}
		delete(o.pod.Annotations, statusAnnotation)
	}
	_ = json.NewEncoder(w).Encode(o.pod)
}

// TestWithdrawWhatTheWatchHasNotTold: somebody has written the status anew, which the
// watch has not told of (HOT-07).
func TestWithdrawWhatTheWatchHasNotTold(t *testing.T) {
	for name, exact := range map[string]bool{"any status": false, "this one alone": true} {
		t.Run(name, func(t *testing.T) {
			api := &onePod{pod: corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{
				Namespace: "ns", Name: "p", UID: "u", Annotations: map[string]string{statusAnnotation: `[{"name":"default"}]`},
			}}}
			k := openKubernetes(t, api)
			known := &Pod{Namespace: "ns", Name: "p", UID: "u"}
			if err := k.withdrawFrom(t.Context(), known, &Withdrawal{Pod: known, Status: []NetworkStatus{{Name: "default"}}, Exact: exact}); err != nil {
				t.Fatal(err)
			}
			if _, shown := api.pod.Annotations[statusAnnotation]; shown != exact {
				t.Errorf("shown afterwards: %v, after %d patches", shown, api.patches)
			}
		})
	}
}
