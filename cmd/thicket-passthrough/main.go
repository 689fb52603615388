// SPDX-License-Identifier: Apache-2.0

// Command thicket-passthrough is a CNI plugin that does nothing: it passes
// prevResult on, and answers an empty result as the first of a chain. The
// auxiliary chain (auxiliaryCNIChainName) begins with it, because the plugins
// of such a chain expect another one before them.
package main

import (
	"encoding/json"
	"fmt"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/buildinfo"
)

// version is set at build time with -ldflags "-X main.version=…".
var version string

func main() {
	nothing := func(*skel.CmdArgs) error { return nil }
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Del: nothing, Check: nothing, GC: nothing, Status: nothing},
		cniversion.All, "CNI plugin thicket-passthrough "+buildinfo.Version(version)+": passes prevResult on")
}

func add(args *skel.CmdArgs) error {
	var conf types.PluginConf
	if err := json.Unmarshal(args.StdinData, &conf); err != nil {
		return types.NewError(types.ErrDecodingFailure, fmt.Sprintf("network configuration: %v", err), "")
	}
	if err := cniversion.ParsePrevResult(&conf); err != nil {
		return types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("prevResult: %v", err), "")
	}
	result := conf.PrevResult
	if result == nil {
		result = &types100.Result{CNIVersion: types100.ImplementedSpecVersion}
	}
	return types.PrintResult(result, conf.CNIVersion)
}
