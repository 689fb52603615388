// SPDX-License-Identifier: Apache-2.0

package seam

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

// Command is one of the shim's functions.
type Command = func(*skel.CmdArgs) error

// RealShim is the shim's functions as cmd/thicket-shim has them.
func RealShim() skel.CNIFuncs {
	return skel.CNIFuncs{Add: api.CmdAdd, Del: api.CmdDel, Check: api.CmdCheck, GC: api.CmdGC, Status: api.CmdStatus}
}

// ShimWith is a shim whose functions f has changed.
func ShimWith(f func(*skel.CNIFuncs)) func() {
	return func() {
		funcs := RealShim()
		f(&funcs)
		skel.PluginMainFuncs(funcs, cniversion.All, "a faulty shim")
	}
}

// Around puts a layer round each of a shim's functions.
func Around(layer func(next Command) Command) func() {
	return ShimWith(func(s *skel.CNIFuncs) {
		for _, f := range []*func(*skel.CmdArgs) error{&s.Add, &s.Del, &s.Check, &s.GC, &s.Status} {
			*f = layer(*f)
		}
	})
}

// WithConf changes the configuration before the shim reads it.
func WithConf(f func(conf map[string]any)) func() {
	return Around(func(next Command) Command {
		return func(args *skel.CmdArgs) error {
			Edit(args, f)
			return next(args)
		}
	})
}

// Edit changes the configuration in args; one that is not an object stays.
func Edit(args *skel.CmdArgs, f func(conf map[string]any)) {
	var conf map[string]any
	if json.Unmarshal(args.StdinData, &conf) != nil {
		return
	}
	f(conf)
	if data, err := json.Marshal(conf); err == nil {
		args.StdinData = data
	}
}

// WithEnv changes the environment before the shim reads it.
func WithEnv(f func()) func() {
	return func() {
		f()
		ShimWith(func(*skel.CNIFuncs) {})()
	}
}

// OnShimError changes the error of each command.
func OnShimError(f func(*types.Error) error) func() {
	return Around(func(next Command) Command {
		return func(args *skel.CmdArgs) error {
			var own *types.Error
			if err := next(args); !errors.As(err, &own) {
				return err
			}
			return f(own)
		}
	})
}

// Printing runs a function and gives what it printed to f, to print it.
func Printing(next Command, f func(args *skel.CmdArgs, printed []byte)) Command {
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

// RunDirOf is the run directory in a configuration, however broken that is.
func RunDirOf(stdin []byte) string {
	var conf struct {
		Dir any `json:"daemonSocketDir"`
	}
	_ = json.Unmarshal(stdin, &conf)
	dir, _ := conf.Dir.(string)
	return dir
}

// Absent says whether there is no daemon.
func Absent(args *skel.CmdArgs) bool { return api.CheckAPIReadyNow(RunDirOf(args.StdinData)) != nil }

// WithoutDaemon replaces a function where there is no daemon.
func WithoutDaemon(next, instead Command) Command {
	return func(args *skel.CmdArgs) error {
		if Absent(args) {
			return instead(args)
		}
		return next(args)
	}
}

// FailAfter waits for a daemon that long and then fails.
func FailAfter(patience time.Duration, code uint, msg string) Command {
	return func(args *skel.CmdArgs) error {
		dir := RunDirOf(args.StdinData)
		err := Poll(api.APIReadyPollDuration, patience, api.CheckAPIReadyNow)(dir)
		if err == nil {
			return api.CmdAdd(args)
		}
		return types.NewError(code, strings.ReplaceAll(msg, "SOCKET", api.SocketPath(dir)), "")
	}
}

// Say prints a line.
func Say(w io.Writer, text string) { _, _ = fmt.Fprintln(w, text) }

// Compacted returns a configuration without white space.
func Compacted(stdin []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, stdin) != nil {
		return stdin
	}
	return out.Bytes()
}
