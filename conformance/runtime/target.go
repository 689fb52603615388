// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/target"
)

// known are the versions of CNI of a runtime whose target file names none.
var known = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// Target is a runtime to judge, as its target file says.
type Target struct {
	source string
	file   File
	// base is what relative paths start from.
	base string
}

// Name implements suite.Subject.
func (t *Target) Name() string { return t.file.Name }

// Features implements suite.Subject.
func (t *Target) Features() []spec.Feature { return t.file.Features }

// Has reports whether the runtime has a feature.
func (t *Target) Has(f spec.Feature) bool { return slices.Contains(t.file.Features, f) }

// Version implements suite.Subject: the version command's first line.
func (t *Target) Version(ctx context.Context) (string, error) {
	if len(t.file.Version) == 0 {
		return "", nil
	}
	out, err := exec.CommandContext(ctx, t.file.Version[0], t.file.Version[1:]...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if line == "" && err != nil {
		return "", fmt.Errorf("version of %s: %w", t.file.Name, err)
	}
	return line, nil
}

// Versions lists the versions of CNI that the runtime knows, in ascending order.
func (t *Target) Versions() []string {
	all := slices.Clone(t.file.Versions)
	if len(all) == 0 {
		all = slices.Clone(known)
	}
	slices.SortFunc(all, compareVersions)
	return all
}

// CRI is the template of the socket that runtime.cri names; empty for other
// runtimes.
func (t *Target) CRI() string { return t.file.Runtime.CRI }

// Thick is the path of the thick plugin's target file that runtime.thick names;
// empty for other runtimes.
func (t *Target) Thick() string {
	if t.file.Runtime.Thick == "" {
		return ""
	}
	return target.Absolute(t.base, t.file.Runtime.Thick)
}

// Daemon is the target file's daemon.
func (t *Target) Daemon() *target.Daemon { return &t.file.Daemon }

// AtLeast reports whether a version of CNI is another one or came after it.
func AtLeast(version, other string) bool { return compareVersions(version, other) >= 0 }

// compareVersions compares versions of three numbers.
func compareVersions(a, b string) int {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	return slices.Compare(x[:], y[:])
}

// Values are what the texts of a target file may refer to, as {{.Name}}.
type Values struct {
	// ConfDir has the networks' configurations, a file *.conflist for each, BinDir
	// has the plugins.
	ConfDir, BinDir string
	// CacheDir is where the runtime keeps what it knows; it survives a reboot.
	// StateDir does not.
	CacheDir, StateDir string
	// Dir is a directory for all else.
	Dir string
	// ID is the container's id, Netns the path of its network namespace, IfName the
	// name of its interface.
	ID, Netns, IfName string
	// Network is the network's name. With the feature multi it may be several, with
	// commas between them: the first has IfName.
	Network string
	// Args is CNI_ARGS, such as K=V;K=V, and may be empty.
	Args string
	// Capabilities are the capability args that the runtime has for the container,
	// a JSON object.
	Capabilities string
	// Valid are the attachments that GC keeps, a JSON list of objects with
	// containerID and ifname.
	Valid string
}

// resolve makes the paths of executables absolute and looks for them.
func (t *Target) resolve() (err error) {
	if t.base, err = target.Base(t.source, t.file.Root); err != nil {
		return err
	}
	for _, command := range t.executed() {
		(*command) = target.Absolute(t.base, *command)
		if err := target.Executable(*command); err != nil {
			return fmt.Errorf("%w; build it, or correct the path (relative ones start from %s)", err, t.base)
		}
	}
	return nil
}

// executed are the executables that the target file names.
func (t *Target) executed() []*string {
	var all []*string
	k := &t.file.Runtime.Commands
	for _, command := range [][]string{k.Add, k.Del, k.Check, k.GC, k.Status, t.file.Version, t.file.Daemon.Command} {
		if len(command) > 0 {
			all = append(all, &command[0])
		}
	}
	return all
}

// seen are the directories of the host that have to be visible in a case.
func (t *Target) seen() []string {
	var paths []string
	for _, command := range t.executed() {
		paths = append(paths, *command)
	}
	if t.file.Runtime.Thick != "" {
		paths = append(paths, t.Thick(), t.base)
	}
	return target.Directories(paths...)
}

var errNoTarget = errors.New("the subject is not a target of kind Runtime")
