// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Name is the program's.
const Name = "thin-runtime"

// Named returns the fault that a path to the program asks for; ok is false for a
// name that is not the program's.
func Named(path string) (fault Fault, ok bool) {
	name, f, _ := strings.Cut(filepath.Base(path), ".")
	return Fault(f), name == Name
}

// call is one execution of the program.
type call struct {
	fault Fault
	// The directories of networks, plugins, and what is recorded.
	confDir, binDir, cacheDir string
	// networks are names, with commas between them.
	networks string
	// The container, as the caller names it.
	id, netns, ifName, args string
	capabilities            map[string]json.RawMessage
	// valid are the attachments that GC keeps; validGiven is false when the caller
	// leaves it to the runtime.
	valid      []attachmentName
	validGiven bool
	// limit is how long a plugin may take.
	limit time.Duration
}

// has reports whether the runtime has this fault.
func (c *call) has(f Fault) bool { return c.fault == f }

// Main executes one command and returns the exit status.
func Main(fault Fault, arguments []string) int {
	c := &call{fault: fault}
	if err := c.execute(arguments); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		return 1
	}
	return 0
}

func (c *call) execute(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("name a command: add, del, check, gc or status")
	}
	operation := map[string]func() error{"add": c.add, "del": c.del, "check": c.check, "gc": c.gc, "status": c.status}[arguments[0]]
	if operation == nil {
		return fmt.Errorf("the command %q is unknown", arguments[0])
	}
	if err := c.parse(arguments[1:]); err != nil {
		return err
	}
	if err := os.MkdirAll(c.cacheDir, 0o700); err != nil {
		return err
	}
	return operation()
}

func (c *call) parse(arguments []string) error {
	var capabilities, valid string
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, to := range map[string]*string{
		"conf-dir": &c.confDir, "bin-dir": &c.binDir, "cache-dir": &c.cacheDir, "network": &c.networks, "id": &c.id, "netns": &c.netns,
		"ifname": &c.ifName, "args": &c.args, "capabilities": &capabilities, "valid": &valid,
	} {
		flags.StringVar(to, name, "", "")
	}
	flags.DurationVar(&c.limit, "plugin-timeout", 10*time.Second, "")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if capabilities != "" {
		if err := json.Unmarshal([]byte(capabilities), &c.capabilities); err != nil {
			return fmt.Errorf("--capabilities: %w", err)
		}
	}
	if c.validGiven = valid != ""; c.validGiven {
		if err := json.Unmarshal([]byte(valid), &c.valid); err != nil {
			return fmt.Errorf("--valid: %w", err)
		}
	}
	return nil
}
