// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api"
)

// command is one of the shim's functions.
type command = func(*skel.CmdArgs) error

// realShim is the shim's functions as cmd/thicket-shim has them.
func realShim() skel.CNIFuncs {
	return skel.CNIFuncs{Add: api.CmdAdd, Del: api.CmdDel, Check: api.CmdCheck, GC: api.CmdGC, Status: api.CmdStatus}
}

// shimWith is a shim whose functions f has changed.
func shimWith(f func(*skel.CNIFuncs)) func() {
	return func() {
		funcs := realShim()
		f(&funcs)
		skel.PluginMainFuncs(funcs, cniversion.All, "a faulty shim")
	}
}

// around puts a layer round each of a shim's functions.
func around(layer func(next command) command) func() {
	return shimWith(func(s *skel.CNIFuncs) {
		for _, f := range []*func(*skel.CmdArgs) error{&s.Add, &s.Del, &s.Check, &s.GC, &s.Status} {
			*f = layer(*f)
		}
	})
}

// withConf changes the configuration before the shim reads it.
func withConf(f func(conf map[string]any)) func() {
	return around(func(next command) command {
		return func(args *skel.CmdArgs) error {
			edit(args, f)
			return next(args)
		}
	})
}

// edit changes the configuration in args; one that is no object stays.
func edit(args *skel.CmdArgs, f func(conf map[string]any)) {
	var conf map[string]any
	if json.Unmarshal(args.StdinData, &conf) != nil {
		return
	}
	f(conf)
	if data, err := json.Marshal(conf); err == nil {
		args.StdinData = data
	}
}

// withEnv changes the environment before the shim reads it.
func withEnv(f func()) func() {
	return func() {
		f()
		shimWith(func(*skel.CNIFuncs) {})()
	}
}

// onShimError changes the error of each command.
func onShimError(f func(*types.Error) error) func() {
	return around(func(next command) command {
		return func(args *skel.CmdArgs) error {
			var own *types.Error
			if err := next(args); !errors.As(err, &own) {
				return err
			}
			return f(own)
		}
	})
}

// printing runs a function and gives what it printed to f, to print it.
func printing(next command, f func(args *skel.CmdArgs, printed []byte)) command {
	return func(args *skel.CmdArgs) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		stdout := os.Stdout
		os.Stdout = w
		err = next(args)
		os.Stdout = stdout
		_ = w.Close()
		printed, readErr := io.ReadAll(r)
		if len(printed) > 0 {
			f(args, printed)
		}
		return errors.Join(err, readErr)
	}
}

// runDirOf is the run directory in a configuration, however broken that is.
func runDirOf(stdin []byte) string {
	var conf struct {
		Dir any `json:"daemonSocketDir"`
	}
	_ = json.Unmarshal(stdin, &conf)
	dir, _ := conf.Dir.(string)
	return dir
}

// absent says whether there is no daemon.
func absent(args *skel.CmdArgs) bool { return api.CheckAPIReadyNow(runDirOf(args.StdinData)) != nil }

// withoutDaemon replaces a function where there is no daemon.
func withoutDaemon(next, instead command) command {
	return func(args *skel.CmdArgs) error {
		if absent(args) {
			return instead(args)
		}
		return next(args)
	}
}

// failAfter waits for a daemon that long and then fails.
func failAfter(patience time.Duration, code uint, msg string) command {
	return func(args *skel.CmdArgs) error {
		dir := runDirOf(args.StdinData)
		err := poll(api.APIReadyPollDuration, patience, api.CheckAPIReadyNow)(dir)
		if err == nil {
			return api.CmdAdd(args)
		}
		return types.NewError(code, strings.ReplaceAll(msg, "SOCKET", api.SocketPath(dir)), "")
	}
}

func say(w io.Writer, text string) { _, _ = fmt.Fprintln(w, text) }

func compacted(stdin []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, stdin) != nil {
		return stdin
	}
	return out.Bytes()
}
