// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// FuzzLikeLibcni draws a list of plugins, what a runtime says of one attachment
// and what each plugin answers, and has libcni and chain.go carry out ADD,
// CHECK and DEL of it. What each plugin is executed with, in which order, and
// what comes out, are the same but for these differences:
//
//   - keys of the protocol that the list sets do not reach the plugins, in
//     whatever case they are written: libcni passes them on, capabilities too
//     (RT-06, RT-28, RT-29), and reads results in the version that "cniVerſion"
//     says;
//   - integers beyond 2^53 keep their digits (ADD-16);
//   - a result that has null in it, or an address without a value, or one of an
//     interface that it does not list, is an error at once: libcni panics at the
//     first, and hands the others on (SEC-08);
//   - the IP version that results have before 1.0.0 is the address' own when the
//     result comes back, whatever the plugin had written;
//   - CHECK of a version that does not know it succeeds; libcni says that it
//     cannot be asked (CHECK-05).
func FuzzLikeLibcni(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := drawChain(rand.New(rand.NewPCG(seed, 2)))
		ours, theirs := d.thicket(t), d.libcni(t)
		for i, command := range []string{"ADD", "CHECK", "DEL"} {
			if differ := d.compare(command, ours[i], theirs[i]); differ != "" {
				t.Fatalf("%s: %s\nlist %s\nresults %+v", command, differ, d.written(t, func(string) bool { return false }), d.answers)
			}
			if command == "ADD" && d.refused(ours[i]) {
				return // libcni has attached it
			}
		}
	})
}

// answer is what comes of one execution.
type answer struct {
	printed string
	err     error
	// unusable says that it is a result which cannot be used (SEC-08).
	unusable bool
}

// outcome is what came of one command.
type outcome struct {
	calls  []pluginCall
	result *types100.Result
	err    error
	// panicked says that the library did not survive it.
	panicked bool
}

// pluginCall is one execution of a plugin.
type pluginCall struct {
	Path  string
	Env   map[string]string
	Stdin map[string]any
	// Raw is Stdin as it came.
	Raw string
}

// pluginRecorder stands for the plugins.
type pluginRecorder struct {
	version.PluginDecoder
	answers map[string][]answer
	calls   []pluginCall
}

// missingType is a plugin that is not installed.
const missingType = "missing"

// FindInPath implements invoke.Exec.
func (r *pluginRecorder) FindInPath(plugin string, paths []string) (string, error) {
	if plugin == missingType {
		return "", fmt.Errorf("%q is in none of %q", plugin, paths)
	}
	return filepath.Join(paths[0], plugin), nil
}

// ExecPlugin implements invoke.Exec.
func (r *pluginRecorder) ExecPlugin(_ context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	call := pluginCall{Path: path, Env: map[string]string{}, Raw: string(stdin)}
	for _, kv := range delegateEnvironment(environ) {
		name, value, _ := strings.Cut(kv, "=")
		call.Env[name] = value
	}
	if err := json.Unmarshal(stdin, &call.Stdin); err != nil {
		return nil, fmt.Errorf("%s: %w", stdin, err)
	}
	r.calls = append(r.calls, call)
	command := call.Env["CNI_COMMAND"]
	if len(r.answers[command]) == 0 {
		return nil, errors.New("it was executed once too often")
	}
	a := r.answers[command][0]
	r.answers[command] = r.answers[command][1:]
	return []byte(a.printed), a.err
}

var likeBinDirs = []string{"/opt/first", "/opt/second"}

// ofTheList reports whether a key of a plugin's configuration is one that libcni
// would pass on.
func ofTheList(key string) bool {
	return key != "capabilities" && ofTheProtocol(key) || key != "name" && strings.EqualFold(key, "name") ||
		key != "cniVersion" && strings.EqualFold(key, "cniVersion")
}

// libcni has libcni do it, with the keys of the protocol taken out of the list.
func (d *drawnChain) libcni(t *testing.T) (all []outcome) {
	t.Helper()
	r := &pluginRecorder{answers: maps.Clone(d.answers)}
	list, err := libcni.NetworkConfFromBytes(d.written(t, ofTheList))
	if err != nil {
		t.Fatal(err)
	}
	c := libcni.NewCNIConfigWithCacheDir(likeBinDirs, t.TempDir(), r)
	rt := &libcni.RuntimeConf{ContainerID: d.id, NetNS: "/n", IfName: d.ifName, Args: d.args, CapabilityArgs: d.capArgs}
	for _, do := range []func() (types.Result, error){
		func() (types.Result, error) { return c.AddNetworkList(t.Context(), list, rt) },
		func() (types.Result, error) { return nil, c.CheckNetworkList(t.Context(), list, rt) },
		func() (types.Result, error) { return nil, c.DelNetworkList(t.Context(), list, rt) },
	} {
		all = append(all, r.outcomeOf(do))
	}
	return all
}

// thicket has the engine do it.
func (d *drawnChain) thicket(t *testing.T) (all []outcome) {
	t.Helper()
	r := &pluginRecorder{answers: maps.Clone(d.answers)}
	e := &Engine{exec: r, binDirs: likeBinDirs, cacheDir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	e.cni = libcni.NewCNIConfigWithCacheDir(nil, e.cacheDir, nil)
	at := &ledger.Attachment{Network: "n", Interface: d.ifName, Args: d.args, CapabilityArgs: d.capArgs,
		Config: string(d.written(t, func(string) bool { return false }))}
	rec := &ledger.Record{ContainerID: d.id, Netns: "/n"}
	for _, do := range []func(c *delegateCall) (types.Result, error){
		func(c *delegateCall) (types.Result, error) {
			result, err := e.add(t.Context(), c)
			if result == nil {
				return nil, err // and not an interface with nil in it
			}
			return result, err
		},
		func(c *delegateCall) (types.Result, error) { return nil, e.check(t.Context(), c) },
		func(c *delegateCall) (types.Result, error) { return nil, e.del(t.Context(), c) },
	} {
		all = append(all, r.outcomeOf(func() (types.Result, error) {
			c, err := e.call(rec, at, rec.Netns)
			if err != nil {
				return nil, err
			}
			return do(c)
		}))
	}
	return all
}

// outcomeOf carries out one command.
func (r *pluginRecorder) outcomeOf(do func() (types.Result, error)) (o outcome) {
	r.calls = nil
	defer func() {
		o.calls, o.panicked = r.calls, recover() != nil
	}()
	var result types.Result
	if result, o.err = do(); result != nil && o.err == nil {
		o.result, o.err = types100.NewResultFromResult(result)
	}
	return o
}

// written is the list as its author wrote it, without some keys of its plugins.
func (d *drawnChain) written(t *testing.T, without func(key string) bool) []byte {
	t.Helper()
	list := maps.Clone(d.list)
	plugins := []any{}
	for _, p := range d.list["plugins"].([]any) {
		p := maps.Clone(p.(map[string]any))
		maps.DeleteFunc(p, func(key string, _ any) bool { return without(key) })
		plugins = append(plugins, p)
	}
	list["plugins"] = plugins
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// compare says in what the two differ and should not, "" for nothing.
func (d *drawnChain) compare(command string, ours, theirs outcome) string {
	switch {
	case ours.panicked:
		return "a panic"
	case command == "ADD" && d.refused(ours):
		if ours.err == nil {
			return "a result that cannot be used is accepted"
		}
		theirs.calls = theirs.calls[:min(len(ours.calls), len(theirs.calls))]
	case command == "CHECK" && errors.Is(theirs.err, libcni.ErrorCheckNotSupp):
		if ours.err != nil {
			return fmt.Sprintf("of a version without it: %v", ours.err)
		}
	case theirs.panicked:
		return "libcni panics"
	case (ours.err == nil) != (theirs.err == nil):
		return fmt.Sprintf("%v; libcni: %v", ours.err, theirs.err)
	case !reflect.DeepEqual(ownError(ours.err), ownError(theirs.err)):
		return fmt.Sprintf("the plugin's own error is %+v; libcni: %+v", ownError(ours.err), ownError(theirs.err))
	case !reflect.DeepEqual(ours.result, theirs.result):
		return fmt.Sprintf("result %v; libcni: %v", ours.result, theirs.result)
	}
	for i := range max(len(ours.calls), len(theirs.calls)) {
		if i >= len(ours.calls) || i >= len(theirs.calls) {
			return fmt.Sprintf("%d executions; libcni: %d", len(ours.calls), len(theirs.calls))
		}
		got, want := ours.calls[i], theirs.calls[i].asOurs()
		if got.Path != want.Path || !maps.Equal(got.Env, want.Env) || !reflect.DeepEqual(got.Stdin, want.Stdin) {
			return fmt.Sprintf("execution %d is of %s with %q and\n%s; libcni: %s with %q and\n%s", i, got.Path, got.Env, got.Raw, want.Path, want.Env, want.Raw)
		}
	}
	return ""
}

// refused reports whether the last result that an ADD met is one that cannot be used.
func (d *drawnChain) refused(add outcome) bool {
	return len(add.calls) > 0 && d.answers["ADD"][len(add.calls)-1].unusable
}

// asOurs is an execution by libcni without what should differ.
func (c pluginCall) asOurs() pluginCall {
	c.Stdin = maps.Clone(c.Stdin)
	delete(c.Stdin, "capabilities")
	return c
}

// ownError is the error that a plugin printed, nil where there is none. What else
// has failed is told by one of the codes that the specification reserves, or 999.
func ownError(err error) *types.Error {
	var own *types.Error
	if !errors.As(err, &own) || own.Code < 100 || own.Code == types.ErrInternal {
		return nil
	}
	return own
}
