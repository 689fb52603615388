// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/utils"
)

// request is what a client posts; the names are the API's.
type request struct {
	Env                 map[string]string `json:"env,omitempty"`
	Config              []byte            `json:"config,omitempty"`
	InterfaceAttributes *struct {
		IPs  []string       `json:"ips,omitempty"`
		MAC  string         `json:"mac,omitempty"`
		Args map[string]any `json:"cni-args"`
	} `json:"interfaceAttributes,omitempty"`
}

// response is the answer to an ADD.
type response struct {
	Result *types100.Result
}

// refusal is an error of the daemon's own, which a delegate's is not.
type refusal struct{ cni *types.Error }

func (r *refusal) Error() string { return r.cni.Error() }

func (r *refusal) Unwrap() error { return r.cni }

func refuse(code uint, format string, args ...any) error {
	return &refusal{types.NewError(code, fmt.Sprintf(format, args...), "")}
}

// The longest msg and details of an error, and the longest text in a log line.
const (
	longestAnswer = 8 << 10
	longestLine   = 900
)

func cut(text string, limit int) string {
	if len(text) <= limit || broken("cuts-nothing") {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + fmt.Sprintf(" [cut, %d more bytes]", len(text)-limit)
}

// cniError is any error in the form that a client gets. A delegate's keeps its
// code, msg and details.
func cniError(err error) *types.Error {
	var e *types.Error
	if !errors.As(err, &e) {
		e = types.NewError(types.ErrInternal, err.Error(), "")
	}
	return types.NewError(e.Code, cut(e.Msg, longestAnswer), cut(e.Details, longestAnswer))
}

// httpStatus tells a client's mistakes from failures.
func httpStatus(err error) int {
	var own *refusal
	if errors.As(err, &own) {
		switch own.cni.Code {
		case types.ErrInvalidEnvironmentVariables, types.ErrDecodingFailure, types.ErrInvalidNetworkConfig, types.ErrInvalidNetNS, types.ErrUnknownContainer:
			return 400
		case types.ErrTryAgainLater:
			return 503
		}
	}
	return 500
}

var interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)

// validate looks at the CNI variables of a request.
func (r *request) validate() error {
	command := r.Env["CNI_COMMAND"]
	switch command {
	case "STATUS", "GC":
		return nil
	case "ADD", "DEL", "CHECK":
	default:
		return refuse(types.ErrInvalidEnvironmentVariables, "CNI_COMMAND is %q; want ADD, DEL, CHECK, GC or STATUS", command)
	}
	id, ifName, netns := r.Env["CNI_CONTAINERID"], r.Env["CNI_IFNAME"], r.Env["CNI_NETNS"]
	if err := utils.ValidateContainerID(id); err != nil || len(id) > 128 {
		return refuse(types.ErrInvalidEnvironmentVariables, "CNI_CONTAINERID %q is missing or not a container id", id)
	}
	if err := utils.ValidateInterfaceName(ifName); err != nil || !interfaceName.MatchString(ifName) {
		return refuse(types.ErrInvalidEnvironmentVariables, "CNI_IFNAME %q is missing or not an interface name", ifName)
	}
	if netns == "" && command != "DEL" || strings.ContainsRune(netns, 0) {
		return refuse(types.ErrInvalidEnvironmentVariables, "CNI_NETNS is missing, or not a path")
	}
	for _, pair := range strings.Split(r.Env["CNI_ARGS"], ";") {
		if pair != "" && !strings.Contains(pair, "=") {
			return refuse(types.ErrInvalidEnvironmentVariables, "CNI_ARGS has %q, which is not a key and a value", pair)
		}
	}
	return nil
}

// args are the pairs of CNI_ARGS, in their order.
func (r *request) args() (pairs [][2]string) {
	for _, pair := range strings.Split(r.Env["CNI_ARGS"], ";") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			pairs = append(pairs, [2]string{key, value})
		}
	}
	return pairs
}

// podOf is the pod that the arguments name.
func podOf(pairs [][2]string) (p podRef) {
	for _, pair := range pairs {
		switch pair[0] {
		case "K8S_POD_NAMESPACE":
			p.Namespace = pair[1]
		case "K8S_POD_NAME":
			p.Name = pair[1]
		case "K8S_POD_UID":
			p.UID = pair[1]
		}
	}
	return p
}
