// SPDX-License-Identifier: Apache-2.0

// Package suite is the engine: it has cases, selects among them, runs each in a
// process with namespaces of its own, and reports. It knows neither CNI nor
// Kubernetes; what a case asks of its subject is between the two.
package suite

import (
	"context"
	"os/exec"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// Subject is what a run judges. Every kind of target has this much; what else
// its cases need is between the kind and its profiles.
type Subject interface {
	// Name is what reports call it.
	Name() string
	// Version asks it for its version; "" when it does not tell.
	Version(ctx context.Context) (string, error)
	// Features lists what it supports.
	Features() []spec.Feature
}

// Service is what the cases of a run share and each only visits, such as an API
// server: starting one takes longer than most cases.
type Service interface {
	// Open makes the service ready, with its files below a directory. A
	// *MissingError means that there is nothing to start: the cases are skipped
	// with that reason.
	Open(ctx context.Context, dir string) error
	// Environment tells the cases' processes how to reach the service. Before
	// Open it says that there is none.
	Environment() []string
	// Sweep removes what the case with that id left, however the case ended.
	Sweep(ctx context.Context, id string) error
	// Close ends the service.
	Close() error
}

// Commander is a Service that runs tasks in child processes: it is told the
// run's command before it is opened.
type Commander interface {
	UseCommand(func(ctx context.Context) *exec.Cmd)
}

// MissingError says that a service cannot be had on this machine, and what to
// do about it.
type MissingError struct{ Err error }

// Error implements error.
func (e *MissingError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *MissingError) Unwrap() error { return e.Err }
