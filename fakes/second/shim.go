// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"
)

const (
	readyPeriod = 100 * time.Millisecond
	readyLimit  = 60 * time.Second
	briefly     = 1500 * time.Millisecond
	// spoolSuffix ends the name of a DEL that waits for a daemon.
	spoolSuffix = ".del"
)

// shimConf is the shim's configuration: the API's keys, and the spool.
type shimConf struct {
	CNIVersion  string `json:"cniVersion"`
	SocketDir   string `json:"daemonSocketDir"`
	Spool       string `json:"spool"`
	LogFile     string `json:"logFile"`
	LogLevel    string `json:"logLevel"`
	LogToStderr bool   `json:"logToStderr"`
}

// shim is one execution by the runtime.
type shim struct {
	env map[string]string
}

// delegateMark is in the environment of every delegate. A shim that has it was
// executed by a delegate, a script for example, and would lead back to the daemon.
const delegateMark = "CNI_DELEGATE_OF_SECOND"

// ofDelegate stands for a shim that a delegate executes: it serves nothing, and
// has nothing to delete.
func ofDelegate() skel.CNIFuncs {
	refuse := func(*skel.CmdArgs) error {
		return types.NewError(types.ErrInvalidNetworkConfig, "the shim is not a delegate", "a delegate of thicket-second executed it")
	}
	nothing := func(*skel.CmdArgs) error { return nil }
	return skel.CNIFuncs{Add: refuse, Check: refuse, Status: refuse, Del: nothing, GC: nothing}
}

func runShim() {
	if os.Getenv(delegateMark) != "" {
		skel.PluginMainFuncs(ofDelegate(), cniversion.All, "thicket-second "+release)
		return
	}
	fault = faultOfShim()
	s := &shim{env: map[string]string{}}
	for _, pair := range os.Environ() {
		if key, value, _ := strings.Cut(pair, "="); strings.HasPrefix(key, "CNI_") {
			s.env[key] = value
		}
	}
	// That the daemon's namespace is another one is for the daemon to judge.
	_ = os.Setenv("CNI_NETNS_OVERRIDE", "1")
	skel.PluginMainFuncs(skel.CNIFuncs{Add: s.add, Del: s.del, Check: s.check, GC: s.plain, Status: s.status}, cniversion.All, "thicket-second "+release)
}

// load reads the configuration and says which key is unusable.
func (s *shim) load(args *skel.CmdArgs) (*shimConf, error) {
	c := &shimConf{SocketDir: "/run/multus", Spool: "/var/lib/thicket-second/spool"}
	if err := json.Unmarshal(args.StdinData, c); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "the configuration: "+err.Error(), "")
	}
	if !filepath.IsAbs(c.SocketDir) || len(c.socket()) > 107 {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, "daemonSocketDir: want an absolute path that fits a socket's address", c.SocketDir)
	}
	c.logf("%s of %s", s.env["CNI_COMMAND"], s.env["CNI_CONTAINERID"])
	return c, nil
}

func (c *shimConf) socket() string { return filepath.Join(c.SocketDir, "multus.sock") }

func (c *shimConf) logf(format string, args ...any) {
	line := fmt.Sprintf(time.Now().Format(time.RFC3339Nano)+" shim: "+format+"\n", args...)
	if broken("shim-logs-to-stdout") {
		fmt.Print(line)
	}
	if c.LogToStderr {
		_, _ = os.Stderr.WriteString(line)
	}
	if c.LogFile == "" {
		return
	}
	if f, err := os.OpenFile(c.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_, _ = f.WriteString(line)
		_ = f.Close()
	}
}

// unreachable means that nobody took the request.
type unreachable struct{ error }

// do makes one HTTP request. A non-200 answer is an error: the CNI error in it.
func (c *shimConf) do(method, path string, body []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket())
		if err != nil {
			return nil, &unreachable{err}
		}
		return conn, nil
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(ctx, method, "http://second"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("the answer of %s: %w", c.socket(), err)
	}
	if resp.StatusCode == http.StatusOK {
		return data, nil
	}
	var e types.Error
	if json.Unmarshal(data, &e) == nil && (e.Code != 0 || e.Msg != "") {
		if broken("shim-changes-code") {
			e.Code = types.ErrInternal
		}
		return nil, &e
	}
	return nil, fmt.Errorf("the daemon at %s answered %s without a CNI error: %q", c.socket(), resp.Status, cut(string(data), 200))
}

// post sends the runtime's request, as it came, once.
func (s *shim) post(c *shimConf, args *skel.CmdArgs) ([]byte, error) {
	config := args.StdinData
	if broken("shim-reencodes-config") {
		var fields map[string]json.RawMessage
		_ = json.Unmarshal(config, &fields)
		config, _ = json.Marshal(fields)
	}
	body, err := json.Marshal(&request{Env: s.env, Config: config})
	if err != nil {
		return nil, err
	}
	data, err := c.do(http.MethodPost, "/cni", body, 5*time.Minute)
	if err != nil && broken("shim-posts-errors-twice") {
		data, err = c.do(http.MethodPost, "/cni", body, 5*time.Minute)
	}
	return data, err
}

// whenReady posts as soon as the daemon is ready to serve, and gives up after
// readyLimit.
func (s *shim) whenReady(args *skel.CmdArgs) (*shimConf, []byte, error) {
	c, err := s.load(args)
	if err != nil {
		return nil, nil, err
	}
	limit := readyLimit
	if broken("shim-waits-half") {
		limit /= 2
	}
	deadline := time.Now().Add(limit)
	for {
		_, err = c.do(http.MethodGet, "/readyz", nil, min(5*time.Second, time.Until(deadline)))
		if err == nil || broken("shim-never-waits") {
			var data []byte
			data, err = s.post(c, args)
			if gone := new(unreachable); !errors.As(err, &gone) || broken("shim-never-waits") {
				return c, data, err
			}
		}
		if time.Until(deadline) < readyPeriod {
			time.Sleep(time.Until(deadline))
			return nil, nil, types.NewError(types.ErrTryAgainLater, "the daemon at "+c.socket()+" is not ready", err.Error())
		}
		time.Sleep(readyPeriod)
	}
}

func (s *shim) add(args *skel.CmdArgs) error {
	c, data, err := s.whenReady(args)
	if err != nil {
		return err
	}
	var r response
	if err := json.Unmarshal(data, &r); err != nil || r.Result == nil {
		return fmt.Errorf("the daemon at %s answered an ADD without a result", c.socket())
	}
	if c.CNIVersion == "" {
		c.CNIVersion = "0.1.0"
	}
	if broken("shim-prints-newest") {
		c.CNIVersion = "1.1.0"
	}
	return types.PrintResult(r.Result, c.CNIVersion)
}

func (s *shim) check(args *skel.CmdArgs) error {
	_, _, err := s.whenReady(args)
	return err
}

// plain posts at once, or fails.
func (s *shim) plain(args *skel.CmdArgs) error {
	c, err := s.load(args)
	if err == nil {
		_, err = s.post(c, args)
	}
	return err
}

func (s *shim) status(args *skel.CmdArgs) error {
	c, err := s.load(args)
	if err != nil {
		return err
	}
	if _, err := c.do(http.MethodGet, "/healthz", nil, briefly); err != nil {
		return types.NewError(50, "the daemon at "+c.socket()+" is away", err.Error())
	}
	_, err = s.post(c, args)
	return err
}

// del never waits: without a daemon it leaves the DEL in the spool (SHIM-07).
func (s *shim) del(args *skel.CmdArgs) error {
	c, err := s.load(args)
	if err != nil {
		return err
	}
	_, err = s.post(c, args)
	if gone := new(unreachable); !errors.As(err, &gone) {
		return err
	}
	if broken("shim-forgets-del") {
		return nil
	}
	if err := s.keep(c, args.StdinData); err != nil {
		return fmt.Errorf("the daemon at %s is away, and the DEL cannot be kept for it: %w", c.socket(), err)
	}
	return nil
}

// keep writes a DEL into the spool, durably.
func (s *shim) keep(c *shimConf, config []byte) error {
	if err := os.MkdirAll(c.Spool, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(&request{Env: s.env, Config: config})
	if err != nil {
		return err
	}
	name := rand.Text()
	tmp := filepath.Join(c.Spool, "."+name)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, filepath.Join(c.Spool, name+spoolSuffix))
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return syncDir(c.Spool)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
