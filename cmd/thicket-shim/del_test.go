// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
)

// absent lists the ways in which there can be no daemon for a request.
var absent = map[string]func(*world){
	"no run directory": func(w *world) { _ = os.Remove(w.run) },
	"no socket":        func(*world) {},
	"refused":          (*world).stale,
	"hung":             (*world).silent,
	"dies before it answers": func(w *world) {
		w.serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	},
	"dies while it answers": func(w *world) {
		w.serve(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100")
			panic(http.ErrAbortHandler)
		})
	},
	"hung in the middle of its answer": func(w *world) { w.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", time.Hour) },
	"hung after an unusual header":     func(w *world) { w.answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", time.Hour) },
	"hung, and sends a byte now and then": func(w *world) {
		w.answering("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 100), 100*time.Millisecond)
	},
}

// inTime is more than the 2 s of SHIM-07 and SHIM-08, which the suite judges, by what
// a machine adds that does other work beside it.
const inTime = 6 * time.Second

func TestDelWithoutDaemonIsRecorded(t *testing.T) {
	for name, prepare := range absent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)
			config := w.config("0.4.0")
			for range 2 {
				got := w.exec("DEL", config, "CNI_NETNS=")
				if got.exit != 0 || got.stdout != "" || got.stderr != "" || got.took > inTime {
					t.Errorf("got %+v", got)
				}
			}
			pending := w.pending()
			if len(pending) != 1 {
				t.Fatalf("pending %q", pending)
			}
			r, err := api.ReadPending(pending[0])
			if err != nil || string(r.Config) != config || r.Env["CNI_COMMAND"] != "DEL" || r.Env["CNI_CONTAINERID"] != "c1" ||
				r.Env["CNI_IFNAME"] != "eth0" || r.Env["CNI_ARGS"] != "IgnoreUnknown=1;K=a=b" || r.Env["SECRET"] != "" {
				t.Errorf("recorded %+v, %v", r, err)
			}
		})
	}
}

func TestDelThatCannotBeRecordedFails(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.cni, nil, 0o600); err != nil { // a file where the directory belongs
		t.Fatal(err)
	}
	got := w.exec("DEL", w.config("1.0.0"))
	e := got.cniError(t)
	if e.Code != types.ErrTryAgainLater || !strings.Contains(e.Msg, api.PendingDir(w.cni)) ||
		!strings.Contains(e.Details, "not a directory") || got.took > inTime {
		t.Errorf("got %+v", got)
	}
}

func TestDelWithoutLogFileIsCarriedOut(t *testing.T) {
	w := newWorld(t)
	w.serve(answerWith(200, "{}"))
	got := w.exec("DEL", w.config("1.0.0", `"logFile":"/proc/nonexistent/log"`))
	if got.exit != 0 || got.stdout != "" || got.stderr != "" || len(w.posted()) != 1 {
		t.Errorf("got %+v, %d requests", got, len(w.posted()))
	}
}

func TestDelWithoutNamespace(t *testing.T) {
	w := newWorld(t)
	w.serve(answerWith(200, ""))
	if got := w.exec("DEL", w.config("0.3.1"), "CNI_NETNS="); got.exit != 0 || got.stdout != "" {
		t.Errorf("empty: got %+v", got)
	}
	cmd := w.command("DEL", w.config("0.3.1"))
	kept := cmd.Env[:0]
	for _, variable := range cmd.Env {
		if !strings.HasPrefix(variable, "CNI_NETNS=") {
			kept = append(kept, variable)
		}
	}
	cmd.Env = kept
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("unset: %v, %s", err, out)
	}
	posted := w.posted()
	if len(posted) != 2 {
		t.Fatalf("%d requests", len(posted))
	}
	if value, set := posted[0].Env["CNI_NETNS"]; !set || value != "" {
		t.Errorf("empty: posted %q, %v", value, set)
	}
	if value, set := posted[1].Env["CNI_NETNS"]; set {
		t.Errorf("unset: posted %q", value)
	}
}

// The daemon that is at work is waited for, also after the shim began to doubt.
func TestSlowDelIsNotCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2500 * time.Millisecond):
			answerWith(500, `{"code":100,"msg":"slow and wrong"}`)(rw, r)
		case <-r.Context().Done():
		}
	})
	got := w.exec("DEL", w.config("1.0.0"))
	if e := got.cniError(t); e.Code != 100 || len(w.pending()) != 0 {
		t.Errorf("got %+v, pending %q", got, w.pending())
	}
}

// Multus closes its listener as soon as it drains; the request in flight is still served.
func TestDelInFlightSurvivesAClosedListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	socket := filepath.Join(w.run, "multus.sock")
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		_ = os.Remove(socket)
		select {
		case <-time.After(2500 * time.Millisecond):
			answerWith(200, "{}")(rw, r)
		case <-r.Context().Done():
		}
	})
	got := w.exec("DEL", w.config("1.0.0"))
	if got.exit != 0 || len(w.pending()) != 0 || got.took < 2500*time.Millisecond {
		t.Errorf("got %+v, pending %q", got, w.pending())
	}
}

func TestStatusWithoutDaemon(t *testing.T) {
	for name, prepare := range absent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)
			got := w.exec("STATUS", w.config("1.1.0"))
			e := got.cniError(t)
			if e.Code != types.ErrPluginNotAvailable || !strings.Contains(e.Details, w.run) || got.took > inTime {
				t.Errorf("got %+v", got)
			}
			if len(w.pending()) != 0 {
				t.Errorf("pending %q", w.pending())
			}
		})
	}
}
