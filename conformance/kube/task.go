// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/thicket-cni/thicket/conformance/apiserver"
)

// A task is something that a program does in one child process, such as a
// benchmark. The parent asks TaskAPI, the child StartTaskAPI.

// TaskAPI makes the API server of a kubeconfig ready for a task's child, below
// a directory. Without a kubeconfig the child starts one, in its own
// namespaces; it is an error here when there is none to start. Without daemons
// that need one there is nothing to do. The caller closes the service.
func TaskAPI(ctx context.Context, s Settings, dir string) (*Service, error) {
	service := NewService(s, nil)
	switch {
	case len(s.Daemons) == 0:
		return service, nil
	case s.Kubeconfig == "":
		_, err := apiserver.Assets(s.Assets)
		return service, err
	}
	return service, service.Open(ctx, dir)
}

// StartTaskAPI starts an API server in the child's own namespaces, unless there
// is one already or no daemon needs one. Daemons reach it as they would on a
// node: nothing stands between, so it cannot be taken away from them.
func StartTaskAPI(s Settings, task, dir string) (end func(), err error) {
	if Given() || len(s.Daemons) == 0 {
		return func() {}, nil
	}
	fmt.Fprintln(os.Stderr, task+": starting an API server")
	s.Direct = true
	service := NewService(s, nil)
	if err := service.Open(context.Background(), dir); err != nil {
		return func() {}, err
	}
	for _, variable := range service.Environment() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return func() {}, err
		}
	}
	return func() { _ = service.Close() }, nil
}
