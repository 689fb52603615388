// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile security: what errors and logs tell of configurations.
func init() {
	register(
		mutant{name: "log-of-delegates-configs", cases: []string{"SEC-04"}, daemon: logging(func(a *assembly, say sayer) {
			a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
				say("delegate", "plugin", p.path, "config", string(p.stdin))
				return run(ctx, p)
			})
		}), fault: "the log has the configuration of each delegate that runs"},
		mutant{name: "log-of-requests", cases: []string{"SEC-04"}, daemon: logging(func(a *assembly, say sayer) {
			a.onBody(func(body []byte) []byte { say("request", "body", string(body)); return body })
		}), fault: "the log has the body of each request, with the configuration in base64"},
		mutant{name: "log-of-requests-as-bytes", cases: []string{"SEC-04"}, daemon: logging(func(a *assembly, say sayer) {
			a.onCommand(func(path string, req *api.Request) {
				say("request", "path", path, "config", fmt.Sprintf("%d", req.Config))
			})
		}), fault: "the log has the configuration of each request as a list of numbers"},
		mutant{name: "log-of-annotations", cases: []string{"SEC-04"}, daemon: logging(func(a *assembly, say sayer) {
			a.onPod(func(annotations map[string]string) { say("pod", "annotations", annotations) })
		}), fault: "the log has the annotations of pods, cni-args included"},
		mutant{name: "log-of-records", cases: []string{"SEC-04"}, daemon: logging(func(a *assembly, say sayer) {
			beforeWriting(func(_ *assembly, rec *ledger.Record) { say("ledger", "record", fmt.Sprintf("%+v", rec)) })(a)
		}), fault: "the log has the records that are written"},
		mutant{name: "log-of-own-config", cases: []string{"SEC-04"}, daemon: logOfOwnConfig,
			fault: "the log has the daemon's own configuration"},
		mutant{name: "log-of-damaged-records", cases: []string{"SEC-04"}, daemon: logOfDamagedRecords,
			fault: "the log has the content of damaged records"},
		mutant{name: "refusal-quotes-config", cases: []string{"SEC-04"}, daemon: func(*assembly) {},
			refusing: func(config []byte, err error) error { return fmt.Errorf("%w: %s", err, config) },
			fault:    "a daemon that cannot use its configuration quotes it"},
		mutant{name: "add-error-quotes-config", cases: []string{"SEC-04"}, daemon: quotedAt("ADD"),
			fault: "the error of a delegate that fails at ADD quotes its configuration"},
		mutant{name: "error-quotes-definition", cases: []string{"SEC-04"}, daemon: onDefinition(quotedIfUnreadable),
			fault: "the error of a definition that cannot be read quotes it"},
		mutant{name: "error-quotes-default-network", cases: []string{"SEC-04"}, daemon: errorQuotesDefaultNetwork,
			fault: "the error of a default network that cannot be read quotes its file"},
		mutant{name: "error-quotes-request", cases: []string{"SEC-04"}, daemon: errorQuotesRequest,
			fault: "the error of a body that cannot be read quotes it"},
		mutant{name: "gc-error-quotes-config", cases: []string{"SEC-04"}, daemon: quotedAt("GC"),
			fault: "the error of a delegate that fails at GC quotes its configuration"},
		mutant{name: "status-error-quotes-config", cases: []string{"SEC-04"}, daemon: quotedAt("STATUS"),
			fault: "the error of a delegate that fails at STATUS quotes its configuration"},
		mutant{name: "error-quotes-hot-plug", cases: []string{"SEC-04"}, daemon: errorQuotesHotPlug,
			fault: "the error of a hot-plug that fails quotes its configuration"},
		mutant{name: "shim-log-of-config", cases: []string{"SEC-04"}, shim: around(func(next command) command {
			return func(args *skel.CmdArgs) error {
				appendToLog(args)
				return next(args)
			}
		}), fault: "the shim's log has its configuration"},
		mutant{name: "shim-error-quotes-config", cases: []string{"SEC-04"}, shim: around(func(next command) command {
			return func(args *skel.CmdArgs) error {
				var own *types.Error
				if err := next(args); !errors.As(err, &own) {
					return err
				}
				return types.NewError(own.Code, own.Msg, own.Details+" (configuration: "+string(args.StdinData)+")")
			}
		}), fault: "the shim's errors quote its configuration"},
	)
}

// sayer writes a line into the daemon's log.
type sayer func(msg string, args ...any)

// logging gives a fault the daemon's log.
func logging(f func(a *assembly, say sayer)) func(*assembly) {
	return func(a *assembly) {
		log := slog.New(slog.DiscardHandler)
		a.wrapEngine(func(next daemon.Engine, o attach.Options) daemon.Engine {
			log = o.Log
			return next
		})
		f(a, func(msg string, args ...any) { log.Debug(msg, args...) })
	}
}

func logOfOwnConfig(a *assembly) {
	a.onStart(func() error {
		at := slices.Index(os.Args, "--config")
		if at < 0 || at+1 == len(os.Args) {
			return errors.New("--config FILE is missing")
		}
		data, err := os.ReadFile(os.Args[at+1])
		fmt.Fprintf(os.Stderr, "configuration: %s\n", data)
		return err
	})
}

// logOfDamagedRecords tells of them before the daemon sets them aside.
func logOfDamagedRecords(a *assembly) {
	a.onStart(func() error {
		for _, path := range damaged(a.config.CNIDir) {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "damaged record: %s\n", data)
		}
		return nil
	})
}

// quotedAt has the errors of delegates at a command quote their configuration.
func quotedAt(command string) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			var own *types.Error
			if p.command() == command && errors.As(err, &own) {
				return out, types.NewError(own.Code, own.Msg, own.Details+" (configuration: "+string(p.stdin)+")")
			}
			return out, err
		})
	}
}

func quotedIfUnreadable(d *cluster.Definition) error {
	var text json.RawMessage
	if err := json.Unmarshal([]byte(d.Config), &text); err != nil {
		return types.NewError(types.ErrInvalidNetworkConfig, "network definition "+d.Name+" cannot be read: "+d.Config, err.Error())
	}
	return nil
}

func errorQuotesDefaultNetwork(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			paths, _ := filepath.Glob(filepath.Join(a.config.ConfDir, "*.conflist"))
			for _, path := range paths {
				data, err := os.ReadFile(path)
				if err != nil {
					continue
				}
				if _, err := libcni.NetworkConfFromBytes(data); err != nil {
					return nil, types.NewError(types.ErrInvalidNetworkConfig, path+" cannot be read: "+string(data), err.Error())
				}
			}
			return next.Add(ctx, r)
		}
	})
}

func errorQuotesRequest(a *assembly) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body := readBody(r)
		replaceBody(r, body)
		if r.Method == http.MethodPost && !json.Valid(body) {
			answerError(w, http.StatusBadRequest, types.ErrDecodingFailure, "the request is no JSON: "+string(body))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func errorQuotesHotPlug(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.hotAdd = func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
			result, err := next.HotAdd(ctx, r, sel)
			if err != nil {
				return nil, types.NewError(types.ErrInvalidNetworkConfig, err.Error(), "configuration: "+string(r.Config))
			}
			return result, nil
		}
	})
}

// appendToLog writes a shim's configuration into the log file that it names.
func appendToLog(args *skel.CmdArgs) {
	var conf struct {
		LogFile string `json:"logFile"`
	}
	if json.Unmarshal(args.StdinData, &conf) != nil || conf.LogFile == "" {
		return
	}
	f, err := os.OpenFile(conf.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	say(f, "config: "+string(compacted(args.StdinData)))
}
