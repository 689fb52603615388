// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile shim: what goes in and what comes out.
var wireMutants = []mutant.Mutant{
	{Name: "shim-few-versions", Cases: []string{"SHIM-01"}, Shim: fewVersions,
		Fault: "VERSION lists 0.3.1 to 1.0.0 only"},
	{Name: "shim-version-needs-daemon", Cases: []string{"SHIM-01"}, Shim: versionNeedsDaemon,
		Fault: "VERSION fails without a daemon"},
	{Name: "shim-version-fixed", Cases: []string{"SHIM-02"}, Shim: seam.WithConf(func(conf map[string]any) { conf["cniVersion"] = "1.0.0" }),
		Fault: "the result is always printed in CNI 1.0.0"},
	{Name: "shim-version-relabelled", Cases: []string{"SHIM-02"}, Shim: versionRelabelled,
		Fault: "the result is printed in the form of 1.0.0 under the version that was asked for"},
	{Name: "printed-result-in-newest-version", Cases: []string{"SHIM-02"}, Daemon: printedInNewest,
		Fault: "the daemon answers a shim of its own with a result in CNI 1.1.0, whatever is asked for"},
	{Name: "shim-logs-to-stdout", Cases: []string{"SHIM-03"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return func(args *skel.CmdArgs) error { seam.Say(os.Stdout, "msg=start"); return next(args) }
	}), Fault: "log lines go to stdout"},
	{Name: "shim-result-twice", Cases: []string{"SHIM-03"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Add = seam.Printing(s.Add, func(_ *skel.CmdArgs, out []byte) { seam.Say(os.Stdout, string(out)+string(out)) })
	}), Fault: "the result is printed twice"},
	{Name: "shim-chatty", Cases: []string{"SHIM-03"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return func(args *skel.CmdArgs) error { seam.Say(os.Stderr, "msg=start"); return next(args) }
	}), Fault: "log lines go to stderr although nobody asked for them"},
	{Name: "shim-log-file-ignored", Cases: []string{"SHIM-03"}, Shim: seam.WithConf(func(conf map[string]any) { delete(conf, "logFile") }),
		Fault: "logFile is ignored"},
	{Name: "shim-own-namespace", Cases: []string{"SHIM-15"}, Shim: seam.Around(anyNamespace),
		Fault: "the shim passes on what is asked for in the network namespace that it runs in"},
	{Name: "shim-own-namespace-late", Cases: []string{"SHIM-15"}, Shim: seam.Around(ownNamespaceLate),
		Fault: "the network namespace that the shim runs in is refused after the delegates have run"},
	{Name: "shim-config-compacted", Cases: []string{"SHIM-04"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return func(args *skel.CmdArgs) error { args.StdinData = seam.Compacted(args.StdinData); return next(args) }
	}), Fault: "the configuration reaches the daemon without its white space"},
	{Name: "shim-env-known-only", Cases: []string{"SHIM-04"}, Shim: seam.WithEnv(keepKnownVariables),
		Fault: "only the CNI variables that the shim knows reach the daemon"},
	{Name: "shim-env-trimmed", Cases: []string{"SHIM-04"}, Shim: seam.WithEnv(trimVariables),
		Fault: "blanks round the values of CNI variables are cut off"},
	{Name: "shim-error-code-lost", Cases: []string{"SHIM-05"}, Shim: seam.OnShimError(func(e *types.Error) error { return errors.New(e.Msg) }),
		Fault: "a daemon's error is printed with a code of the shim's own"},
	{Name: "shim-error-wrapped", Cases: []string{"SHIM-05"}, Shim: seam.OnShimError(func(e *types.Error) error {
		return types.NewError(e.Code, "the daemon failed: "+e.Msg, e.Details)
	}), Fault: "a daemon's error is printed with a text in front"},
	{Name: "shim-error-exits-0", Cases: []string{"SHIM-05"}, Shim: seam.OnShimError(func(e *types.Error) error {
		_ = e.Print()
		os.Exit(0)
		return nil
	}), Fault: "a daemon's error is printed and the exit status is 0"},
	{Name: "shim-no-result-is-success", Cases: []string{"SHIM-05"}, Shim: seam.OnShimError(func(e *types.Error) error {
		if e.Code == types.ErrDecodingFailure {
			return nil
		}
		return e
	}), Fault: "an ADD whose answer has no result is a success"},
	{Name: "shim-config-code-999", Cases: []string{"SHIM-09"}, Shim: seam.OnShimError(func(e *types.Error) error {
		if e.Code == types.ErrInvalidNetworkConfig || e.Code == types.ErrDecodingFailure {
			e.Code = types.ErrInternal
		}
		return e
	}), Fault: "an unusable configuration gets the code of an internal error"},
	{Name: "shim-config-key-unnamed", Cases: []string{"SHIM-09"}, Shim: seam.OnShimError(func(e *types.Error) error {
		return types.NewError(e.Code, "the network configuration cannot be used", "")
	}), Fault: "the error of an unusable configuration does not name the key"},
	{Name: "shim-config-checked-late", Cases: []string{"SHIM-09"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return func(args *skel.CmdArgs) error { _ = seam.Absent(args); return next(args) }
	}), Fault: "the shim connects to the daemon before it has checked its configuration"},
	{Name: "shim-config-wrong-types-ignored", Cases: []string{"SHIM-09"}, Shim: seam.WithConf(func(conf map[string]any) {
		for _, key := range []string{"logFile", "logLevel"} {
			if _, ok := conf[key].(string); !ok {
				delete(conf, key)
			}
		}
	}), Fault: "keys for logging are ignored when their type is wrong"},
	{Name: "shim-heavy", Cases: []string{"SHIM-13"}, Shim: seam.ShimWith(func(*skel.CNIFuncs) {}),
		Fault: "the shim is linked with the whole daemon"},
}

func fewVersions() {
	skel.PluginMainFuncs(seam.RealShim(), cniversion.PluginSupports("0.3.1", "0.4.0", "1.0.0"), "a faulty shim")
}

func versionNeedsDaemon() {
	if os.Getenv("CNI_COMMAND") == "VERSION" && api.CheckAPIReadyNow("/run/multus") != nil {
		_ = types.NewError(types.ErrTryAgainLater, "no daemon", "").Print()
		os.Exit(1)
	}
	seam.ShimWith(func(*skel.CNIFuncs) {})()
}

// printedInNewest has the daemon find 1.1.0 in each configuration.
func printedInNewest(a *seam.Assembly) {
	a.OnCommand(func(_ string, req *api.Request) {
		var conf map[string]any
		if json.Unmarshal(req.Config, &conf) != nil {
			return
		}
		conf["cniVersion"] = "1.1.0"
		req.Config, _ = json.Marshal(conf)
	})
}

func versionRelabelled() {
	seam.ShimWith(func(s *skel.CNIFuncs) {
		add := s.Add
		s.Add = func(args *skel.CmdArgs) error {
			var asked struct {
				CNIVersion string `json:"cniVersion"`
			}
			_ = json.Unmarshal(args.StdinData, &asked)
			seam.Edit(args, func(conf map[string]any) { conf["cniVersion"] = "1.0.0" })
			return seam.Printing(add, func(_ *skel.CmdArgs, out []byte) {
				seam.Say(os.Stdout, string(bytes.Replace(out, []byte(`"1.0.0"`), []byte(`"`+asked.CNIVersion+`"`), 1)))
			})(args)
		}
	})()
}

func keepKnownVariables() {
	known := []string{"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH", "CNI_NETNS_OVERRIDE"}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CNI_") && !slices.Contains(known, name) {
			_ = os.Unsetenv(name)
		}
	}
}

func trimVariables() {
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CNI_") {
			_ = os.Setenv(name, strings.TrimSpace(value))
		}
	}
}

// anyNamespace leaves out what the shim and skel look at.
func anyNamespace(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		args.NetnsOverride = "1"
		return next(args)
	}
}

func ownNamespaceLate(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		own, err := os.Stat("/proc/self/ns/net")
		its, missing := os.Stat(args.Netns)
		if err := errors.Join(err, anyNamespace(next)(args)); err != nil {
			return err
		}
		if missing == nil && os.SameFile(own, its) {
			return types.NewError(types.ErrInvalidNetNS, "the shim runs in "+args.Netns, "")
		}
		return nil
	}
}
