// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// codeUnavailable is the CNI spec's code 50 (section 2, STATUS).
const codeUnavailable = 50

// The profile lifecycle: STATUS.
func init() {
	register(
		mutant{name: "status-always-ok", cases: []string{"ST-01", "ST-02"}, daemon: onStatusAnswer(func(ans *answered, _ map[string]any) { succeed(ans) }),
			fault: "STATUS succeeds whatever is wrong"},
		mutant{name: "status-delegates-not-asked", cases: []string{"ST-01"}, daemon: swallowed(func(p *plugin) bool { return p.command() == "STATUS" }),
			fault: "STATUS looks at the default network's configuration and runs no delegate"},
		mutant{name: "status-first-plugin-only", cases: []string{"ST-01"}, daemon: statusFirstPluginOnly,
			fault: "STATUS asks the first plugin of the default network only"},
		mutant{name: "status-code-lost", cases: []string{"ST-01"}, daemon: onStatusError(func(err error) error { return errors.New(err.Error()) }),
			fault: "a failing STATUS has the code of an internal error"},
		mutant{name: "status-code-50-for-all", cases: []string{"ST-01"}, daemon: onStatusError(func(err error) error {
			return types.NewError(codeUnavailable, "the default network is not available", err.Error())
		}), fault: "a delegate's STATUS error gets code 50, whatever its own is"},
		mutant{name: "status-unknown-codes-dropped", cases: []string{"ST-01"}, daemon: onStatusError(statusKnownCodes),
			fault: "STATUS fails for the codes 50 and 51 of the CNI spec only"},
		mutant{name: "status-crash-is-ok", cases: []string{"ST-01"}, daemon: statusCrashIsOK,
			fault: "STATUS takes a delegate that crashes for one that does not know the command"},
		mutant{name: "status-asks-old-versions", cases: []string{"ST-01"}, daemon: statusAsksOldVersions,
			fault: "STATUS is sent to plugins of a network below CNI 1.1"},
		mutant{name: "status-needs-new-version", cases: []string{"ST-01"}, daemon: statusNeedsNewVersion,
			fault: "STATUS fails for a default network below CNI 1.1"},
		mutant{name: "status-remembered", cases: []string{"ST-01"}, daemon: statusRemembered,
			fault: "STATUS gives its first failure for ever"},
		mutant{name: "status-names-a-sandbox", cases: []string{"ST-01"}, daemon: onVariables("STATUS", func(p *plugin) {
			p.set("CNI_CONTAINERID", "status")
			p.set("CNI_IFNAME", "eth0")
		}), fault: "delegates get CNI_CONTAINERID and CNI_IFNAME at STATUS"},

		mutant{name: "status-default-at-start", cases: []string{"ST-02"}, daemon: statusDefaultAtStart,
			fault: "STATUS goes on with the default network's former configuration when that is removed"},
		mutant{name: "status-missing-default-code-11", cases: []string{"ST-02"}, daemon: statusMissingDefaultCode(11),
			fault: "STATUS answers 11 while the default network's configuration is missing"},
		mutant{name: "status-missing-default-code-999", cases: []string{"ST-02"}, daemon: statusMissingDefaultCode(999),
			fault: "STATUS answers the code of an internal error while the default network's configuration is missing"},
		mutant{name: "status-any-network-will-do", cases: []string{"ST-02"}, daemon: statusAnyNetwork,
			fault: "STATUS succeeds while there is a configuration of any network"},
		mutant{name: "status-stays-50", cases: []string{"ST-02"}, daemon: statusStays50,
			fault: "STATUS goes on answering 50 when the default network's configuration is back"},
	)
}

// onStatusAnswer changes the answer to a STATUS that failed.
func onStatusAnswer(f func(ans *answered, cniError map[string]any)) func(*assembly) {
	return func(a *assembly) {
		a.onFailure(func(_ *http.Request, req *api.Request, ans *answered, e map[string]any) {
			if req != nil && req.Env["CNI_COMMAND"] == "STATUS" {
				f(ans, e)
			}
		})
	}
}

// succeed makes a success of a failure.
func succeed(ans *answered) { ans.status, ans.body = http.StatusOK, []byte("{}") }

// onStatus replaces STATUS.
func (a *assembly) onStatus(f func(ctx context.Context, next daemon.Engine, o attach.Options) error) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.status = func(ctx context.Context) error { return f(ctx, next, o) }
	})
}

// onStatusError changes the error of a STATUS while the default network has a
// configuration.
func onStatusError(f func(error) error) func(*assembly) {
	return func(a *assembly) {
		a.onStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
			err := next.Status(ctx)
			if _, missing := o.Planner.Default(ctx, "eth0", nil); err == nil || missing != nil {
				return err
			}
			return f(err)
		})
	}
}

func statusFirstPluginOnly(a *assembly) {
	var mu sync.Mutex
	asked := false
	a.onStatus(func(ctx context.Context, next daemon.Engine, _ attach.Options) error {
		mu.Lock() // one STATUS after the other, to know which plugin is its first
		defer mu.Unlock()
		asked = false
		return next.Status(ctx)
	})
	swallowed(func(p *plugin) bool {
		if p.command() != "STATUS" {
			return false
		}
		again := asked
		asked = true
		return again
	})(a)
}

func statusKnownCodes(err error) error {
	var own *types.Error
	if errors.As(err, &own) && own.Code != codeUnavailable && own.Code != 51 {
		return nil
	}
	return err
}

func statusCrashIsOK(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		var own *types.Error
		if p.command() == "STATUS" && errors.As(err, &own) && own.Code == types.ErrInternal {
			return out, nil
		}
		return out, err
	})
}

// defaultList is the default network's configuration as it is now.
func defaultList(ctx context.Context, o attach.Options) (*libcni.NetworkConfigList, error) {
	d, err := o.Planner.Default(ctx, "eth0", nil)
	if err != nil {
		return nil, err
	}
	return libcni.NetworkConfFromBytes(d.Config)
}

func statusAsksOldVersions(a *assembly) {
	a.onStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		list, err := defaultList(ctx, o)
		if err == nil && list.CNIVersion != "1.1.0" {
			list.CNIVersion = "1.1.0"
			return cniOf(o).GetStatusNetworkList(ctx, list)
		}
		return next.Status(ctx)
	})
}

func statusNeedsNewVersion(a *assembly) {
	a.onStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		list, err := defaultList(ctx, o)
		if err == nil && list.CNIVersion != "1.1.0" {
			return types.NewError(types.ErrIncompatibleCNIVersion, "network "+list.Name+" does not support STATUS", "")
		}
		return next.Status(ctx)
	})
}

func statusRemembered(a *assembly) {
	var mu sync.Mutex
	var first error
	a.onStatus(func(ctx context.Context, next daemon.Engine, _ attach.Options) error {
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = next.Status(ctx)
		}
		return first
	})
}

// statusDefaultAtStart asks the delegates of the last configuration that was
// seen.
func statusDefaultAtStart(a *assembly) {
	var mu sync.Mutex
	var last *libcni.NetworkConfigList
	a.onStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		mu.Lock()
		defer mu.Unlock()
		list, err := defaultList(ctx, o)
		if err != nil && last != nil {
			return cniOf(o).GetStatusNetworkList(ctx, last)
		}
		last = list
		return next.Status(ctx)
	})
}

// missingDefault replaces the error of STATUS while the default network has no
// configuration.
func missingDefault(f func(err error) error) func(*assembly) {
	return func(a *assembly) {
		a.onStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
			err := next.Status(ctx)
			if _, missing := defaultList(ctx, o); err != nil && missing != nil {
				return f(err)
			}
			return err
		})
	}
}

func statusMissingDefaultCode(code uint) func(*assembly) {
	return missingDefault(func(err error) error { return types.NewError(code, err.Error(), "") })
}

func statusAnyNetwork(a *assembly) {
	missingDefault(func(err error) error {
		if lists, _ := filepath.Glob(filepath.Join(a.config.ConfDir, "*.conflist")); len(lists) > 0 {
			return nil
		}
		return err
	})(a)
}

func statusStays50(a *assembly) {
	var mu sync.Mutex
	var gone error
	a.onStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		mu.Lock()
		defer mu.Unlock()
		if _, missing := defaultList(ctx, o); missing != nil {
			gone = next.Status(ctx)
		}
		if gone != nil {
			return gone
		}
		return next.Status(ctx)
	})
}
