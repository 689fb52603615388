// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/fakes/script"
)

// Driver has a runtime do what a case asks of it. There is one for each way in
// which runtimes are asked: commands, a CRI socket, a thick plugin's socket. A
// case asks one thing at a time, unless it says that it does not. What the
// runtime answers is in the Answer; a driver that cannot ask fails the case.
type Driver interface {
	// Takes says what of an attachment the caller chooses.
	Takes() Takes
	// Load has the runtime know the networks whose files are in Env.ConfDir. It is
	// called after each change of them, before the next command. A network that the
	// runtime refuses is no error here: the command fails then.
	Load(ctx context.Context) error
	// Add attaches a container to its networks, and starts it first where the
	// runtime makes containers itself: the driver then sets ID, Netns and IfName of
	// the attachment's sandbox as soon as it learns them, also of one that failed.
	Add(ctx context.Context, a *Attachment) Answer
	// Del detaches it: for a runtime of containers, it stops and removes it.
	Del(ctx context.Context, a *Attachment) Answer
	// Check, GC and Status need the features of those names. GC gets the
	// attachments of the network that are alive.
	Check(ctx context.Context, a *Attachment) Answer
	GC(ctx context.Context, n *Network, valid []*Attachment) Answer
	Status(ctx context.Context, n *Network) Answer
}

// Takes says what of an attachment the caller of a runtime chooses. What it does
// not, the runtime does, and cases about it ask less.
type Takes struct {
	// ID is the container's id, IfName the interface's name, Netns the path of the
	// network namespace, which the suite makes.
	ID, IfName, Netns bool
	// Args are CNI_ARGS.
	Args bool
	// Valid are the attachments that GC keeps.
	Valid bool
}

// Killer is a Driver whose runtime can be killed (feature kill).
type Killer interface {
	// Kill ends the runtime by SIGKILL, whatever it is doing, and not the plugins
	// that it has started. Commands in progress return.
	Kill()
	// Start starts it again with what it has recorded; after a reboot, without
	// what a reboot takes away. Where each command is a process of its own, there
	// is nothing to start.
	Start(ctx context.Context, rebooted bool) error
}

// Finder is a Driver whose containers have ids that are not known before plugins
// are executed. Without it a call belongs to an attachment by its container id,
// or else by its CNI_NETNS.
type Finder interface {
	// Finds reports whether a plugin was executed for an attachment.
	Finds(a *Attachment, c script.Call) bool
}

// Keeper is a Driver whose runtime keeps results elsewhere than in Env.CacheDir
// and /var/lib/cni.
type Keeper interface {
	// Results are the directories.
	Results() []string
}

// Teller is a Driver that has more to tell of a case that failed, such as the log
// of a daemon that it starts itself.
type Teller interface {
	// Story is that.
	Story() string
}

// Attachment is a container and the networks that it is attached to, as a
// caller asks a runtime for it.
type Attachment struct {
	// Sandbox has the container's id, its namespace and the interface of the first
	// network. Where the runtime makes the namespace, Gone is true.
	*node.Sandbox
	// Networks are the container's; more than one needs the feature multi.
	Networks []*Network
	// CNIArgs is CNI_ARGS: K=V;K=V.
	CNIArgs string
	// Capabilities are the capability args that the caller gives.
	Capabilities map[string]any
}

// Answer is how a runtime answered a command.
type Answer struct {
	// Command is ADD, DEL, CHECK, GC or STATUS.
	Command string
	// OK means that it reported success.
	OK bool
	// Said is all that it said.
	Said string
	// Took is how long it took.
	Took time.Duration
	// Memory is the most memory, in bytes, that the runtime's process had; 0 when it
	// is not known.
	Memory int64
	// Ended says why the suite, or a case, ended the command, "" when it ended by
	// itself.
	Ended string
}

// Failed reports whether the runtime itself reported a failure.
func (a *Answer) Failed() bool { return !a.OK && a.Ended == "" }

// String tells what happened, for messages.
func (a *Answer) String() string {
	how := "failed"
	if a.OK {
		how = "succeeded"
	}
	text := fmt.Sprintf("%s %s after %s", a.Command, how, a.Took.Round(time.Millisecond))
	if a.Ended != "" {
		text += " (" + a.Ended + ")"
	}
	if said := strings.TrimSpace(a.Said); said != "" {
		text += "\n  it said: " + shorten(said)
	}
	return text
}

func shorten(s string) string {
	if len(s) > 2000 {
		return s[:2000] + fmt.Sprintf(" … (%d bytes)", len(s))
	}
	return s
}

// PeakMemory is the most memory, in bytes, that a process has had; 0 when it is
// not known. It is the process's own, whoever started it.
func PeakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
