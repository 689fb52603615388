// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

const (
	// bodyTimeout is how long a client may take to send its body.
	bodyTimeout = 10 * time.Second
	// drainFactor is how many times the limit is read, and forgotten, of a body
	// over it: a client that writes its whole request before it reads would
	// otherwise see a broken connection in place of the answer.
	drainFactor = 16
	// drainTimeout bounds that, for a client that announces more than it sends.
	drainTimeout = time.Second
)

// readRequest reads and decodes a body within the limit. Its errors are
// answers: 413 for a body over the limit (EP-09), 400 and code 6 for one that
// is not the API's JSON (EP-06).
func readRequest(w http.ResponseWriter, r *http.Request, limit int64) (*api.Request, error) {
	tooLarge := &answer{http.StatusRequestEntityTooLarge,
		types.NewError(types.ErrIOFailure, fmt.Sprintf("the request is larger than %d bytes", limit), "")}
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Now().Add(bodyTimeout))
	if r.ContentLength > limit {
		drain(ctl, r.Body, limit)
		return nil, tooLarge
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		drain(ctl, r.Body, limit)
		return nil, tooLarge
	case err != nil:
		return nil, badRequest(types.ErrIOFailure, "the request could not be read: "+err.Error())
	}
	// From here on the connection is watched for the client's going away.
	_ = ctl.SetReadDeadline(time.Time{})
	var req *api.Request
	if err := decodeExact(data, &req); err != nil {
		return nil, badRequest(types.ErrDecodingFailure, "the request is not valid JSON of the API: "+err.Error())
	}
	if req == nil {
		return nil, badRequest(types.ErrDecodingFailure, "the request is null")
	}
	return req, nil
}

// decodeExact decodes JSON and keeps the digits of numbers whose type is open:
// cni-args and runtimeConfig reach delegates as they were written (ADD-16).
func decodeExact(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the closing brace")
	}
	return nil
}

// drain reads and forgets what is left of a body, up to a multiple of the limit.
func drain(ctl *http.ResponseController, body io.Reader, limit int64) {
	_ = ctl.SetReadDeadline(time.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, body, drainFactor*limit)
}

func badRequest(code uint, msg string) error {
	return &answer{http.StatusBadRequest, types.NewError(code, msg, "")}
}

// needs lists, by command, the variables that the CNI spec (section 2) requires.
var needs = map[string][]string{
	"ADD":    {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
	"CHECK":  {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
	"DEL":    {"CNI_CONTAINERID", "CNI_IFNAME"},
	"GC":     nil,
	"STATUS": nil,
}

// validate checks the variables of a request by the CNI rules and returns the
// command and what package attach works on. Its errors are 400 with code 4,
// and name the variable (EP-07, EP-08).
func validate(req *api.Request) (string, *attach.Request, error) {
	command := req.Env["CNI_COMMAND"]
	required, known := needs[command]
	if !known {
		if command == "" {
			return "", nil, badRequest(types.ErrInvalidEnvironmentVariables, "CNI_COMMAND is missing")
		}
		return "", nil, badRequest(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_COMMAND %q is not ADD, DEL, CHECK, GC or STATUS", command))
	}
	for _, name := range required {
		if req.Env[name] == "" {
			return "", nil, badRequest(types.ErrInvalidEnvironmentVariables, name+" is missing")
		}
	}
	r := &attach.Request{
		ContainerID: req.Env["CNI_CONTAINERID"],
		Netns:       req.Env["CNI_NETNS"],
		Interface:   req.Env["CNI_IFNAME"],
		Config:      req.Config,
	}
	if err := validateNames(command, r); err != nil {
		return "", nil, err
	}
	if err := parseArgs(req.Env["CNI_ARGS"], r); err != nil {
		return "", nil, err
	}
	return command, r, readConfig(r)
}

// mostArgs is the longest CNI_ARGS, in bytes. The kernel has a limit for each
// variable of a program, and a delegate gets a little more than this (SEC-10).
const mostArgs = 64 << 10

func validateNames(command string, r *attach.Request) error {
	if r.ContainerID != "" {
		if err := utils.ValidateContainerID(r.ContainerID); err != nil {
			return badRequest(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_CONTAINERID: %s (%s)", err.Msg, err.Details))
		}
	}
	// The record's file name is made of it, and file systems end names at 255.
	if most := 200; len(r.ContainerID) > most {
		return badRequest(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_CONTAINERID is longer than %d characters", most))
	}
	if r.Interface != "" {
		if err := utils.ValidateInterfaceName(r.Interface); err != nil {
			return badRequest(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_IFNAME: %s (%s)", err.Msg, err.Details))
		}
	}
	if command == "ADD" {
		// What an earlier version has accepted can still be deleted.
		if err := network.CheckInterfaceName(r.Interface); err != nil {
			return badRequest(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_IFNAME: %v", err))
		}
	}
	if strings.ContainsRune(r.Netns, 0) {
		return badRequest(types.ErrInvalidEnvironmentVariables, "CNI_NETNS contains a NUL byte")
	}
	return nil
}

// knownArgs are the keys of CNI_ARGS that need no IgnoreUnknown.
var knownArgs = []string{
	"IgnoreUnknown", "IP", "K8S_POD_NAME", "K8S_POD_NAMESPACE", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID",
}

// parseArgs splits CNI_ARGS into its pairs; only the first '=' of a pair is
// the separator (EP-11). Delegates get all pairs, and IgnoreUnknown with them,
// because none of them knows the pod's keys.
func parseArgs(text string, r *attach.Request) error {
	bad := func(msg string) error {
		return badRequest(types.ErrInvalidEnvironmentVariables, "CNI_ARGS: "+msg)
	}
	if len(text) > mostArgs {
		return bad(fmt.Sprintf("it has %d bytes; the most is %d", len(text), mostArgs))
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(text, ";") {
		if pair == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return bad(fmt.Sprintf("%q is no KEY=VALUE pair", pair))
		}
		if strings.ContainsRune(pair, 0) {
			return bad(fmt.Sprintf("%s contains a NUL byte", key))
		}
		values[key] = value
		r.Args = append(r.Args, [2]string{key, value})
	}
	if ignore := values["IgnoreUnknown"]; ignore != "1" && !strings.EqualFold(ignore, "true") {
		for key := range values {
			if !slices.Contains(knownArgs, key) {
				return bad(fmt.Sprintf("%s is unknown, and IgnoreUnknown is not set", key))
			}
		}
		r.Args = slices.DeleteFunc(r.Args, func(p [2]string) bool { return p[0] == "IgnoreUnknown" })
		if len(r.Args) > 0 {
			r.Args = append([][2]string{{"IgnoreUnknown", "1"}}, r.Args...)
		}
	}
	r.Pod = ledger.Pod{Namespace: values["K8S_POD_NAMESPACE"], Name: values["K8S_POD_NAME"], UID: values["K8S_POD_UID"]}
	return nil
}

// readConfig takes from the runtime's configuration what concerns the daemon.
func readConfig(r *attach.Request) error {
	if len(r.Config) == 0 {
		return nil
	}
	var conf struct {
		CNIVersion    versionText    `json:"cniVersion"`
		RuntimeConfig map[string]any `json:"runtimeConfig"`
	}
	if err := decodeExact(r.Config, &conf); err != nil {
		return badRequest(types.ErrDecodingFailure, "config is not a valid network configuration: "+err.Error())
	}
	r.Version, r.RuntimeConfig = string(conf.CNIVersion), conf.RuntimeConfig
	return nil
}

// versionText is a cniVersion. It matters for a shim only, which has checked that it
// is a string (SHIM-02); another client's request must not fail by it.
type versionText string

// UnmarshalJSON implements json.Unmarshaler. It passes over what is not a string,
// and over null, as encoding/json does for a string.
func (v *versionText) UnmarshalJSON(data []byte) error {
	var text string
	if string(data) != "null" && json.Unmarshal(data, &text) == nil {
		*v = versionText(text)
	}
	return nil
}
