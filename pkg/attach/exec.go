// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
	"go.opentelemetry.io/otel/attribute"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/network"
	"github.com/thicket-cni/thicket/pkg/tracing"
)

const (
	// DefaultTimeLimit is how long one plugin may run: half of the two minutes
	// that a kubelet gives the whole request, so that a rollback still fits.
	DefaultTimeLimit = 60 * time.Second
	// DefaultOutputLimit is how many bytes a plugin may print on stdout.
	DefaultOutputLimit = 4 << 20
	// stderrTail is how much of a plugin's stderr is kept for the error.
	stderrTail = 2 << 10
)

var (
	errTimeLimit   = errors.New("time limit")
	errOutputLimit = errors.New("output limit")
)

// Exec runs delegate plugins. Each is killed, with all that it has started,
// when the request is cancelled, when the time limit passes, or when it prints
// too much (ADD-08, ADD-09, SEC-16). It implements invoke.Exec.
type Exec struct {
	// TimeLimit is how long one plugin may run; zero means DefaultTimeLimit.
	TimeLimit time.Duration
	// OutputLimit is how many bytes it may print; zero means DefaultOutputLimit.
	OutputLimit int
	// Chroot is a directory to run the plugins under, as Multus' chrootDir;
	// empty for none.
	Chroot string
	// Environment is what every plugin gets beside the CNI variables, as NAME=value.
	Environment []string
	// Cells are cgroups to run plugins in; nil runs them in the daemon's own.
	Cells *Cells
	// Gate decides when a plugin may run; nil lets every one in at once.
	Gate *admission.Gate
	version.PluginDecoder
	shims shims
}

var _ invoke.Exec = (*Exec)(nil)

// FindInPath returns the path of a plugin below one of the directories. A type
// with a path separator is refused (SEC-02), and so is a shim (SEC-09).
func (e *Exec) FindInPath(plugin string, paths []string) (string, error) {
	if plugin == "" || plugin == "." || plugin == ".." || strings.ContainsRune(plugin, filepath.Separator) {
		return "", types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("plugin type %q is not the name of a file", plugin), "")
	}
	if network.IsShimName(plugin) {
		return "", refuseShim(plugin)
	}
	inside := make([]string, len(paths))
	for i, p := range paths {
		inside[i] = filepath.Join(e.Chroot, p)
	}
	found, err := invoke.FindInPath(plugin, inside)
	switch {
	case err != nil:
		return "", err
	case e.shims.has(found):
		return "", refuseShim(plugin)
	case e.Chroot == "":
		return found, nil
	}
	return "/" + strings.TrimPrefix(strings.TrimPrefix(found, filepath.Clean(e.Chroot)), "/"), nil
}

// isStill reports whether FindInPath has looked at the executable at a path, as it
// is now, and found that it is not a shim.
func (e *Exec) isStill(path string) bool { return e.Chroot == "" && e.shims.cleared(path) }

// ExecPlugin runs one plugin. Its error is the plugin's own CNI error when it
// printed one (EP-10), and otherwise a CNI error that names plugin and network;
// code 11 when the time limit or the request's end stopped it, or when the gate
// did not let it in. The time limit begins when it has been let in.
func (e *Exec) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	run := &pluginRun{path: path, stdin: stdin, stderr: tail{limit: stderrTail}}
	if e.Gate == nil {
		return e.limited(ctx, run, environ)
	}
	owner := ownerOf(ctx, stdin, environ)
	waited := timed(ctx, PhaseQueue)
	leave, err := e.Gate.Enter(admission.WithOwner(ctx, owner), variable(environ, "CNI_COMMAND"), filepath.Base(path))
	waited()
	if err != nil {
		return nil, run.failure(types.ErrTryAgainLater, "was not run: "+err.Error())
	}
	defer func() { leave(run.peak) }()
	out, err := e.limited(ctx, run, environ)
	if err != nil && variable(environ, "CNI_COMMAND") == "DEL" {
		e.Gate.Failed(owner)
	}
	return out, err
}

// ofNetwork is the context of the plugins of a network.
func ofNetwork(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, pluginsNetwork{}, name)
}

type pluginsNetwork struct{}

// ownerOf reads what a plugin runs for from what it is given, which libcni's
// calls have too; those have no network in their context.
func ownerOf(ctx context.Context, stdin []byte, environ []string) admission.Owner {
	o := admission.Owner{Sandbox: variable(environ, "CNI_CONTAINERID")}
	var known bool
	if o.Network, known = ctx.Value(pluginsNetwork{}).(string); !known {
		o.Network = networkName(stdin)
	}
	for pair := range strings.SplitSeq(variable(environ, "CNI_ARGS"), ";") {
		if namespace, found := strings.CutPrefix(pair, "K8S_POD_NAMESPACE="); found {
			o.Namespace = namespace
		}
	}
	return o
}

// networkName reads a plugin's own configuration, which is the only place that
// always has it.
func networkName(stdin []byte) string {
	var conf struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(stdin, &conf)
	return conf.Name
}

// limited runs the plugin within its limits of time and output.
func (e *Exec) limited(ctx context.Context, run *pluginRun, environ []string) (out []byte, err error) {
	defer timedDelegate(ctx, variable(environ, "CNI_IFNAME"))()
	ctx, end := run.span(ctx, environ)
	defer func() { end(err) }()
	limit := e.TimeLimit
	if limit == 0 {
		limit = DefaultTimeLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeLimit)
	defer cancel()
	// Output beyond the limit must end the plugin, whatever the deadline says.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	run.limit = limit
	run.stdout = boundedBuffer{limit: e.outputLimit(), exceeded: func() { stop(errOutputLimit) }}
	if err := e.start(ctx, run, environ); err != nil {
		return nil, run.explain(ctx, err)
	}
	return run.stdout.Bytes(), nil
}

func (e *Exec) outputLimit() int {
	if e.OutputLimit > 0 {
		return e.OutputLimit
	}
	return DefaultOutputLimit
}

// start runs the plugin to its end. A plugin that is just being installed can
// be busy for a moment (ETXTBSY); it is tried again, as libcni does.
func (e *Exec) start(ctx context.Context, r *pluginRun, environ []string) error {
	for attempt := 0; ; attempt++ {
		err := e.once(ctx, r, environ)
		if !errors.Is(err, syscall.ETXTBSY) || attempt == 5 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *Exec) once(ctx context.Context, r *pluginRun, environ []string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cell := e.Cells.take()
	defer e.Cells.give(cell)
	p, err := startProcess(r.path, slices.Concat(delegateEnvironment(environ), tracing.Variables(ctx), e.Environment), r.stdin, e.Chroot, cell)
	if err != nil {
		return err
	}
	if e.Gate == nil || !e.Gate.Bounded() {
		return p.run(ctx, &r.stdout, &r.stderr, nil)
	}
	look := func() { r.peak = max(r.peak, highWater(p.pid)) }
	// A plugin prints its result last. It may end before it is looked at, which
	// is why it is looked at while it runs, too.
	r.stdout.begun = look
	return p.run(ctx, &r.stdout, &r.stderr, look)
}

// highWater is the most memory that a running plugin has had, in bytes, 0 when
// that cannot be read. What the kernel reports after the end (ru_maxrss) counts
// the daemon too, whose memory the child shared until exec.
func highWater(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, found := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(after)
	if !found || len(fields) == 0 {
		return 0 // it has ended meanwhile
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// variable is the value of a variable in an environment.
func variable(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if value, found := strings.CutPrefix(kv, name+"="); found {
			return value
		}
	}
	return ""
}

// delegateEnvironment keeps the CNI variables of the plugin and the daemon's
// own PATH, which plugins need for iptables and the like; nothing else of the
// daemon's environment, and of the client's nothing but a well-formed trace
// context (SEC-05), reaches a plugin (SEC-01).
// Of a variable that is there twice the last one counts.
func delegateEnvironment(environ []string) []string {
	var env, names []string
	for _, kv := range slices.Backward(environ) {
		name, _, _ := strings.Cut(kv, "=")
		if (strings.HasPrefix(name, "CNI_") || name == "PATH") && !slices.Contains(names, name) {
			env, names = append(env, kv), append(names, name)
		}
	}
	return env
}

// pluginRun is one execution of a plugin.
type pluginRun struct {
	path   string
	stdin  []byte
	limit  time.Duration
	stdout boundedBuffer
	stderr tail
	// peak is the most memory that it had, in bytes, 0 when that is not known.
	peak int64
}

// span begins the span of a plugin, where the request has one; what is executed
// with its context is told of it.
func (r *pluginRun) span(ctx context.Context, environ []string) (context.Context, func(error)) {
	if !tracing.Recorded(ctx) {
		return ctx, func(error) {}
	}
	plugin := filepath.Base(r.path)
	return tracing.Span(ctx, "delegate "+plugin, attribute.String("cni.plugin", plugin), attribute.String("cni.network", networkName(r.stdin)),
		attribute.String("cni.command", variable(environ, "CNI_COMMAND")), attribute.String("cni.interface", variable(environ, "CNI_IFNAME")))
}

// explain turns what went wrong into the CNI error that the caller reports.
func (r *pluginRun) explain(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errOutputLimit):
		return r.failure(types.ErrInternal, fmt.Sprintf("printed more than %d bytes and was stopped", r.stdout.limit))
	case errors.Is(cause, errTimeLimit):
		return r.failure(types.ErrTryAgainLater, fmt.Sprintf("did not end within %s and was stopped", r.limit))
	case cause != nil:
		return r.failure(types.ErrTryAgainLater, "was stopped: "+cause.Error())
	}
	var own types.Error
	if json.Unmarshal(bytes.TrimSpace(r.stdout.Bytes()), &own) == nil && own.Msg != "" {
		return &own
	}
	return r.failure(types.ErrInternal, err.Error())
}

// failure names plugin and network.
func (r *pluginRun) failure(code uint, what string) error {
	var details []string
	if out := excerpt(r.stdout.Bytes()); out != "" {
		details = append(details, "stdout: "+out)
	}
	if out := excerpt(r.stderr.Bytes()); out != "" {
		details = append(details, "stderr: "+out)
	}
	return types.NewError(code, fmt.Sprintf("plugin %q of network %q %s", filepath.Base(r.path), networkName(r.stdin), what), strings.Join(details, "; "))
}

// excerpt is the beginning of what a plugin printed instead of a CNI error, which
// need not be meant for a terminal.
func excerpt(b []byte) string {
	const most = 512
	b = bytes.TrimSpace(b)
	if len(b) > most {
		b = append(append([]byte{}, b[:most]...), "…"...)
	}
	return brief.Plain(strings.ToValidUTF8(string(b), "\uFFFD"))
}
