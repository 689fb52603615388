// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"os"
	"syscall"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile del: a namespace's path that leads elsewhere than at ADD.
var foreignMutants = []mutant.Mutant{
	{Name: "netns-not-compared", Cases: []string{"DEL-11"}, Daemon: seam.OnLoaded(withoutIdentity),
		Fault: "the namespace is not compared with that of the ADD"},
	{Name: "del-enters-foreign-netns", Cases: []string{"DEL-11"}, Daemon: seam.OnVariables("DEL", enterForeign),
		Fault: "DEL acts in the namespace that the path leads to, whoever's it is"},
	{Name: "del-in-host-netns-refused", Cases: []string{"DEL-11"}, Daemon: delInHostRefused,
		Fault: "a DEL whose path leads to the host's own namespace fails"},
	{Name: "del-in-foreign-netns-skipped", Cases: []string{"DEL-11"}, Daemon: delInForeignSkipped,
		Fault: "a DEL whose path leads to another namespace succeeds and does nothing"},
	{Name: "shim-refuses-del-in-host-netns", Cases: []string{"DEL-11"}, Shim: seam.Around(refuseDelInHost),
		Fault: "the shim refuses a DEL in the network namespace that it runs in"},
}

func withoutIdentity(rec *ledger.Record) { rec.NetnsInode, rec.NetnsCookie = 0, 0 }

// enterForeign gives a delegate that gets no namespace the one of the request.
func enterForeign(p *seam.Plugin) {
	if p.Request != nil && p.Request.Request != nil && p.Get("CNI_NETNS") == "" && seam.Exists(p.Request.Netns) {
		p.Set("CNI_NETNS", p.Request.Netns)
	}
}

// netnsInode is the number of the namespace at a path, 0 for none.
func netnsInode(path string) uint64 {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

func delInHostRefused(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if seam.Exists(r.Netns) && netnsInode(r.Netns) == netnsInode("/proc/thread-self/ns/net") {
			return types.NewError(types.ErrInvalidNetNS, r.Netns+" is the host's", "")
		}
		return next.Del(ctx, r)
	})
}

func delInForeignSkipped(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if rec, err := o.Ledger.Load(r.ContainerID); err == nil && seam.Exists(r.Netns) && netnsInode(r.Netns) != rec.NetnsInode {
			return o.Ledger.Remove(r.ContainerID)
		}
		return next.Del(ctx, r)
	})
}

func refuseDelInHost(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		if os.Getenv("CNI_COMMAND") == "DEL" && seam.Exists(args.Netns) && netnsInode(args.Netns) == netnsInode("/proc/thread-self/ns/net") {
			return types.NewError(types.ErrInvalidNetNS, args.Netns+" is the shim's own", "")
		}
		return next(args)
	}
}
