// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// daemonLimit is how long a daemon may take to become ready, poll how often the
// suite looks.
const (
	daemonLimit = 30 * time.Second
	poll        = 10 * time.Millisecond
)

// Daemon is a process that a target needs beside what a case executes.
type Daemon struct {
	// Command starts the daemon.
	Command []string `yaml:"command"`
	// Env is the daemon's environment beside PATH.
	Env map[string]string `yaml:"env"`
	// Ready is a path that exists when the daemon serves, its socket.
	Ready string `yaml:"ready"`
}

// Start starts the daemon, with its output in a log file, and waits until it is
// ready. render renders the texts; the key is theirs in the target file. Nil
// without an error means that the target has no daemon.
func (d *Daemon) Start(render func(key, text string) (string, error), log string) (*Process, error) {
	if len(d.Command) == 0 {
		return nil, nil
	}
	var command []string
	for _, text := range d.Command {
		word, err := render("daemon.command", text)
		if err != nil {
			return nil, err
		}
		command = append(command, word)
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	for name, text := range d.Env {
		value, err := render("daemon.env."+name, text)
		if err != nil {
			return nil, err
		}
		env = append(env, name+"="+value)
	}
	ready, err := render("daemon.ready", d.Ready)
	if err != nil {
		return nil, err
	}
	p, err := StartProcess(command, env, log)
	if err != nil || ready == "" {
		return p, err
	}
	if err := p.Await(ready); err != nil {
		return p, err
	}
	return p, nil
}

// Await waits until a path exists, which the process makes when it serves.
func (p *Process) Await(path string) error {
	late := time.After(suite.Patience(daemonLimit))
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("the daemon ended (%s); it said:\n%s", p.EndedBy(), p.Log())
		case <-late:
			return fmt.Errorf("the daemon did not make %s in %s; it said:\n%s", path, suite.Patience(daemonLimit), p.Log())
		case <-tick.C:
		}
	}
}

// Place writes files. render renders their paths and contents.
func Place(files []PlacedFile, render func(key, text string) (string, error)) error {
	for _, f := range files {
		path, err := render("files", f.Path)
		if err != nil {
			return err
		}
		content, err := render("files", f.Content)
		if err != nil {
			return err
		}
		if !filepath.IsAbs(path) {
			return fmt.Errorf("files: %s is a relative path; begin it with {{.Dir}} or with /", path)
		}
		mode := os.FileMode(f.Mode)
		if mode == 0 {
			mode = 0o644
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			return err
		}
	}
	return nil
}
