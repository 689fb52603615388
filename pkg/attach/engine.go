// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// bootIDPath is where the kernel publishes the id of this boot.
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Options is what an Engine is made of.
type Options struct {
	Cluster cluster.Cluster
	Planner *network.Planner
	Ledger  Ledger
	// Withdrawals keeps the records of sandboxes that are deleted while their pods
	// may still show a status of them; nil where that is taken away at once.
	Withdrawals Ledger
	// Exec runs the delegate plugins.
	Exec invoke.Exec
	// BinDirs are the directories that plugins are looked for in; they become
	// the delegates' CNI_PATH.
	BinDirs []string
	// CacheDir is where a Multus that ran before had libcni keep the results of
	// ADD, in its directory "results". Nothing is written there.
	CacheDir string
	// DeviceInfo is where DeviceInfo files are; empty for devices.DefaultInfoDir.
	DeviceInfo devices.InfoDir
	// Turns, unless nil, are taken by requests with large configurations.
	Turns *Turns
	// SweepPatience is how long ADD or DEL waits for a GC of its network before it ends
	// that; zero means DefaultTimeLimit.
	SweepPatience time.Duration
	// StatusWait is how long a request waits for its network status to be
	// published; zero means not at all.
	StatusWait time.Duration
	Log        *slog.Logger
}

// Engine carries out the requests. Its methods are safe for concurrent use.
type Engine struct {
	cluster cluster.Cluster
	planner *network.Planner
	ledger  Ledger
	// withdrawals is Options.Withdrawals.
	withdrawals Ledger
	// cni reads libcni's cache, and executes nothing.
	cni     *libcni.CNIConfig
	exec    invoke.Exec
	binDirs []string
	// cacheDir is where libcni's cache of a former Multus is; see Options.CacheDir.
	cacheDir string
	bootID   string
	// nodeStart is nodeStart of the node's first process.
	nodeStart string
	info      devices.InfoDir
	locks     locks
	turns     *Turns
	// sweeps keep GC and ADD apart.
	sweeps sweeps
	// published remembers which container's status a pod shows, or is to show;
	// noted is done when that is known of the sandboxes of earlier daemons.
	published sync.Map
	noted     sync.Once
	// due are the sandboxes whose status an earlier daemon could not publish.
	due []string
	// planned is how old the pods were that ADD attached: the stamps of those
	// in published.
	planned   sync.Map
	publisher *publisher
	// deleted are the containers that were deleted last, asked the pods that the
	// runtime asked to attach last.
	deleted, asked recentSet
	// own are the namespaces that no sandbox has.
	own []uint64
	// unseen says which namespaces the replay waits for; nil for none.
	unseen atomic.Pointer[string]
	// unfinished is how many sandboxes the replay has not been able to delete.
	unfinished atomic.Int64
	log        *slog.Logger
}

// New returns an Engine.
func New(o Options) *Engine {
	id, err := os.ReadFile(bootIDPath)
	if err != nil {
		o.Log.Warn("the boot id cannot be read; records will not say which boot they are of", "error", err)
	}
	e := &Engine{
		cluster: o.Cluster,
		planner: o.Planner,
		ledger:  o.Ledger, withdrawals: o.Withdrawals,
		cni:     libcni.NewCNIConfigWithCacheDir(nil, o.CacheDir, nil),
		exec:    o.Exec,
		binDirs: o.BinDirs, cacheDir: o.CacheDir,
		bootID:    strings.TrimSpace(string(id)),
		nodeStart: nodeStart(nodeProcess),
		own:       ownNamespaces(),
		info:      cmp.Or(o.DeviceInfo, devices.DefaultInfoDir),
		turns:     o.Turns,
		sweeps:    sweeps{patience: o.SweepPatience},
		log:       o.Log,
	}
	e.publisher = newPublisher(o.Cluster, o.StatusWait, e.settle, o.Log)
	return e
}

// Request is a CNI request whose variables have been validated.
type Request struct {
	ContainerID string
	// Netns is the path of the network namespace; empty only for DEL, GC, STATUS.
	Netns     string
	Interface string
	// Args are the CNI_ARGS for the delegates, in order.
	Args [][2]string
	// Pod is what CNI_ARGS said of the pod; empty for GC and STATUS.
	Pod ledger.Pod
	// Config is the network configuration that the runtime passed.
	Config []byte
	// Version is Config's cniVersion, empty when it has none.
	Version string
	// RuntimeConfig are the capability arguments of the runtime, from Config.
	RuntimeConfig map[string]any
}

// InvalidRequest marks an error that lies in the request itself, its variables or
// the configuration that it brings along, and not in what it asks for: another
// request would not have it (EP-14).
type InvalidRequest struct{ cni *types.Error }

// Error is the CNI error's.
func (e *InvalidRequest) Error() string { return e.cni.Error() }

// Unwrap returns the CNI error.
func (e *InvalidRequest) Unwrap() error { return e.cni }

// invalidConfig marks an error of a configuration that came with the request;
// nil stays nil.
func invalidConfig(err error) error {
	var own *types.Error
	if !errors.As(err, &own) || own.Code != types.ErrInvalidNetworkConfig {
		return cniError(err, "configuration")
	}
	return &InvalidRequest{own}
}

func invalidRequest(msg string) error {
	return &InvalidRequest{types.NewError(types.ErrInvalidEnvironmentVariables, msg, "")}
}

// pod looks the request's pod up and compares its identity: a pod that was
// deleted and made again under the same name is not the one that this sandbox
// belongs to (ADD-12).
func (e *Engine) pod(ctx context.Context, r *Request) (*cluster.Pod, error) {
	if r.Pod.Namespace == "" || r.Pod.Name == "" {
		return nil, invalidRequest("CNI_ARGS does not name the pod: K8S_POD_NAMESPACE and K8S_POD_NAME are required")
	}
	pod, err := e.cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name)
	if live, ok := e.cluster.(cluster.LiveCluster); ok && err == nil && !pod.HasUID(r.Pod.UID) {
		// What is remembered may be the former pod of this name.
		pod, err = live.LivePod(ctx, r.Pod.Namespace, r.Pod.Name)
	}
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, types.NewError(types.ErrInternal, fmt.Sprintf("pod %s/%s does not exist", r.Pod.Namespace, r.Pod.Name), "")
	}
	if err != nil {
		return nil, types.NewError(types.ErrTryAgainLater, fmt.Sprintf("pod %s/%s cannot be looked up", r.Pod.Namespace, r.Pod.Name), err.Error())
	}
	if !pod.HasUID(r.Pod.UID) {
		return nil, types.NewError(types.ErrInternal,
			fmt.Sprintf("pod %s/%s has UID %s now, the sandbox belongs to UID %s", pod.Namespace, pod.Name, pod.UID, r.Pod.UID), "")
	}
	return pod, nil
}

// cniError returns err as the CNI error that the caller sees: the delegate's
// own where there is one, else one that says where it happened.
func cniError(err error, where string) error {
	if err == nil {
		return nil
	}
	var own *types.Error
	if errors.As(err, &own) {
		return own
	}
	code := types.ErrInternal
	// A default network that is missing comes (back) by itself (RES-08).
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, network.ErrNoDefaultNetwork) {
		code = types.ErrTryAgainLater
	}
	return types.NewError(code, fmt.Sprintf("%s: %v", where, err), "")
}
