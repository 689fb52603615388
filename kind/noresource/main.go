// SPDX-License-Identifier: Apache-2.0

// Command noresource is an OCI runtime for machines whose root lacks
// CAP_SYS_RESOURCE: runc, which is given every container without that
// capability and without a lowered OOM score. Otherwise runc refuses privileged
// containers there ("unable to apply caps"), and a node of kind is one.
//
// It is a wrapper: it edits the bundle's config.json, or the process file of
// an exec, and becomes runc.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// missing is the capability that this machine does not have.
const missing = "CAP_SYS_RESOURCE"

func main() {
	err := prepare(os.Args[1:])
	var runc string
	if err == nil {
		runc, err = exec.LookPath("runc")
	}
	if err == nil {
		err = syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintf(os.Stderr, "noresource: %v\n", err)
	os.Exit(1)
}

// prepare edits what runc is about to read.
func prepare(args []string) error {
	switch {
	case slices.Contains(args, "create"), slices.Contains(args, "run"):
		return edit(filepath.Join(value(args, "--bundle", "-b"), "config.json"), func(spec map[string]any) error {
			process, ok := spec["process"].(map[string]any)
			if !ok {
				return errors.New("the container has no process")
			}
			withdraw(process)
			return nil
		})
	case slices.Contains(args, "exec"):
		if file := value(args, "--process", "-p"); file != "" {
			return edit(file, func(process map[string]any) error { withdraw(process); return nil })
		}
	}
	return nil
}

// value returns what an option is given, as "--option value" or "--option=value".
func value(args []string, names ...string) string {
	for i, arg := range args {
		name, inline, found := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(names, name):
		case found:
			return inline
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// withdraw takes the capability, and an OOM score that only it can set, from a
// process.
func withdraw(process map[string]any) {
	if sets, ok := process["capabilities"].(map[string]any); ok {
		for name, set := range sets {
			if all, ok := set.([]any); ok {
				sets[name] = slices.DeleteFunc(all, func(c any) bool { return c == missing })
			}
		}
	}
	if score, ok := process["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		delete(process, "oomScoreAdj")
	}
}

// edit changes a JSON file in place; its numbers stay as they are written.
func edit(file string, change func(map[string]any) error) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var content map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := change(content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if data, err = json.Marshal(content); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}
