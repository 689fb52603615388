// SPDX-License-Identifier: Apache-2.0

package security

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

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile security: what errors and logs tell of configurations.
var secretsMutants = []mutant.Mutant{
	{Name: "log-of-delegates-configs", Cases: []string{"SEC-04"}, Daemon: logging(func(a *seam.Assembly, say sayer) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			say("delegate", "plugin", p.Path, "config", string(p.Stdin))
			return run(ctx, p)
		})
	}), Fault: "the log has the configuration of each delegate that runs"},
	{Name: "log-of-requests", Cases: []string{"SEC-04"}, Daemon: logging(func(a *seam.Assembly, say sayer) {
		a.OnBody(func(body []byte) []byte { say("request", "body", string(body)); return body })
	}), Fault: "the log has the body of each request, with the configuration in base64"},
	{Name: "log-of-requests-as-bytes", Cases: []string{"SEC-04"}, Daemon: logging(func(a *seam.Assembly, say sayer) {
		a.OnCommand(func(path string, req *api.Request) {
			say("request", "path", path, "config", fmt.Sprintf("%d", req.Config))
		})
	}), Fault: "the log has the configuration of each request as a list of numbers"},
	{Name: "log-of-annotations", Cases: []string{"SEC-04"}, Daemon: logging(func(a *seam.Assembly, say sayer) {
		a.OnPod(func(annotations map[string]string) { say("pod", "annotations", annotations) })
	}), Fault: "the log has the annotations of pods, cni-args included"},
	// By itself, because the daemon's logger cuts what is long (SEC-12).
	{Name: "log-of-records", Cases: []string{"SEC-04"}, Daemon: beforeWriting(func(_ *seam.Assembly, rec *ledger.Record) {
		fmt.Fprintf(os.Stderr, "level=DEBUG msg=ledger record=%+v\n", rec)
	}), Fault: "the log has the records that are written"},
	{Name: "log-of-own-config", Cases: []string{"SEC-04"}, Daemon: logOfOwnConfig,
		Fault: "the log has the daemon's own configuration"},
	{Name: "log-of-damaged-records", Cases: []string{"SEC-04"}, Daemon: logOfDamagedRecords,
		Fault: "the log has the content of damaged records"},
	{Name: "refusal-quotes-config", Cases: []string{"SEC-04"}, Daemon: func(*seam.Assembly) {},
		Refusing: func(config []byte, err error) error { return fmt.Errorf("%w: %s", err, config) },
		Fault:    "a daemon that cannot use its configuration quotes it"},
	{Name: "add-error-quotes-config", Cases: []string{"SEC-04"}, Daemon: quotedAt("ADD"),
		Fault: "the error of a delegate that fails at ADD quotes its configuration"},
	{Name: "error-quotes-definition", Cases: []string{"SEC-04"}, Daemon: seam.OnDefinition(quotedIfUnreadable),
		Fault: "the error of a definition that cannot be read quotes it"},
	{Name: "error-quotes-default-network", Cases: []string{"SEC-04"}, Daemon: errorQuotesDefaultNetwork,
		Fault: "the error of a default network that cannot be read quotes its file"},
	{Name: "error-quotes-request", Cases: []string{"SEC-04"}, Daemon: errorQuotesRequest,
		Fault: "the error of a body that cannot be read quotes it"},
	{Name: "gc-error-quotes-config", Cases: []string{"SEC-04"}, Daemon: quotedAt("GC"),
		Fault: "the error of a delegate that fails at GC quotes its configuration"},
	{Name: "status-error-quotes-config", Cases: []string{"SEC-04"}, Daemon: quotedAt("STATUS"),
		Fault: "the error of a delegate that fails at STATUS quotes its configuration"},
	{Name: "error-quotes-hot-plug", Cases: []string{"SEC-04"}, Daemon: errorQuotesHotPlug,
		Fault: "the error of a hot-plug that fails quotes its configuration"},
	{Name: "shim-log-of-config", Cases: []string{"SEC-04"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return func(args *skel.CmdArgs) error {
			appendToLog(args)
			return next(args)
		}
	}), Fault: "the shim's log has its configuration"},
	{Name: "shim-error-quotes-config", Cases: []string{"SEC-04"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return func(args *skel.CmdArgs) error {
			var own *types.Error
			if err := next(args); !errors.As(err, &own) {
				return err
			}
			return types.NewError(own.Code, own.Msg, own.Details+" (configuration: "+string(args.StdinData)+")")
		}
	}), Fault: "the shim's errors quote its configuration"},
}

// sayer writes a line into the daemon's log.
type sayer func(msg string, args ...any)

// logging gives a fault the daemon's log.
func logging(f func(a *seam.Assembly, say sayer)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		log := slog.New(slog.DiscardHandler)
		a.WrapEngine(func(next daemon.Engine, o attach.Options) daemon.Engine {
			log = o.Log
			return next
		})
		f(a, func(msg string, args ...any) { log.Debug(msg, args...) })
	}
}

func logOfOwnConfig(a *seam.Assembly) {
	a.OnStart(func() error {
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
func logOfDamagedRecords(a *seam.Assembly) {
	a.OnStart(func() error {
		for _, path := range seam.Damaged(a.Config.CNIDir) {
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
func quotedAt(command string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			var own *types.Error
			if p.Command() == command && errors.As(err, &own) {
				return out, types.NewError(own.Code, own.Msg, own.Details+" (configuration: "+string(p.Stdin)+")")
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

func errorQuotesDefaultNetwork(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			paths, _ := filepath.Glob(filepath.Join(a.Config.ConfDir, "*.conflist"))
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

func errorQuotesRequest(a *seam.Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body := seam.ReadBody(r)
		seam.ReplaceBody(r, body)
		if r.Method == http.MethodPost && !json.Valid(body) {
			seam.AnswerError(w, http.StatusBadRequest, types.ErrDecodingFailure, "the request is no JSON: "+string(body))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func errorQuotesHotPlug(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnHotAdd = func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
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
	seam.Say(f, "config: "+string(seam.Compacted(args.StdinData)))
}
