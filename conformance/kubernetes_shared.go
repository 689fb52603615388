// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// API is a Kubernetes API server that several runs of Judge share, one after
// another or side by side: starting one takes longer than most cases.
type API struct {
	hosted *hostedAPI
	// role is the ClusterRole of the daemons of all runs.
	role string
	work string
}

// HostAPI makes an API server ready: that of s.Kubeconfig, or one that it
// starts. The daemons of all runs may do what s.Target's may. The error wraps
// an *apiserver.MissingError where there is nothing to start.
func HostAPI(ctx context.Context, s Settings) (*API, error) {
	work, err := os.MkdirTemp(s.WorkDir, "ta-")
	if err != nil {
		return nil, err
	}
	hosted, err := hostAPI(ctx, &s, work, s.Target)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(work))
	}
	return &API{hosted, hosted.access.ClusterRoles[s.Target.Name()], work}, nil
}

// Close removes what the runs left and ends what HostAPI started. No run may
// use it any more.
func (a *API) Close() error { return errors.Join(a.hosted.close(), os.RemoveAll(a.work)) }

// share is a run's part of it: with a label of its own, so that what one run
// removes is its own also where another one runs the same case.
func (a *API) share(work string, t Target) (*hostedAPI, error) {
	part := *a.hosted
	part.shared = true
	part.access.Run = randomHex(4)
	part.access.ClusterRoles = map[string]string{t.Name(): a.role}
	part.file = filepath.Join(work, "access.json")
	data, err := json.Marshal(part.access)
	if err == nil {
		err = os.WriteFile(part.file, data, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return &part, nil
}
