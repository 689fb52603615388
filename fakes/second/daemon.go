// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// config is the daemon's configuration, in YAML.
type config struct {
	// Run, State, Spool and Plugins are directories: the socket's, what is kept
	// across restarts, DELs that shims left, and the delegates'.
	Run     string `yaml:"run"`
	State   string `yaml:"state"`
	Spool   string `yaml:"spool"`
	Plugins string `yaml:"plugins"`
	// Store is "file", one JSON file, or "bolt", one bbolt database.
	Store    string `yaml:"store"`
	Networks struct {
		// Folder has the node's network configurations.
		Folder string `yaml:"folder"`
		// Primary is the default network: a definition in Home, the name of a
		// configuration in Folder, a file, or a directory.
		Primary string `yaml:"primary"`
		Home    string `yaml:"home"`
		// Always are definitions in Home that every pod gets, but for those of the
		// namespaces in Exempt.
		Always []string `yaml:"always"`
		Exempt []string `yaml:"exempt"`
	} `yaml:"networks"`
	Pods struct {
		// Folder has the manifests.
		Folder string `yaml:"folder"`
		// Isolated keeps pods to the definitions of their own namespace and of
		// those in Shared.
		Isolated bool     `yaml:"isolated"`
		Shared   []string `yaml:"shared"`
	} `yaml:"pods"`
	Limits struct {
		Delegate time.Duration `yaml:"delegate"`
		Request  int64         `yaml:"request"`
	} `yaml:"limits"`
}

func loadConfig(path string) (*config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	c := &config{}
	c.Networks.Primary, c.Networks.Home, c.Limits.Delegate, c.Limits.Request, c.Store = "default", "kube-system", time.Minute, 4<<20, "file"
	if err := yaml.NewDecoder(f).Decode(c); err != nil {
		// The decoder's own text quotes values, which may be secrets (SEC-04).
		return nil, fmt.Errorf("%s is not a configuration: a value has the wrong type, or it is not YAML", path)
	}
	for name, dir := range map[string]string{"run": c.Run, "state": c.State, "plugins": c.Plugins, "pods.folder": c.Pods.Folder} {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("%s: %s is not an absolute path", path, name)
		}
	}
	if c.Limits.Delegate <= 0 || c.Limits.Request <= 0 || c.Store != "file" && c.Store != "bolt" {
		return nil, fmt.Errorf("%s: limits have to be above 0, and store is file or bolt", path)
	}
	c.Run = filepath.Clean(c.Run)
	return c, nil
}

// runDaemon serves until SIGTERM, and then until what it has begun is done.
func runDaemon(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("daemon", flag.ContinueOnError)
	path := flags.String("config", "/etc/thicket-second.yaml", "the configuration")
	flags.StringVar(&fault, "fault", "", "have this fault")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	conf, err := loadConfig(*path)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(20 << 20)
	debug.SetGCPercent(50)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	lock, err := claimRunDir(conf.Run)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	e, err := newEngine(conf)
	if err != nil {
		return err
	}
	if err := refuseLink(filepath.Join(e.cache, "results")); err != nil {
		return err
	}
	listener, socket, err := listen(filepath.Join(conf.Run, "multus.sock"))
	if err != nil {
		return err
	}
	s := newServer(e, conf.Limits.Request)
	go func() { _ = s.http.Serve(listener) }()
	slog.Info("serving", "socket", listener.Addr().String(), "store", conf.Store)
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	caring := make(chan struct{})
	go func() { defer close(caring); e.care(background) }()
	<-ctx.Done()
	slog.Info("draining")
	s.drain()
	end()
	<-caring
	socket.remove()
	return s.end()
}

// refuseLink fails when libcni's directory is a symlink: libcni would write and
// remove what it leads to.
func refuseLink(dir string) error {
	if info, err := os.Lstat(dir); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symlink; want a directory: put it back and start again", dir)
	}
	return nil
}

// claimRunDir makes the run directory or looks whether it is safe, and locks it
// against a second daemon. The lock is on the directory itself, so it leaves no
// file, and whoever removes the directory takes the lock with it.
func claimRunDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err == nil {
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !broken("any-run-directory") && (!info.IsDir() || owner != 0 || info.Mode().Perm()&0o022 != 0) {
		return nil, fmt.Errorf("the run directory %s is %s of user %d; want a directory of root that nobody else may write", dir, info.Mode(), owner)
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	// A delegate that a killed daemon was about to execute has the lock for a
	// moment longer.
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || broken("no-lock") {
			return f, nil
		}
		if time.Since(began) > lockPatience {
			_ = f.Close()
			return nil, fmt.Errorf("another daemon has the run directory %s: %w", dir, err)
		}
	}
}

// lockPatience is how long a daemon waits for the end of the one before it.
const lockPatience = 500 * time.Millisecond

// ownSocket is the socket that this process made.
type ownSocket struct{ path, id string }

// remove takes the socket away unless another daemon's is there by now (SOCK-11).
func (s *ownSocket) remove() {
	if info, err := os.Lstat(s.path); err == nil && (identity(info) == s.id || broken("removes-any-socket")) {
		_ = os.Remove(s.path)
	}
}

// listen makes the socket; it has mode 0600 from its first moment on.
func listen(path string) (net.Listener, *ownSocket, error) {
	switch info, err := os.Lstat(path); {
	case err == nil && info.Mode()&os.ModeSocket == 0 && !broken("replaces-any-file"):
		return nil, nil, fmt.Errorf("%s is not a socket (%s); it was left as it is: move it away", path, info.Mode())
	case err == nil:
		if err := os.Remove(path); err != nil {
			return nil, nil, err
		}
	}
	mask := 0o177
	if broken("socket-for-the-group") {
		mask = 0o117
	}
	defer syscall.Umask(syscall.Umask(mask))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	return l, &ownSocket{path, identity(info)}, nil
}

func init() {
	shorten := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != slog.TimeKey && a.Key != slog.LevelKey {
			text := cut(a.Value.String(), longestLine)
			if len(strconv.Quote(text)) > 2*longestLine {
				text = cut(a.Value.String(), longestLine/4) // quoting makes it longer
			}
			a.Value = slog.StringValue(text)
		}
		return a
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: shorten})))
}
