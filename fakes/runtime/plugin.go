// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"syscall"
	"time"
)

// outputLimit is how much a plugin may print.
const outputLimit = 1 << 20

// execution is a plugin to be executed.
type execution struct {
	command string
	plugin  string
	config  []byte
	// The container, empty for GC and STATUS.
	id, netns, ifName, args string
}

// executable is a plugin's file.
func (c *call) executable(plugin string) (string, error) {
	if err := c.validType(plugin); err != nil {
		return "", err
	}
	path := filepath.Join(c.binDir, plugin)
	if filepath.IsAbs(plugin) {
		path = plugin
	}
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("the plugin %s: %w", plugin, err)
	}
	return path, nil
}

// run executes a plugin in the runtime's own namespaces and returns what it
// printed. A plugin that takes too long or prints too much is ended.
func (c *call) run(x *execution) ([]byte, error) {
	path, err := c.executable(x.plugin)
	if err != nil {
		return nil, err
	}
	limit := c.limit
	if c.has(waitsForever) {
		limit = 24 * time.Hour
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out := &capped{limit: outputLimit, full: cancel}
	if c.has(unboundedOutput) {
		out.limit = 1 << 40
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = c.environment(x)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(x.config), out, os.Stderr
	// A plugin must not go on when the runtime is killed: the DEL that follows would
	// come before what it has to take back.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = c.inNamespace(x, cmd.Run)
	switch {
	case out.exceeded:
		return nil, fmt.Errorf("%s of the plugin %s: it printed more than %d bytes", x.command, x.plugin, outputLimit)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s of the plugin %s: it did not end in %s", x.command, x.plugin, limit)
	case err != nil:
		return nil, c.failure(x, out.data.Bytes(), err)
	}
	return out.data.Bytes(), nil
}

// inNamespace calls f, which starts a process that ends with the thread.
func (c *call) inNamespace(x *execution, f func() error) error {
	if c.has(entersNamespace) && x.netns != "" {
		return inside(x.netns, f)
	}
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	return f()
}

// environment are the variables of section 3.
func (c *call) environment(x *execution) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=" + x.command}
	if x.command != "GC" || !c.has(gcWithoutPath) {
		env = append(env, "CNI_PATH="+c.binDir)
	}
	if x.id == "" {
		return env
	}
	env = append(env, "CNI_CONTAINERID="+x.id, "CNI_IFNAME="+x.ifName, "CNI_NETNS="+x.netns)
	if x.args != "" && (x.command == "ADD" || !c.has(argsAtAddAlone)) {
		env = append(env, "CNI_ARGS="+x.args)
	}
	return env
}

// failure is the error that the plugin printed, else how it ended.
func (c *call) failure(x *execution, out []byte, err error) error {
	var said struct {
		Msg     string `json:"msg"`
		Details string `json:"details"`
	}
	if json.Unmarshal(out, &said) != nil || said.Msg == "" || c.has(swallowsMsg) {
		return fmt.Errorf("%s of the plugin %s: %w", x.command, x.plugin, err)
	}
	if said.Details != "" {
		said.Msg += "; " + said.Details
	}
	return fmt.Errorf("%s of the plugin %s: %s", x.command, x.plugin, said.Msg)
}

// parseResult checks that a plugin printed one result in the version that it was
// asked in.
func (c *call) parseResult(n *network, plugin string, out []byte) (json.RawMessage, error) {
	if c.has(anyResult) {
		if !json.Valid(out) {
			return json.RawMessage(`{}`), nil
		}
		return out, nil
	}
	var result object
	if err := json.Unmarshal(out, &result); err != nil {
		return nil, fmt.Errorf("the result of the plugin %s: %w", plugin, err)
	}
	var version string
	if err := json.Unmarshal(result["cniVersion"], &version); err != nil || version != n.Version && !slices.Contains(known, version) {
		return nil, fmt.Errorf("the result of the plugin %s is of cniVersion %s, and was asked for in %s", plugin, result["cniVersion"], n.Version)
	}
	if c.has(dropsAddresses) {
		delete(result, "ips")
		return c.encode(result)
	}
	return bytes.TrimSpace(out), nil
}

// capped keeps what is written up to a limit, and calls full beyond it.
type capped struct {
	data     bytes.Buffer
	limit    int
	full     func()
	exceeded bool
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	if c.data.Len()+len(p) > c.limit {
		c.exceeded = true
		c.full()
		return 0, errors.New("too much")
	}
	return c.data.Write(p)
}
