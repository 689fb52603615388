// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// API is a Kubernetes API server that several runs of Judge share, one after
// another or side by side: starting one takes longer than most cases.
type API struct {
	hosted *Server
	// role is the ClusterRole of the daemons of all runs.
	role string
	work string
}

// HostAPI makes an API server ready: that of s.Kubeconfig, or one that it
// starts. There is one daemon; those of all runs may do what it may. The error
// wraps an *apiserver.MissingError where there is nothing to start.
func HostAPI(ctx context.Context, s Settings, workDir string) (*API, error) {
	work, err := os.MkdirTemp(workDir, "ta-")
	if err != nil {
		return nil, err
	}
	hosted, err := Host(ctx, s, work)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(work))
	}
	return &API{hosted, hosted.access.ClusterRoles[s.Daemons[0].Name], work}, nil
}

// Close removes what the runs left and ends what HostAPI started. No run may
// use it any more.
func (a *API) Close() error { return errors.Join(a.hosted.close(), os.RemoveAll(a.work)) }

// share is a run's part of it: with a label of its own, so that what one run
// removes is its own also where another one runs the same case.
func (a *API) share(work string, daemon string) (*Server, error) {
	part := *a.hosted
	part.shared = true
	part.access.Run = node.RandomHex(4)
	part.access.ClusterRoles = map[string]string{daemon: a.role}
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

// Service is the API server of a run, as the cases' common service.
type Service struct {
	settings Settings
	shared   *API
	hosted   *Server
}

// NewService makes the service of a run. shared may be nil: the run then has
// an API server of its own.
func NewService(s Settings, shared *API) *Service {
	return &Service{settings: s, shared: shared}
}

// Open implements suite.Service.
func (s *Service) Open(ctx context.Context, dir string) error {
	var err error
	if s.shared != nil {
		s.hosted, err = s.shared.share(dir, s.settings.Daemons[0].Name)
		return err
	}
	s.hosted, err = Host(ctx, s.settings, dir)
	var missing *apiserver.MissingError
	if errors.As(err, &missing) {
		return &suite.MissingError{Err: err}
	}
	return err
}

// Environment implements suite.Service.
func (s *Service) Environment() []string {
	if s.hosted == nil {
		return []string{envKubernetes + "="}
	}
	return []string{envKubernetes + "=" + s.hosted.file}
}

// Sweep implements suite.Service.
func (s *Service) Sweep(ctx context.Context, id string) error {
	if s.hosted == nil {
		return nil
	}
	return s.hosted.sweep(ctx, id)
}

// Close implements suite.Service.
func (s *Service) Close() error {
	if s.hosted == nil {
		return nil
	}
	return s.hosted.close()
}

// Given reports whether this process was told of an API server.
func Given() bool { return os.Getenv(envKubernetes) != "" }

// Directory is where the API server's sockets are that this process was told of, ""
// without one.
func Directory() string {
	if !Given() {
		return ""
	}
	return filepath.Dir(os.Getenv(envKubernetes))
}
