// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// codeUnavailable is the CNI spec's code 50 (section 2, STATUS).
const codeUnavailable = 50

// The profile lifecycle: STATUS.
var statusMutants = []mutant.Mutant{
	{Name: "status-always-ok", Cases: []string{"ST-01", "ST-02"}, Daemon: onStatusAnswer(func(ans *seam.Answered, _ map[string]any) { succeed(ans) }),
		Fault: "STATUS succeeds whatever is wrong"},
	{Name: "status-delegates-not-asked", Cases: []string{"ST-01"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool { return p.Command() == "STATUS" }),
		Fault: "STATUS looks at the default network's configuration and runs no delegate"},
	{Name: "status-first-plugin-only", Cases: []string{"ST-01"}, Daemon: statusFirstPluginOnly,
		Fault: "STATUS asks the first plugin of the default network only"},
	{Name: "status-code-lost", Cases: []string{"ST-01"}, Daemon: onStatusError(func(err error) error { return errors.New(err.Error()) }),
		Fault: "a failing STATUS has the code of an internal error"},
	{Name: "status-code-50-for-all", Cases: []string{"ST-01"}, Daemon: onStatusError(func(err error) error {
		return types.NewError(codeUnavailable, "the default network is not available", err.Error())
	}), Fault: "a delegate's STATUS error gets code 50, whatever its own is"},
	{Name: "status-unknown-codes-dropped", Cases: []string{"ST-01"}, Daemon: onStatusError(statusKnownCodes),
		Fault: "STATUS fails for the codes 50 and 51 of the CNI spec only"},
	{Name: "status-crash-is-ok", Cases: []string{"ST-01"}, Daemon: statusCrashIsOK,
		Fault: "STATUS takes a delegate that crashes for one that does not know the command"},
	{Name: "status-asks-old-versions", Cases: []string{"ST-01"}, Daemon: statusAsksOldVersions,
		Fault: "STATUS is sent to plugins of a network below CNI 1.1"},
	{Name: "status-needs-new-version", Cases: []string{"ST-01"}, Daemon: statusNeedsNewVersion,
		Fault: "STATUS fails for a default network below CNI 1.1"},
	{Name: "status-remembered", Cases: []string{"ST-01"}, Daemon: statusRemembered,
		Fault: "STATUS gives its first failure for ever"},
	{Name: "status-names-a-sandbox", Cases: []string{"ST-01"}, Daemon: seam.OnVariables("STATUS", func(p *seam.Plugin) {
		p.Set("CNI_CONTAINERID", "status")
		p.Set("CNI_IFNAME", "eth0")
	}), Fault: "delegates get CNI_CONTAINERID and CNI_IFNAME at STATUS"},

	{Name: "status-default-at-start", Cases: []string{"ST-02"}, Daemon: statusDefaultAtStart,
		Fault: "STATUS goes on with the default network's former configuration when that is removed"},
	{Name: "status-missing-default-code-11", Cases: []string{"ST-02"}, Daemon: statusMissingDefaultCode(11),
		Fault: "STATUS answers 11 while the default network's configuration is missing"},
	{Name: "status-missing-default-code-999", Cases: []string{"ST-02"}, Daemon: statusMissingDefaultCode(999),
		Fault: "STATUS answers the code of an internal error while the default network's configuration is missing"},
	{Name: "status-any-network-will-do", Cases: []string{"ST-02"}, Daemon: statusAnyNetwork,
		Fault: "STATUS succeeds while there is a configuration of any network"},
	{Name: "status-stays-50", Cases: []string{"ST-02"}, Daemon: statusStays50,
		Fault: "STATUS goes on answering 50 when the default network's configuration is back"},
}

// onStatusAnswer changes the answer to a STATUS that failed.
func onStatusAnswer(f func(ans *seam.Answered, cniError map[string]any)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnFailure(func(_ *http.Request, req *api.Request, ans *seam.Answered, e map[string]any) {
			if req != nil && req.Env["CNI_COMMAND"] == "STATUS" {
				f(ans, e)
			}
		})
	}
}

// succeed makes a success of a failure.
func succeed(ans *seam.Answered) { ans.Status, ans.Body = http.StatusOK, []byte("{}") }

// onStatusError changes the error of a STATUS while the default network has a
// configuration.
func onStatusError(f func(error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
			err := next.Status(ctx)
			if _, missing := o.Planner.Default(ctx, "eth0", nil); err == nil || missing != nil {
				return err
			}
			return f(err)
		})
	}
}

func statusFirstPluginOnly(a *seam.Assembly) {
	var mu sync.Mutex
	asked := false
	a.OnStatus(func(ctx context.Context, next daemon.Engine, _ attach.Options) error {
		mu.Lock() // one STATUS after the other, to know which plugin is its first
		defer mu.Unlock()
		asked = false
		return next.Status(ctx)
	})
	seam.Swallowed(func(p *seam.Plugin) bool {
		if p.Command() != "STATUS" {
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

func statusCrashIsOK(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		var own *types.Error
		if p.Command() == "STATUS" && errors.As(err, &own) && own.Code == types.ErrInternal {
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

func statusAsksOldVersions(a *seam.Assembly) {
	a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		list, err := defaultList(ctx, o)
		if err == nil && list.CNIVersion != "1.1.0" {
			list.CNIVersion = "1.1.0"
			return seam.CniOf(o).GetStatusNetworkList(ctx, list)
		}
		return next.Status(ctx)
	})
}

func statusNeedsNewVersion(a *seam.Assembly) {
	a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		list, err := defaultList(ctx, o)
		if err == nil && list.CNIVersion != "1.1.0" {
			return types.NewError(types.ErrIncompatibleCNIVersion, "network "+list.Name+" does not support STATUS", "")
		}
		return next.Status(ctx)
	})
}

func statusRemembered(a *seam.Assembly) {
	var mu sync.Mutex
	var first error
	a.OnStatus(func(ctx context.Context, next daemon.Engine, _ attach.Options) error {
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
func statusDefaultAtStart(a *seam.Assembly) {
	var mu sync.Mutex
	var last *libcni.NetworkConfigList
	a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		mu.Lock()
		defer mu.Unlock()
		list, err := defaultList(ctx, o)
		if err != nil && last != nil {
			return seam.CniOf(o).GetStatusNetworkList(ctx, last)
		}
		last = list
		return next.Status(ctx)
	})
}

// missingDefault replaces the error of STATUS while the default network has no
// configuration.
func missingDefault(f func(err error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
			err := next.Status(ctx)
			if _, missing := defaultList(ctx, o); err != nil && missing != nil {
				return f(err)
			}
			return err
		})
	}
}

func statusMissingDefaultCode(code uint) func(*seam.Assembly) {
	return missingDefault(func(err error) error { return types.NewError(code, err.Error(), "") })
}

func statusAnyNetwork(a *seam.Assembly) {
	missingDefault(func(err error) error {
		if lists, _ := filepath.Glob(filepath.Join(a.Config.ConfDir, "*.conflist")); len(lists) > 0 {
			return nil
		}
		return err
	})(a)
}

func statusStays50(a *seam.Assembly) {
	var mu sync.Mutex
	var gone error
	a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
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
