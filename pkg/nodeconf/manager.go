// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/dirwatch"
)

// Auto is the value of Options.File that has the configuration generated.
const Auto = "auto"

const (
	// retryPause is how long the Manager waits before it writes again after a
	// failure, and before it looks again where the kernel does not watch.
	retryPause = 2 * time.Second
	// restorePause is the least time between two restorations of a file that
	// something else keeps changing, so that the two do not race.
	restorePause = time.Second
	// namedPatience is how long a network that is named may take to be found, and
	// namedPause how often it is looked whether it has changed: the directories
	// that are watched need not have it.
	namedPatience = 2 * time.Second
	namedPause    = 2 * time.Second
	// removePatience bounds the removal at the end.
	removePatience = 10 * time.Second
)

// Options is what a Manager is made of. The names in parentheses are those of
// the daemon's configuration keys.
type Options struct {
	// File is Auto, the path of a configuration to install, or empty: then none
	// is written and only ReadinessFile is followed (multusConfigFile).
	File string
	// ConfigDir is where the runtime reads (cniConfigDir).
	ConfigDir string
	// AutoconfigDir is where the default network is looked for; empty means
	// ConfigDir (multusAutoconfigDir).
	AutoconfigDir string
	// Master names the default network's file, in AutoconfigDir or by an
	// absolute path; empty means the first one (multusMasterCNI).
	Master string
	// Network, when it is set, returns the default network's configuration, which
	// is then not looked for among the node's files, and what names it
	// (clusterNetwork beside Auto). Nothing is generated before it succeeds.
	Network func(ctx context.Context) (config []byte, name string, err error)
	// ReadinessFile has to exist before anything is attached; empty means that
	// none is needed (readinessindicatorfile).
	ReadinessFile string
	// CleanupOnExit removes a generated configuration when Run ends
	// (cleanupConfigOnExit).
	CleanupOnExit bool
	// Shim is the rest of a generated configuration.
	Shim Shim
	// Holds says whether this daemon is still the one of its run directory;
	// after another one took over, nothing is written any more (SOCK-11). Nil
	// means that it always is.
	Holds func() bool
	Log   *slog.Logger
}

// Manager keeps the node's CNI configuration as long as Run runs. Its methods
// are safe for concurrent use.
type Manager struct {
	o    Options
	file file
	// wrote is when the file was written last; trouble is why it could not be,
	// which is logged once.
	wrote   time.Time
	trouble string

	mu       sync.Mutex
	networks given         // what is known of the pods' networks
	waiting  string        // "" when nothing is waited for
	ready    chan struct{} // closed while nothing is waited for
}

// New returns a Manager, which is not ready before it runs.
func New(o Options) *Manager {
	if o.AutoconfigDir == "" {
		o.AutoconfigDir = o.ConfigDir
	}
	if o.Holds == nil {
		o.Holds = func() bool { return true }
	}
	name := FileName
	if o.File != Auto {
		name = filepath.Base(o.File)
	}
	return &Manager{
		o: o, file: file{path: filepath.Join(o.ConfigDir, name)},
		waiting: "the node's CNI configuration to be looked at", ready: make(chan struct{}),
	}
}

// ClusterNetwork is the path of the default network's configuration in auto
// mode, and what an installed configuration names as its clusterNetwork
// otherwise; empty while there is none.
func (m *Manager) ClusterNetwork() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.networks.ClusterNetwork
}

// Delegates are those of an installed configuration; nil when there are none.
func (m *Manager) Delegates() []json.RawMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.networks.Delegates
}

// Waiting says what is missing before pods can be attached, worded to follow
// "waiting for"; it is empty when nothing is. What was there may go away again.
func (m *Manager) Waiting() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

// Ready is closed as soon as nothing is missing. A later call may return
// another channel, because what was there may go away again.
func (m *Manager) Ready() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ready
}

// Find looks for the pods' networks and writes nothing: a DEL that comes before
// Run has looked may need them (DEL-10).
func (m *Manager) Find(ctx context.Context) {
	if m.o.Network != nil {
		return // the daemon knows it by itself
	}
	networks, _, err := m.wanted(ctx)
	if err != nil {
		return // Run says so
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.networks = networks
}

// Run follows the node's files until ctx ends. The configuration stays where it
// is, so that no pod starts on the default network alone while the daemon is
// replaced (RES-10), unless CleanupOnExit is set and no other daemon has replaced
// it (SOCK-11). A file that the node's administrator gave stays installed.
func (m *Manager) Run(ctx context.Context) error {
	if m.o.File == "" && m.o.ReadinessFile == "" {
		m.become(given{}, nil)
		<-ctx.Done()
		return nil
	}
	watcher, changed := m.watch()
	if watcher != nil {
		defer func() { _ = watcher.Close() }()
	}
	for {
		var again <-chan time.Time
		if pause := m.look(ctx); pause > 0 {
			again = time.After(pause)
		} else if changed == nil {
			again = time.After(retryPause)
		}
		select {
		case <-ctx.Done():
			return m.withdraw(context.WithoutCancel(ctx))
		case <-again:
		case _, open := <-changed:
			if !open {
				m.o.Log.Error("the node's CNI configuration is looked at from time to time only", "error", watcher.Err())
				changed = nil
			}
		}
	}
}

// watch watches all directories that matter. Where the kernel refuses, the
// Manager looks from time to time: no reason to end a daemon.
func (m *Manager) watch() (*dirwatch.Watcher, <-chan struct{}) {
	var dirs []string
	if m.o.File != "" {
		dirs = append(dirs, m.o.ConfigDir)
	}
	if m.o.File == Auto {
		dirs = append(dirs, m.o.AutoconfigDir)
		if filepath.IsAbs(m.o.Master) {
			dirs = append(dirs, filepath.Dir(m.o.Master))
		}
	} else if m.o.File != "" {
		dirs = append(dirs, filepath.Dir(m.o.File))
	}
	if m.o.ReadinessFile != "" {
		dirs = append(dirs, filepath.Dir(m.o.ReadinessFile))
	}
	w, err := dirwatch.New(m.o.Log, dirs...)
	if err != nil {
		m.o.Log.Error("the node's CNI configuration is looked at from time to time only", "error", err)
		return nil, nil
	}
	return w, w.Changed()
}

// look brings the file and the state up to date. It returns after how long it
// has to look again even if nothing changes; 0 means never.
func (m *Manager) look(ctx context.Context) time.Duration {
	networks, content, err := m.wanted(ctx)
	if err == nil {
		err = m.indicated()
	}
	if err != nil {
		m.become(networks, err)
		return 0
	}
	// The file comes first: whoever sees the daemon ready finds it written.
	pause := m.put(ctx, content)
	m.become(networks, nil)
	if m.o.Network != nil && pause == 0 {
		return namedPause
	}
	return pause
}

// wanted returns what is known of the pods' networks and what the runtime's
// configuration has to be; no content means that none is to be written.
func (m *Manager) wanted(ctx context.Context) (networks given, content []byte, err error) {
	switch {
	case m.o.File == "":
		return given{}, nil, nil
	case m.o.File != Auto:
		return m.given()
	case m.o.Network != nil:
		return given{}, m.named(ctx), nil
	}
	found, err := findMaster(m.o.AutoconfigDir, m.o.Master)
	if err != nil {
		return given{}, nil, err
	}
	content, err = m.o.Shim.generate(found)
	return given{ClusterNetwork: found.path}, content, err
}

// named generates the configuration for a network that is named and not looked
// for. While it does not exist, nothing is written: an ADD says so itself.
func (m *Manager) named(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, namedPatience)
	defer cancel()
	config, name, err := m.o.Network(ctx)
	var found *master
	if err == nil {
		found, err = masterOf(name, config)
	}
	var content []byte
	if err == nil {
		content, err = m.o.Shim.generate(found)
	}
	if err != nil {
		m.o.Log.Debug("the CNI configuration waits for the default network", "error", err)
		return nil
	}
	return content
}

// indicated looks for the readiness indicator file.
func (m *Manager) indicated() error {
	if m.o.ReadinessFile == "" {
		return nil
	}
	if _, err := os.Stat(m.o.ReadinessFile); err != nil {
		return missing(fmt.Sprintf("readinessindicatorfile %s, which the default network's agent makes", m.o.ReadinessFile))
	}
	return nil
}

// put writes the content if the runtime does not have it yet, and returns
// after how long it has to be tried again.
func (m *Manager) put(ctx context.Context, content []byte) time.Duration {
	if content == nil || filepath.Clean(m.o.File) == m.file.path || m.file.intact(content) || !m.o.Holds() {
		return 0
	}
	target := &m.file
	edited, update := m.edited(content)
	if edited != "" {
		if update == nil {
			return 0 // it is another program's by now, and calls the shim first (RES-12)
		}
		target, content = &file{path: edited}, update
	}
	attrs := []any{"file", target.path}
	if edited != "" || bytes.Equal(content, m.file.content) {
		if since := time.Since(m.wrote); since < restorePause {
			return restorePause - since
		}
		m.o.Log.Warn("something else changed or removed the CNI configuration; the shim's part is written again", attrs...)
	}
	if err := target.write(ctx, content); err != nil {
		if ctx.Err() == nil && err.Error() != m.trouble {
			m.o.Log.Error("the CNI configuration cannot be written; it is tried again", append(attrs, "error", err)...)
			m.trouble = err.Error()
		}
		return retryPause
	}
	m.wrote, m.trouble = time.Now(), ""
	m.o.Log.Info("CNI configuration written", attrs...)
	return 0
}

// become takes the new state and says in the log what changed.
func (m *Manager) become(networks given, err error) {
	waiting := ""
	var what missing
	switch {
	case errors.As(err, &what):
		waiting = string(what)
	case err != nil:
		waiting = err.Error()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if name := networks.ClusterNetwork; name != m.networks.ClusterNetwork && name != "" {
		m.o.Log.Info("default network", "clusterNetwork", name)
	}
	m.networks = networks
	if waiting == m.waiting {
		return
	}
	switch {
	case waiting == "":
		close(m.ready)
		m.o.Log.Info("the node's CNI configuration is complete")
	case m.waiting == "":
		m.ready = make(chan struct{})
		m.o.Log.Warn("pods cannot be attached until the node's CNI configuration is complete again", "waitingFor", waiting)
	default:
		m.o.Log.Info("not ready yet", "waitingFor", waiting)
	}
	m.waiting = waiting
}

// withdraw removes a generated configuration at the end, where that is asked for.
func (m *Manager) withdraw(ctx context.Context) error {
	if m.o.File != Auto || !m.o.CleanupOnExit || !m.o.Holds() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, removePatience)
	defer cancel()
	if err := m.file.remove(ctx); err != nil {
		return fmt.Errorf("removing the CNI configuration: %w", err)
	}
	return nil
}
