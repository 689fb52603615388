// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"strings"

	cni100 "github.com/containernetworking/cni/pkg/types/100"
)

// Request is the body of a POST to MultusCNIAPIEndpoint or MultusDelegateAPIEndpoint (EP-12).
type Request struct {
	// Env holds the CNI_* variables of the caller (CNI spec 1.1.0, section 2 "Execution Protocol", "Parameters"), and
	// TRACEPARENT, TRACESTATE and BAGGAGE, its trace context, where it has one (SEC-05).
	Env map[string]string `json:"env,omitempty"`
	// Config is the network configuration as the runtime wrote it to stdin, byte for byte; base64 on the wire.
	Config []byte `json:"config,omitempty"`
	// InterfaceAttributes says what a hot-plugged attachment asks for. Only MultusDelegateAPIEndpoint reads it; nil
	// asks for nothing.
	InterfaceAttributes *DelegateInterfaceAttributes `json:"interfaceAttributes,omitempty"`
}

// DelegateInterfaceAttributes are the wishes of one hot-plugged attachment; they reach the delegate as runtime config
// and args (HOT-01).
type DelegateInterfaceAttributes struct {
	// IPRequest lists the requested addresses, with or without prefix length.
	IPRequest []string `json:"ips,omitempty"`
	// MacRequest is the requested hardware address, such as "02:00:00:00:00:01".
	MacRequest string `json:"mac,omitempty"`
	// CNIArgs is merged into "args.cni" of the delegate's configuration; nil is sent as null.
	CNIArgs *map[string]interface{} `json:"cni-args"`
}

// Response is the body of a successful answer. It marshals as {"Result": …}; a command other than ADD has no result
// and is answered by an empty body or an empty object (EP-03, EP-04).
type Response struct {
	// Result is the default network's result of an ADD, in a CNI 1.x version (ADD-02).
	Result *cni100.Result
}

// CreateDelegateRequest builds the Request that attaches (ADD), removes (DEL) or checks (CHECK) one network of a
// running sandbox at MultusDelegateAPIEndpoint. The command's case does not matter; cniConfig is the network's CNI
// configuration; interfaceAttributes may be nil. Nothing is validated here: the daemon answers what it does not accept.
func CreateDelegateRequest(cniCommand, cniContainerID, cniNetNS, cniIFName, podNamespace, podName, podUID string,
	cniConfig []byte, interfaceAttributes *DelegateInterfaceAttributes) *Request {
	return &Request{
		Env: map[string]string{
			"CNI_COMMAND":     strings.ToUpper(cniCommand),
			"CNI_CONTAINERID": cniContainerID,
			"CNI_NETNS":       cniNetNS,
			"CNI_IFNAME":      cniIFName,
			"CNI_ARGS": fmt.Sprintf("K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_UID=%s",
				podNamespace, podName, podUID),
		},
		Config:              cniConfig,
		InterfaceAttributes: interfaceAttributes,
	}
}
