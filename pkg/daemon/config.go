// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

// Duration is a time.Duration that is written as "60s" or "1m30s" in JSON.
type Duration time.Duration

// UnmarshalJSON reads the form of time.ParseDuration; negative ones are refused.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf(`want a duration in quotes, such as "60s"`)
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return fmt.Errorf(`%q is not a duration such as "60s"`, text)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes the form that UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Config is the daemon's configuration: Multus' keys, so that a node can
// change from one to the other, and Thicket's own. Paths are absolute.
type Config struct {
	// SocketDir is the run directory; the socket is multus.sock in it.
	SocketDir string `json:"socketDir"`
	// CNIDir holds the ledger, the pending DELs and what a Multus before has cached.
	CNIDir string `json:"cniDir"`
	// BinDir holds the delegate plugins; several directories are separated by ':'.
	BinDir string `json:"binDir"`
	// ConfDir holds network configurations that are named instead of defined.
	ConfDir    string `json:"confDir"`
	ChrootDir  string `json:"chrootDir,omitempty"`
	PendingDir string `json:"pendingDir,omitempty"`

	// ClusterNetwork is the default network: a definition in MultusNamespace,
	// the name of a network in ConfDir, a file, or a directory.
	ClusterNetwork  string   `json:"clusterNetwork"`
	DefaultNetworks []string `json:"defaultNetworks,omitempty"`
	MultusNamespace string   `json:"multusNamespace"`
	// AuxiliaryCNIChainName is the network name of a chain of plugins that every
	// pod gets last, from the directory of that name beside ClusterNetwork.
	AuxiliaryCNIChainName string `json:"auxiliaryCNIChainName,omitempty"`
	// SystemNamespaces are those whose pods get no DefaultNetworks.
	SystemNamespaces   []string `json:"systemNamespaces"`
	NamespaceIsolation bool     `json:"namespaceIsolation,omitempty"`
	// GlobalNamespaces are separated by ','.
	GlobalNamespaces string `json:"globalNamespaces"`
	// UndeclaredCapabilities says what becomes of a pod that asks a network for
	// ips, mac, portMappings, bandwidth or infiniband-guid when none of the
	// network's plugins declares that: "fail", the default, refuses its ADD (NPWG
	// standard, section 4.1.2.1); "warn" attaches the network without it, as
	// Multus does, and tells of it by an event of the pod (NET-18).
	UndeclaredCapabilities string `json:"undeclaredCapabilities,omitempty"`

	// ReconcileNetworks attaches and detaches what changes in the annotation
	// k8s.v1.cni.cncf.io/networks of a running pod (HOT-09).
	ReconcileNetworks bool `json:"reconcileNetworks,omitempty"`

	// Cluster, Kubeconfig and PerNodeCertificate say where pods and definitions
	// come from; when all are empty, from the API server of the daemon's own pod.
	Cluster    ClusterConfig `json:"cluster"`
	Kubeconfig string        `json:"kubeconfig,omitempty"`
	// PerNodeCertificate takes the place of Kubeconfig.
	PerNodeCertificate PerNodeCertificate `json:"perNodeCertificate,omitzero"`
	// NodeName is the node whose pods are served; empty means what the
	// environment variable MULTUS_NODE_NAME says.
	NodeName string `json:"nodeName,omitempty"`

	// PodResourcesSocket is where the kubelet says which devices pods have; it is
	// asked when a network definition names a resource.
	PodResourcesSocket string `json:"podResourcesSocket"`
	// DeviceInfoDir is the base directory of DeviceInfo files (NPWG).
	DeviceInfoDir string `json:"deviceInfoDir"`

	NodeConfig
	MultusConfig
	PodLimits

	// DelegateTimeout is how long one plugin may run.
	DelegateTimeout Duration `json:"delegateTimeout"`
	// RequestLimit is the largest request body, in bytes.
	RequestLimit int64 `json:"requestLimit"`
	// ConnectionLimit is how many delegates may run at once; 0 means
	// admission.MostRunning. The memory limit of the daemon's cgroup may let in
	// fewer.
	ConnectionLimit int `json:"connectionLimit,omitempty"`
	// QueueLimit is how many requests may be in service or wait for it; an ADD
	// beyond them is told to try again later.
	QueueLimit int `json:"queueLimit"`
	// StatusWait is how long an ADD waits until the pod's network status is
	// published; then it succeeds, and the status is published later (RES-14). 0
	// means not at all.
	StatusWait Duration `json:"statusWait"`
	// GracePeriod is how long requests may go on after SIGTERM before they are
	// cancelled and rolled back.
	GracePeriod Duration `json:"gracePeriod"`

	// MetricsPort serves /metrics on MetricsAddress; 0 for none.
	MetricsPort int `json:"metricsPort,omitempty"`
	// MetricsAddress is the IP address that metrics and profiles are served on.
	MetricsAddress string `json:"metricsAddress,omitempty"`
	// ProbePort serves /healthz and /readyz on ProbeAddress, for a
	// kubelet's probes; 0 for none.
	ProbePort int `json:"probePort,omitempty"`
	// ProbeAddress is the IP address that probes are answered on.
	ProbeAddress string `json:"probeAddress,omitempty"`
	// EnablePprof serves /debug/pprof/ beside the metrics.
	EnablePprof bool `json:"enablePprof,omitempty"`

	LogLevel    string `json:"logLevel,omitempty"`
	LogFile     string `json:"logFile,omitempty"`
	LogToStderr *bool  `json:"logToStderr,omitempty"`
}

// The values of UndeclaredCapabilities.
const (
	undeclaredFail = "fail"
	undeclaredWarn = "warn"
)

// DefaultConfig is what a key has that the configuration does not set.
func DefaultConfig() *Config {
	return &Config{
		SocketDir:        "/run/multus/",
		CNIDir:           "/var/lib/cni/multus",
		BinDir:           "/opt/cni/bin",
		ConfDir:          "/etc/cni/multus/net.d",
		MultusNamespace:  "kube-system",
		SystemNamespaces: []string{"kube-system"},
		GlobalNamespaces: "default",
		DelegateTimeout:  Duration(attach.DefaultTimeLimit),
		RequestLimit:     4 << 20,
		QueueLimit:       512,
		GracePeriod:      Duration(25 * time.Second),
		StatusWait:       Duration(2 * time.Second),
		MetricsAddress:   "127.0.0.1",
		ProbeAddress:     "127.0.0.1",

		PodResourcesSocket: devices.DefaultSocket,
		DeviceInfoDir:      devices.DefaultInfoDir,

		NodeConfig: NodeConfig{MultusConfigFile: nodeconf.Auto, CNIConfigDir: "/etc/cni/net.d"},
		PodLimits:  defaultPodLimits(),
	}
}

// ParseConfig reads a configuration. source is what errors and warnings call
// it, usually its path. Keys that are not known are warned of, with the
// nearest known one, and ignored; a value of the wrong type or out of its
// range is an error that names key and line.
func ParseConfig(data []byte, source string) (c *Config, warnings []string, err error) {
	c = DefaultConfig()
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(c); err != nil {
		return nil, nil, locate(data, source, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%s:%d: there is more after the configuration's closing brace", source, lineAt(data, dec.InputOffset()))
	}
	if err := c.validate(data, source); err != nil {
		return nil, nil, err
	}
	if c.PendingDir == "" {
		c.PendingDir = api.PendingDir(c.CNIDir)
	}
	return c, append(checkKeys(data, source), c.withoutEffect(data, source)...), nil
}

func (c *Config) validate(data []byte, source string) error {
	bad := func(key, format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s: %s", source, lineOfKey(data, key), key, fmt.Sprintf(format, args...))
	}
	paths := []struct{ key, value string }{
		{"socketDir", c.SocketDir}, {"cniDir", c.CNIDir}, {"confDir", c.ConfDir},
		{"chrootDir", c.ChrootDir}, {"pendingDir", c.PendingDir}, {"logFile", c.LogFile}, {"directory", c.Cluster.Directory},
		{"kubeconfig", c.Kubeconfig}, {"bootstrapKubeconfig", c.PerNodeCertificate.BootstrapKubeconfig}, {"certDir", c.PerNodeCertificate.CertDir},
		{"podResourcesSocket", c.PodResourcesSocket}, {"deviceInfoDir", c.DeviceInfoDir},
	}
	for _, dir := range filepath.SplitList(c.BinDir) {
		paths = append(paths, struct{ key, value string }{"binDir", dir})
	}
	paths = append(paths, c.NodeConfig.paths()...)
	for _, p := range paths {
		if p.value == "" || filepath.IsAbs(p.value) {
			continue
		}
		switch p.key {
		case "kubeconfig", "bootstrapKubeconfig":
			// What was put there may be the file's content, tokens included (SEC-04).
			return bad(p.key, "want the path of a file, from / on, and not what is in it")
		default:
			return bad(p.key, "%q is a relative path; write it from / on", p.value)
		}
	}
	switch {
	case c.SocketDir == "" || c.CNIDir == "" || c.BinDir == "":
		return fmt.Errorf("%s: socketDir, cniDir and binDir must not be empty; leave them out for their defaults", source)
	case c.PodResourcesSocket == "" || c.DeviceInfoDir == "":
		return fmt.Errorf("%s: podResourcesSocket and deviceInfoDir must not be empty; leave them out for their defaults", source)
	case c.RequestLimit < 1024:
		return bad("requestLimit", "%d bytes are too few for any request; the default is %d", c.RequestLimit, DefaultConfig().RequestLimit)
	case c.ConnectionLimit < 0:
		return bad("connectionLimit", "%d is negative; leave it out to have the memory limit decide", c.ConnectionLimit)
	case c.MetricsPort < 0 || c.MetricsPort > 65535:
		return bad("metricsPort", "%d is no TCP port", c.MetricsPort)
	case net.ParseIP(c.MetricsAddress) == nil:
		return bad("metricsAddress", "%q is not an IP address; leave the key out for 127.0.0.1, or write 0.0.0.0 for all of the node's", c.MetricsAddress)
	case net.ParseIP(c.ProbeAddress) == nil:
		return bad("probeAddress", "%q is not an IP address; leave the key out for 127.0.0.1", c.ProbeAddress)
	case c.ProbePort < 0 || c.ProbePort > 65535:
		return bad("probePort", "%d is no TCP port", c.ProbePort)
	case c.ProbePort != 0 && c.ProbePort == c.MetricsPort:
		return bad("probePort", "%d is metricsPort too; give one of them another port", c.ProbePort)
	case c.EnablePprof && c.MetricsPort == 0:
		return bad("enablePprof", "profiles are served beside the metrics; set metricsPort too")
	case c.QueueLimit < 1:
		return bad("queueLimit", "%d requests are too few; the default is %d", c.QueueLimit, DefaultConfig().QueueLimit)
	case !slices.Contains([]string{"", undeclaredFail, undeclaredWarn}, c.UndeclaredCapabilities):
		return bad("undeclaredCapabilities", "%q is neither %q nor %q", c.UndeclaredCapabilities, undeclaredFail, undeclaredWarn)
	case c.DelegateTimeout == 0:
		return bad("delegateTimeout", "must be more than 0; the default is %s", attach.DefaultTimeLimit)
	case c.ClusterNetwork == "" && c.MultusConfigFile == "" && len(c.Delegates) == 0:
		return fmt.Errorf(`%s: clusterNetwork is missing; name the default network (a definition in %s, a network in %s, or a path), or set "multusConfigFile": "auto"`,
			source, c.MultusNamespace, c.ConfDir)
	}
	for _, validate := range []func() (string, error){c.NodeConfig.validate, c.MultusConfig.validate, c.PodLimits.validate} {
		if key, err := validate(); err != nil {
			return bad(key, "%v", err)
		}
	}
	if err := c.validateCluster(bad); err != nil {
		return err
	}
	if _, err := parseLevel(c.LogLevel); err != nil {
		return bad("logLevel", "%v", err)
	}
	return nil
}

// locate turns an error of encoding/json into one with source, line and key.
func locate(data []byte, source string, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		// The keys of the embedded structs are the configuration's own.
		key := wrong.Field
		for _, embedded := range []string{"NodeConfig.", "MultusConfig.", "PodLimits.", "Limits."} {
			key = strings.TrimPrefix(key, embedded)
		}
		return fmt.Errorf("%s:%d: %s: want %s, got a JSON %s", source, lineAt(data, wrong.Offset), key, kindName(wrong.Type.String()), wrong.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d: not valid JSON: %w", source, lineAt(data, syntax.Offset), syntax)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s:%d: the JSON ends too early; is the file complete?", source, lineAt(data, int64(len(data))))
	}
	for _, key := range []string{"delegateTimeout", "gracePeriod", "statusWait"} {
		// A Duration's own error does not say where it stood.
		var d Duration
		if raw, ok := topLevel(data)[key]; ok && d.UnmarshalJSON(raw) != nil {
			return fmt.Errorf("%s:%d: %s: %w", source, lineOfKey(data, key), key, d.UnmarshalJSON(raw))
		}
	}
	return fmt.Errorf("%s: %w", source, err)
}

func kindName(goType string) string {
	switch {
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "int"):
		return "a whole number"
	case goType == "string":
		return "a string"
	case goType == "[]string":
		return "a list of strings"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	default:
		return "an object"
	}
}

func topLevel(data []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(data, &m)
	return m
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n"))
}

func lineOfKey(data []byte, key string) int {
	return lineAt(data, int64(max(bytes.Index(data, []byte(`"`+key+`"`)), 0)))
}
