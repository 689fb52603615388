// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/thicket-cni/thicket/conformance/strict"
)

// envPrefix begins the environment variables of the flags: --fake-delegate is
// THICKET_CONFORMANCE_FAKE_DELEGATE.
const envPrefix = "THICKET_CONFORMANCE_"

// configFile is the flag that names a configuration file.
const configFile = "config-file"

// internal are the variables by which the program talks to its own processes.
// No flag has such a name.
var internal = []string{"CASE", "DELEGATE", "EDITION", "KEPT", "KUBERNETES", "PATIENCE", "PLUGIN", "RESULT", "RUN", "STAGE", "TASKS", "WORKDIR"}

// settable reports whether a flag can be set by the environment and by a
// configuration file.
func settable(f *pflag.Flag) bool { return !f.Hidden && f.Name != "help" && f.Name != "version" }

// settings are the flags of all commands by name; of those with one name any.
func settings(c *cobra.Command) map[string]*pflag.Flag {
	all := map[string]*pflag.Flag{}
	for _, flags := range []*pflag.FlagSet{c.PersistentFlags(), c.LocalFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if settable(f) {
				all[f.Name] = f
			}
		})
	}
	for _, sub := range c.Commands() {
		maps.Copy(all, settings(sub))
	}
	return all
}

// settle gives the flags of a command that the command line does not set the
// values of the environment, or else of the configuration file. A variable with
// the prefix of the flags' variables, or a key of the file, that names no flag is
// an error: a gate must not be more lenient than somebody believes.
func settle(c *cobra.Command, environ []string) error {
	known := settings(c.Root())
	names := slices.Sorted(maps.Keys(known))
	values := map[string]string{}
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(variable, envPrefix)
		if !ours || value == "" || slices.Contains(internal, name) {
			continue
		}
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if known[name] == nil {
			return fmt.Errorf("the environment variable %s belongs to no flag%s", variable, strict.Suggestion(name, names))
		}
		values[name] = value
	}
	if err := fromEnvironment(c, values); err != nil {
		return err
	}
	path, err := c.Flags().GetString(configFile)
	if err != nil || path == "" {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--%s: %w", configFile, err)
	}
	if err := fromFile(c, data, names); err != nil {
		return fmt.Errorf("--%s: %s: %w", configFile, path, err)
	}
	return nil
}

// fromEnvironment sets flags of a command by values.
func fromEnvironment(c *cobra.Command, values map[string]string) error {
	var wrong []error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		value, told := values[f.Name]
		if !told || f.Changed || !settable(f) {
			return
		}
		if err := c.Flags().Set(f.Name, value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s%s: %w", envPrefix, strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")), err))
		}
	})
	return errors.Join(wrong...)
}

// fromFile sets flags of a command by the keys of a configuration file, which has
// the keys of other commands, too.
func fromFile(c *cobra.Command, data []byte, names []string) error {
	var keys map[string]yaml.Node
	if err := yaml.Unmarshal(data, &keys); err != nil {
		return err
	}
	for name, node := range keys {
		if !slices.Contains(names, name) || name == configFile {
			return fmt.Errorf("line %d: %q is not a flag%s", node.Line, name, strict.Suggestion(name, names))
		}
		f := c.Flags().Lookup(name)
		if f == nil || f.Changed || !settable(f) {
			continue
		}
		if err := setFrom(f, &node); err != nil {
			return fmt.Errorf("line %d: %s: %w", node.Line, name, err)
		}
	}
	return nil
}

// setFrom sets a flag by a value of YAML: a list, where the flag takes one, or a
// value as on the command line.
func setFrom(f *pflag.Flag, node *yaml.Node) error {
	var list []string
	switch node.Kind {
	case yaml.ScalarNode:
		list = []string{node.Value}
	case yaml.SequenceNode:
		if err := node.Decode(&list); err != nil {
			return err
		}
	default:
		return errors.New("want a value or a list of them")
	}
	f.Changed = true
	if slice, ok := f.Value.(pflag.SliceValue); ok && node.Kind == yaml.SequenceNode {
		return slice.Replace(list)
	}
	if len(list) != 1 {
		return fmt.Errorf("want one value, and not %d", len(list))
	}
	return f.Value.Set(list[0])
}

// settleCommand settles the flags of any command but cobra's own. A case's process
// does it as its parent did, by the same environment.
func settleCommand(c *cobra.Command, _ []string) error {
	if strings.HasPrefix(c.Name(), "__") || c.Name() == "help" || c.HasParent() && c.Parent().Name() == "completion" {
		return nil
	}
	return settle(c, os.Environ())
}
