// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// delegate executes the IPAM plugin with a command, this execution's variables
// and the whole configuration (CNI §4), and returns what it printed. Without
// one in the configuration it does nothing.
func (c *call) delegate(command string) ([]byte, error) {
	name := c.conf.IPAM.Type
	if name == "" {
		return nil, nil
	}
	path, err := c.find(name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(context.Background(), path)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "CNI_COMMAND=") || c.has(dropsArgs) && strings.HasPrefix(e, "CNI_ARGS=")
	})
	cmd.Env = append(cmd.Env, "CNI_COMMAND="+command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.stdin), &out, c.stderr
	// The IPAM plugin must not go on when this one is killed: the DEL that
	// follows would come before the address that it has to release.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if err != nil && !c.has(swallowsIPAMError) {
		return nil, delegateFailure(name, command, out.Bytes(), err)
	}
	return out.Bytes(), nil
}

// delegateFailure is the failure that the plugin printed, or one that says how
// it ended.
func delegateFailure(name, command string, out []byte, err error) error {
	f := failure{}
	if json.Unmarshal(out, &f) == nil && f.Msg != "" {
		return &f
	}
	return fail(codeFailed, "%s of the IPAM plugin %s: %v", command, name, err)
}

// find returns the executable of a plugin in CNI_PATH.
func (c *call) find(name string) (string, error) {
	if !c.has(ipamTypeAsPath) && (strings.ContainsRune(name, '/') || name == "." || name == "..") {
		return "", fail(codeConfig, "ipam.type %q is a path", name)
	}
	for {
		for _, dir := range filepath.SplitList(c.env.path) {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && dir != "" {
				return path, nil
			}
		}
		if !c.has(waitsForIPAM) {
			return "", &missingPlugin{fail(codeUnavailable, "the IPAM plugin %s is not in CNI_PATH %q", name, c.env.path)}
		}
		time.Sleep(time.Second)
	}
}

// missingPlugin is the failure of a plugin that is not there.
type missingPlugin struct{ *failure }

// Unwrap returns the failure.
func (m *missingPlugin) Unwrap() error { return m.failure }

// release calls IPAM's DEL.
func (c *call) release() error {
	_, err := c.delegate("DEL")
	return err
}

// addresses calls IPAM's ADD and returns what it gave.
func (c *call) addresses() (*result, error) {
	out, err := c.delegate("ADD")
	if err != nil {
		var missing *missingPlugin
		if errors.As(err, &missing) {
			return nil, err
		}
		return nil, errors.Join(err, c.undo())
	}
	if c.conf.IPAM.Type == "" || c.has(swallowsIPAMError) && !json.Valid(out) {
		return &result{}, nil
	}
	r, err := readResult(out)
	if err == nil && len(r.IPs) == 0 {
		err = fail(codeFailed, "the IPAM plugin %s gave no address", c.conf.IPAM.Type)
	}
	if err != nil {
		return nil, errors.Join(err, c.undo())
	}
	return r, nil
}

// undo calls IPAM's DEL after an ADD that failed.
func (c *call) undo() error {
	if c.has(forgetsIPAMDel) {
		return nil
	}
	return c.release()
}
