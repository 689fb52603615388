// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
)

// blue is a network that is attached to a pod that already runs.
const blue = `{"cniVersion": "1.0.0", "name": "blue", "type": "macvlan", "master": "eth1", "ipam": {"type": "dhcp"}}`

// Attach one more network to a running pod, as a hot-plug controller does.
func Example_hotplug() {
	rundir, stop := daemon(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"Result": {"cniVersion": "1.0.0", "interfaces": [{"name": "net7", "sandbox": "/run/netns/web-1"}]}}`)
	})
	defer stop()

	request := api.CreateDelegateRequest("ADD", "4f1d", "/run/netns/web-1", "net7", "shop", "web-1", "0b9c",
		[]byte(blue), &api.DelegateInterfaceAttributes{MacRequest: "02:00:00:00:00:07"})
	body, err := api.DoCNI(api.GetAPIEndpoint(api.MultusDelegateAPIEndpoint), request, api.SocketPath(rundir))
	if err != nil {
		fmt.Println(err)
		return
	}
	var response api.Response
	if err := json.Unmarshal(body, &response); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("attached as", response.Result.Interfaces[0].Name)
	// Output: attached as net7
}

// A failed operation is a CNI error, with the code that the daemon or the
// delegate gave it.
func ExampleDoCNI_error() {
	rundir, stop := daemon(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprint(w, `{"code": 11, "msg": "too many requests", "details": "512 are served or wait"}`)
	})
	defer stop()

	request := api.CreateDelegateRequest("DEL", "4f1d", "/run/netns/web-1", "net7", "shop", "web-1", "0b9c", []byte(blue), nil)
	_, err := api.DoCNI(api.GetAPIEndpoint(api.MultusDelegateAPIEndpoint), request, api.SocketPath(rundir))
	var cniError *types.Error
	if errors.As(err, &cniError) && cniError.Code == types.ErrTryAgainLater {
		fmt.Println("come again later:", cniError.Msg)
	}
	// Output: come again later: too many requests
}

// Ask once whether a daemon serves the socket. The argument is the run
// directory, not the socket.
func ExampleCheckAPIReadyNow() {
	rundir, stop := daemon(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	fmt.Println(api.CheckAPIReadyNow(rundir))
	stop()
	fmt.Println(api.CheckAPIReadyNow(rundir) != nil)
	// Output:
	// <nil>
	// true
}

func ExampleSocketPath() {
	fmt.Println(api.SocketPath("/run/multus"))
	// Output: /run/multus/multus.sock
}

func ExampleGetAPIEndpoint() {
	fmt.Println(api.GetAPIEndpoint(api.MultusCNIAPIEndpoint))
	// Output: http://dummy/cni
}

func ExampleCreateDelegateRequest() {
	request := api.CreateDelegateRequest("del", "4f1d", "/run/netns/web-1", "net7", "shop", "web-1", "0b9c", []byte(blue), nil)
	fmt.Println(request.Env["CNI_COMMAND"], request.Env["CNI_IFNAME"], request.Env["CNI_ARGS"])
	// Output: DEL net7 K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=0b9c
}

// daemon serves a run directory of its own until stop is called.
func daemon(handle http.HandlerFunc) (rundir string, stop func()) {
	rundir, err := os.MkdirTemp("", "thicket-example-")
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("unix", api.SocketPath(rundir))
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: handle}
	go func() { _ = server.Serve(listener) }()
	return rundir, func() {
		_ = server.Close()
		_ = os.RemoveAll(rundir)
	}
}
