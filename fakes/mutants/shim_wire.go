// SPDX-License-Identifier: Apache-2.0

package main

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

	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile shim: what goes in and what comes out.
func init() {
	register(
		mutant{name: "shim-few-versions", cases: []string{"SHIM-01"}, shim: fewVersions,
			fault: "VERSION lists 0.3.1 to 1.0.0 only"},
		mutant{name: "shim-version-needs-daemon", cases: []string{"SHIM-01"}, shim: versionNeedsDaemon,
			fault: "VERSION fails without a daemon"},
		mutant{name: "shim-version-fixed", cases: []string{"SHIM-02"}, shim: withConf(func(conf map[string]any) { conf["cniVersion"] = "1.0.0" }),
			fault: "the result is always printed in CNI 1.0.0"},
		mutant{name: "shim-version-relabelled", cases: []string{"SHIM-02"}, shim: versionRelabelled,
			fault: "the result is printed in the form of 1.0.0 under the version that was asked for"},
		mutant{name: "shim-logs-to-stdout", cases: []string{"SHIM-03"}, shim: around(func(next command) command {
			return func(args *skel.CmdArgs) error { say(os.Stdout, "msg=start"); return next(args) }
		}), fault: "log lines go to stdout"},
		mutant{name: "shim-result-twice", cases: []string{"SHIM-03"}, shim: shimWith(func(s *skel.CNIFuncs) {
			s.Add = printing(s.Add, func(_ *skel.CmdArgs, out []byte) { say(os.Stdout, string(out)+string(out)) })
		}), fault: "the result is printed twice"},
		mutant{name: "shim-chatty", cases: []string{"SHIM-03"}, shim: around(func(next command) command {
			return func(args *skel.CmdArgs) error { say(os.Stderr, "msg=start"); return next(args) }
		}), fault: "log lines go to stderr although nobody asked for them"},
		mutant{name: "shim-log-file-ignored", cases: []string{"SHIM-03"}, shim: withConf(func(conf map[string]any) { delete(conf, "logFile") }),
			fault: "logFile is ignored"},
		mutant{name: "shim-own-namespace", cases: []string{"SHIM-15"}, shim: around(anyNamespace),
			fault: "the shim passes on what is asked for in the network namespace that it runs in"},
		mutant{name: "shim-own-namespace-late", cases: []string{"SHIM-15"}, shim: around(ownNamespaceLate),
			fault: "the network namespace that the shim runs in is refused after the delegates have run"},
		mutant{name: "shim-config-compacted", cases: []string{"SHIM-04"}, shim: around(func(next command) command {
			return func(args *skel.CmdArgs) error { args.StdinData = compacted(args.StdinData); return next(args) }
		}), fault: "the configuration reaches the daemon without its white space"},
		mutant{name: "shim-env-known-only", cases: []string{"SHIM-04"}, shim: withEnv(keepKnownVariables),
			fault: "only the CNI variables that the shim knows reach the daemon"},
		mutant{name: "shim-env-trimmed", cases: []string{"SHIM-04"}, shim: withEnv(trimVariables),
			fault: "blanks round the values of CNI variables are cut off"},
		mutant{name: "shim-error-code-lost", cases: []string{"SHIM-05"}, shim: onShimError(func(e *types.Error) error { return errors.New(e.Msg) }),
			fault: "a daemon's error is printed with a code of the shim's own"},
		mutant{name: "shim-error-wrapped", cases: []string{"SHIM-05"}, shim: onShimError(func(e *types.Error) error {
			return types.NewError(e.Code, "the daemon failed: "+e.Msg, e.Details)
		}), fault: "a daemon's error is printed with a text in front"},
		mutant{name: "shim-error-exits-0", cases: []string{"SHIM-05"}, shim: onShimError(func(e *types.Error) error {
			_ = e.Print()
			os.Exit(0)
			return nil
		}), fault: "a daemon's error is printed and the exit status is 0"},
		mutant{name: "shim-no-result-is-success", cases: []string{"SHIM-05"}, shim: onShimError(func(e *types.Error) error {
			if e.Code == types.ErrDecodingFailure {
				return nil
			}
			return e
		}), fault: "an ADD whose answer has no result is a success"},
		mutant{name: "shim-config-code-999", cases: []string{"SHIM-09"}, shim: onShimError(func(e *types.Error) error {
			if e.Code == types.ErrInvalidNetworkConfig || e.Code == types.ErrDecodingFailure {
				e.Code = types.ErrInternal
			}
			return e
		}), fault: "an unusable configuration gets the code of an internal error"},
		mutant{name: "shim-config-key-unnamed", cases: []string{"SHIM-09"}, shim: onShimError(func(e *types.Error) error {
			return types.NewError(e.Code, "the network configuration cannot be used", "")
		}), fault: "the error of an unusable configuration does not name the key"},
		mutant{name: "shim-config-checked-late", cases: []string{"SHIM-09"}, shim: around(func(next command) command {
			return func(args *skel.CmdArgs) error { _ = absent(args); return next(args) }
		}), fault: "the shim connects to the daemon before it has checked its configuration"},
		mutant{name: "shim-config-wrong-types-ignored", cases: []string{"SHIM-09"}, shim: withConf(func(conf map[string]any) {
			for _, key := range []string{"logFile", "logLevel"} {
				if _, ok := conf[key].(string); !ok {
					delete(conf, key)
				}
			}
		}), fault: "keys for logging are ignored when their type is wrong"},
		mutant{name: "shim-heavy", cases: []string{"SHIM-13"}, shim: shimWith(func(*skel.CNIFuncs) {}),
			fault: "the shim is linked with the whole daemon"},
	)
}

func fewVersions() {
	skel.PluginMainFuncs(realShim(), cniversion.PluginSupports("0.3.1", "0.4.0", "1.0.0"), "a faulty shim")
}

func versionNeedsDaemon() {
	if os.Getenv("CNI_COMMAND") == "VERSION" && api.CheckAPIReadyNow("/run/multus") != nil {
		_ = types.NewError(types.ErrTryAgainLater, "no daemon", "").Print()
		os.Exit(1)
	}
	shimWith(func(*skel.CNIFuncs) {})()
}

func versionRelabelled() {
	shimWith(func(s *skel.CNIFuncs) {
		add := s.Add
		s.Add = func(args *skel.CmdArgs) error {
			var asked struct {
				CNIVersion string `json:"cniVersion"`
			}
			_ = json.Unmarshal(args.StdinData, &asked)
			edit(args, func(conf map[string]any) { conf["cniVersion"] = "1.0.0" })
			return printing(add, func(_ *skel.CmdArgs, out []byte) {
				say(os.Stdout, string(bytes.Replace(out, []byte(`"1.0.0"`), []byte(`"`+asked.CNIVersion+`"`), 1)))
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
func anyNamespace(next command) command {
	return func(args *skel.CmdArgs) error {
		args.NetnsOverride = "1"
		return next(args)
	}
}

func ownNamespaceLate(next command) command {
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
