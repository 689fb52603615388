// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"go.opentelemetry.io/otel/attribute"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/network"
	"github.com/thicket-cni/thicket/pkg/tracing"
)

// headerTimeout is how long a connection may take to send a request's header:
// idle and dripping clients are cut off before they add up (SOCK-12).
const headerTimeout = 5 * time.Second

var (
	errClientGone = errors.New("the client went away")
	errGraceOver  = errors.New("the daemon's grace period is over")
)

// operation carries out one validated request of an endpoint.
type operation func(ctx context.Context, command string, r *attach.Request, req *api.Request) (*types100.Result, error)

// routes is the HTTP contract (EP-01, EP-02).
func (d *Daemon) routes() http.Handler {
	mux := http.NewServeMux()
	for endpoint, handler := range map[string]http.Handler{
		api.MultusCNIAPIEndpoint:      d.serve(d.cni),
		api.MultusDelegateAPIEndpoint: d.serve(d.hotplug),
		api.MultusHealthAPIEndpoint:   probe(alive, nil),
		api.MultusReadyAPIEndpoint:    probe(d.unready, d.follower.strays.warning),
	} {
		mux.Handle(endpoint, d.metrics.counted(endpoint, handler))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &answer{http.StatusNotFound,
			types.NewError(types.ErrInternal, fmt.Sprintf("there is no %s here", r.URL.Path), "")})
	})
	all := d.guard(mux)
	if d.handler != nil {
		all = d.handler(all)
	}
	return all
}

// guard refuses peers that are not root, before anything of the request is
// read (SOCK-09), and turns a panic into one failed request (EP-13).
func (d *Daemon) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := refusal(r.Context()); why != "" {
			d.log.Warn("request refused", "path", r.URL.Path, "reason", why)
			writeError(w, &answer{http.StatusForbidden, types.NewError(types.ErrInternal, why, "")})
			return
		}
		defer func() {
			if p := recover(); p != nil {
				writeError(w, background.Recovered(d.log, "the request on "+r.URL.Path, p))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// allow answers 405 unless the method is one of the given.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeError(w, &answer{http.StatusMethodNotAllowed,
		types.NewError(types.ErrInternal, fmt.Sprintf("%s takes %s", r.URL.Path, strings.Join(methods, " or ")), "")})
	return false
}

// probe answers a health check (READY-06) with 503 and the reason where there is
// one, else with 200 and what an operator should look at.
func probe(unready func(ctx context.Context) string, warning func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(w, r, http.MethodGet, http.MethodPost) {
			return
		}
		if why := unready(r.Context()); why != "" {
			writeError(w, &answer{http.StatusServiceUnavailable, types.NewError(codeUnavailable, "not ready: "+why, "")})
			return
		}
		if warning != nil {
			if text := warning(); text != "" {
				writeJSON(w, http.StatusOK, map[string]string{"warning": text})
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	})
}

// alive is the answer of /healthz: whoever hears it can talk to the daemon.
func alive(context.Context) string { return "" }

// serve is the way of every request on /cni and /delegate: count it, bound
// it, check it, carry it out, answer.
func (d *Daemon) serve(do operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(w, r, http.MethodPost) {
			return
		}
		deepen()
		defer d.flight.enter()()
		req, err := readRequest(w, r, d.config.RequestLimit)
		if err != nil {
			writeError(w, err)
			return
		}
		if is, err := api.Delegated(req.Env[api.DelegateVariable], req.Env["CNI_COMMAND"]); is {
			answerDelegate(w, r, err)
			return
		}
		command, ar, err := validate(req)
		if err != nil {
			writeError(w, err)
			return
		}
		ctx, done := d.requestContext(tracing.FromVariables(admission.WithArrival(r.Context()), req.Env))
		defer done()
		result, err := d.logged(ctx, r.URL.Path, command, ar, func(ctx context.Context) (*types100.Result, error) {
			if err := d.admit(ctx, command); err != nil {
				return nil, err
			}
			return do(ctx, command, ar, req)
		})
		if err != nil {
			writeError(w, err)
			return
		}
		writeResult(w, r, ar.Version, result)
		if r.URL.Path == api.MultusDelegateAPIEndpoint && command == "ADD" && http.NewResponseController(w).Flush() == nil {
			d.engine.HotAnswered(context.WithoutCancel(ctx), ar)
		}
	})
}

// deepen makes room on the goroutine's stack for all that a request calls while
// the stack is nearly empty. Otherwise it is copied again and again, with more
// frames each time, as JSON is decoded and plugins are executed.
//
//go:noinline
func deepen() byte {
	var room [24 << 10]byte
	return room[len(os.Args)%len(room)]
}

// answerDelegate answers a request that comes from a delegate of a daemon (SEC-09).
func answerDelegate(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *types.Error
	if errors.As(err, &refusal) {
		err = &answer{http.StatusBadRequest, refusal}
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeResult(w, r, "", nil)
}

// requestContext ends with the client's connection, or when the grace period
// after SIGTERM is over, and says which it was.
func (d *Daemon) requestContext(r context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r))
	stopClient := context.AfterFunc(r, func() { cancel(errClientGone) })
	stopGrace := context.AfterFunc(d.hard, func() { cancel(errGraceOver) })
	return ctx, func() { stopClient(); stopGrace(); cancel(nil) }
}

// admit lets a command in: after SIGTERM nothing new is attached; before the
// cluster is known, commands that need it wait (READY-07, READY-09).
func (d *Daemon) admit(ctx context.Context, command string) error {
	if command != "ADD" {
		return nil
	}
	select {
	case <-d.draining:
		return errDraining
	default:
	}
	if most := d.config.QueueLimit; d.flight.size() > most {
		return types.NewError(types.ErrTryAgainLater, fmt.Sprintf("%d requests are being served or wait; this is the most (queueLimit)", most), "")
	}
	late := time.NewTimer(api.APIReadyPollTimeout)
	defer late.Stop()
	for _, condition := range d.conditions() {
		select {
		case <-condition:
		case <-d.draining:
			return errDraining
		case <-ctx.Done():
			return types.NewError(types.ErrTryAgainLater, "not ready: waiting for "+d.waitingFor(), context.Cause(ctx).Error())
		case <-late.C:
			return types.NewError(types.ErrTryAgainLater, "not ready: waiting for "+d.waitingFor(), "")
		}
	}
	return nil
}

// logged writes one line per request: who, what, how long, where the time went
// and how it ended.
func (d *Daemon) logged(ctx context.Context, path, command string, r *attach.Request,
	do func(context.Context) (*types100.Result, error)) (*types100.Result, error) {
	start := time.Now()
	ctx, phases := attach.WithPhases(ctx)
	ctx, end := tracing.Root(ctx, d.tracer, "cni "+command, spanOf(path, command, r)...)
	result, err := do(ctx)
	end(err)
	took := time.Since(start)
	d.metrics.observe(command, err != nil, took, phases)
	level, outcome := slog.LevelInfo, "ok"
	if err != nil {
		level, outcome = slog.LevelError, err.Error()
	}
	line := []any{"path", path, "command", command, "sandbox", r.ContainerID, "interface", r.Interface,
		"pod", r.Pod.Namespace + "/" + r.Pod.Name, "duration", took.Round(time.Microsecond), "phases", phases, "outcome", outcome}
	if id := tracing.ID(ctx); id != "" {
		line = append(line, "trace", id)
	}
	d.log.Log(ctx, level, "request", line...)
	return result, err
}

// spanOf says what a request's span is about.
func spanOf(path, command string, r *attach.Request) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("cni.command", command), attribute.String("url.path", path),
		attribute.String("cni.container_id", r.ContainerID), attribute.String("cni.interface", r.Interface),
		attribute.String("k8s.namespace.name", r.Pod.Namespace), attribute.String("k8s.pod.name", r.Pod.Name), attribute.String("k8s.pod.uid", r.Pod.UID),
	}
}

// cni carries out a request of the shim.
func (d *Daemon) cni(ctx context.Context, command string, r *attach.Request, _ *api.Request) (*types100.Result, error) {
	switch command {
	case "ADD":
		result, err := d.engine.Add(ctx, r)
		d.lookAfter(r.Pod, err) // its annotation may have changed meanwhile
		return result, err
	case "DEL":
		return nil, d.engine.Del(ctx, r)
	case "CHECK":
		return nil, d.engine.Check(ctx, r)
	case "GC":
		return nil, d.engine.GC(ctx, r)
	default:
		return nil, d.status(ctx)
	}
}

// hotplug carries out a request of /delegate.
func (d *Daemon) hotplug(ctx context.Context, command string, r *attach.Request, req *api.Request) (*types100.Result, error) {
	switch command {
	case "ADD":
		return d.engine.HotAdd(ctx, r, selection(req.InterfaceAttributes))
	case "DEL":
		err := d.engine.HotDel(ctx, r)
		d.lookAfter(r.Pod, err) // which may ask for what is deleted now
		return nil, err
	case "CHECK":
		return nil, d.engine.HotCheck(ctx, r)
	case "STATUS":
		return nil, d.engine.HotStatus(ctx, r)
	default:
		return nil, badRequest(types.ErrInvalidEnvironmentVariables,
			fmt.Sprintf("CNI_COMMAND %s is not for %s; it takes ADD, DEL, CHECK and STATUS", command, api.MultusDelegateAPIEndpoint))
	}
}

// selection is what interfaceAttributes ask of the delegate, as an element of
// the networks annotation would.
func selection(a *api.DelegateInterfaceAttributes) *network.Selection {
	if a == nil {
		return nil
	}
	s := &network.Selection{IPRequest: a.IPRequest, MacRequest: a.MacRequest}
	if a.CNIArgs != nil {
		s.CNIArgs = *a.CNIArgs
	}
	return s
}
