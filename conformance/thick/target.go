// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Paths are the directories and parameters that a case gives a target; the
// templates of a target file see them as {{.RunDir}} and so on.
type Paths struct {
	// Dir is the case's own directory; all others are below it.
	Dir string
	// RunDir is where the socket belongs. The daemon makes it.
	RunDir string
	// CacheDir is for what the daemon keeps across restarts.
	CacheDir string
	// BinDir holds the delegate plugins.
	BinDir string
	// ConfDir holds the default network's configuration, of a network named
	// "default".
	ConfDir string
	// CNIConfDir is the node's CNI configuration directory, where the container
	// runtime reads: the default network's file is found in it, and the daemon's
	// own goes into it. It is empty in cases that are not about it; ConfDir
	// holds the default network then.
	CNIConfDir string
	// ClusterDir holds the manifests of pods and network definitions.
	ClusterDir string
	// Kubeconfig is the daemon's way to the API server, of a target with
	// FeatureKubernetes.
	Kubeconfig string
	// APIHost, APIPort, APIToken and APICertificate (PEM) are the same for a
	// daemon that looks for them where pods have them.
	APIHost, APIPort, APIToken, APICertificate string
	// NodeName is the name of the daemon's node, whose pods it serves.
	NodeName string
	// PodResourcesSocket is the kubelet's pod-resources socket. Nobody listens
	// there unless the case is about devices.
	PodResourcesSocket string
	// DeviceInfoDir is the base directory of DeviceInfo files, for
	// /var/run/k8s.cni.cncf.io/devinfo. It is not there at first.
	DeviceInfoDir string
	// PendingDir is where a shim may leave requests for later.
	PendingDir string
	// InstallDir is where the target's installer puts the shim.
	InstallDir string
	// ConfigFile is where the daemon's configuration is written.
	ConfigFile string
	// LogFile is where the daemon's output goes.
	LogFile string
	// CNIVersion is the version of the shim's configuration.
	CNIVersion string
	// DelegateTimeout is how long a delegate may run, such as "1s"; empty for
	// the target's default.
	DelegateTimeout string
	// RequestLimit is the largest request, in bytes; 0 for the target's default.
	RequestLimit int64
	// Reconcile has the daemon follow the annotations of running pods.
	Reconcile bool
	// DefaultNetwork is the default network when it is not the one named "default"
	// in ConfDir: a definition in HomeNamespace, a file, or a directory whose first
	// configuration it is.
	DefaultNetwork string
	// HomeNamespace is the namespace of the definitions that the daemon's
	// configuration, or an annotation without a namespace, names; empty for the
	// target's default.
	HomeNamespace string
	// EveryPod are definitions in HomeNamespace that every pod gets before those
	// that it selects, but for pods of ExemptNamespaces.
	EveryPod []string
	// ExemptNamespaces are those whose pods do not get EveryPod.
	ExemptNamespaces []string
	// Isolated keeps pods to the definitions of their own namespace and of
	// SharedNamespaces.
	Isolated bool
	// SharedNamespaces are those that isolated pods reach, too.
	SharedNamespaces []string
	// AuxiliaryChain is the name of a chain of plugins to which every pod is
	// attached, whose configurations are in the directory of that name in ConfDir.
	AuxiliaryChain string
	// MetricsPort and ProbePort are the TCP ports for metrics (with profiles,
	// where there are any) and for probes; 0 for none.
	MetricsPort, ProbePort int
	// MetricsAddress is the IP address of MetricsPort. ProbePort is on the
	// target's default address.
	MetricsAddress string
}

// Target is an implementation to judge.
type Target interface {
	suite.Subject
	// ShimPath is the shim's executable.
	ShimPath() string
	// ShimConfig is the network configuration that makes the shim talk to the
	// daemon of these paths.
	ShimConfig(p Paths) ([]byte, error)
	// DaemonConfig is the daemon's configuration, in a form of its own.
	DaemonConfig(p Paths) ([]byte, error)
	// StartDaemon starts a daemon with the configuration and returns at once.
	StartDaemon(ctx context.Context, p Paths, config []byte) (Process, error)
	// Install puts the shim into p.InstallDir, as the target's installer does.
	Install(ctx context.Context, p Paths) error
}

// Process is a daemon that was started.
type Process interface {
	// Terminate tells it to stop, as SIGTERM does, and returns at once.
	Terminate() error
	// Kill ends it at once, as SIGKILL does.
	Kill() error
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// ExitCode is its exit status once it has ended, 0 for success.
	ExitCode() int
	// Log is what it has printed so far.
	Log() string
	// PID is its process id, 0 when it has no process of its own.
	PID() int
}

// LiveTarget is a target whose daemon already runs, perhaps on a node in use.
// Only what cannot hurt the node is asked of it.
type LiveTarget interface {
	Target
	// RunDir is the daemon's run directory.
	RunDir() string
}

// RoleTarget is a target that says what its daemon may do in the API.
type RoleTarget interface {
	Target
	// ClusterRole is a manifest; empty means the least that a daemon of this
	// kind can do with.
	ClusterRole() []byte
}

// LeavingTarget is a target that keeps damaged records aside, which is not
// leaving something behind.
type LeavingTarget interface {
	Target
	// SetAside are the paths of such files and directories, as filepath.Match
	// takes them.
	SetAside(p Paths) []string
}

// RecordsTarget is a target that can be asked what its daemon has recorded:
// attachments, and requests for later. Without it, behaviour alone shows what is
// left.
type RecordsTarget interface {
	Target
	// Records returns the function that asks: lines of a container id and an
	// interface name. It is nil for a target that cannot be asked.
	Records(p Paths) func() ([]string, error)
}

// Settings are what the cases of thick plugins need.
type Settings struct {
	Target Target
	// FakeDelegate is a program that is the fake delegate; empty means this one.
	FakeDelegate string
	// PluginDir holds the real plugins; cases that need them are skipped when
	// it is missing.
	PluginDir string
	// Kubeconfig names a cluster whose API the cases use, in namespaces of
	// their own, when the target needs one; empty for an API server that the
	// suite starts.
	Kubeconfig string
	// KubernetesAssets is where etcd and kube-apiserver are, for the suite's
	// API server, unless KUBEBUILDER_ASSETS says so.
	KubernetesAssets string
}

// WithoutPlugins says on stderr, once in a program, that cases will be skipped
// for want of a PluginDir: a go test shows the reasons of skips only when it is
// asked for them.
var WithoutPlugins = sync.OnceFunc(func() {
	fmt.Fprintln(os.Stderr, "conformance: Config.PluginDir is empty, so the cases that need real CNI plugins (bridge, host-local, …) are skipped; "+
		"build github.com/containernetworking/plugins and name their directory")
})

// API are the settings of the API server for the daemons of these targets.
func (s *Settings) API(targets ...Target) kube.Settings {
	settings := kube.Settings{Kubeconfig: s.Kubeconfig, Assets: s.KubernetesAssets}
	for _, t := range targets {
		settings.Daemons = append(settings.Daemons, daemonOf(t))
	}
	return settings
}

func daemonOf(t Target) kube.Daemon {
	d := kube.Daemon{Name: t.Name()}
	if own, ok := t.(RoleTarget); ok {
		d.Role = own.ClusterRole()
	}
	return d
}

// Services are what the target's cases share: an API server where the target
// has FeatureKubernetes, shared with other runs unless it is nil.
func (s *Settings) Services(shared *kube.API) []suite.Service {
	if !slices.Contains(s.Target.Features(), FeatureKubernetes) {
		return nil
	}
	return []suite.Service{kube.NewService(s.API(s.Target), shared)}
}
