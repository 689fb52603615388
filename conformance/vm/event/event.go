// SPDX-License-Identifier: Apache-2.0

// Package event is what a virtual machine and its host tell each other: the job
// that the machine finds when it boots, and the events that it sends.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Where the machine finds how it boots and what it is to do, and the port for its
// events.
const (
	BootFile = "/boot.json"
	JobFile  = "/job.json"
	Port     = "/dev/ttyS1"
)

// Boot is what a machine does before it is ready for its job. It is the same in each
// boot, so that a machine may continue from there.
type Boot struct {
	// Modules are the kernel's, in the order in which they can be loaded: files of
	// the initramfs.
	Modules []string `json:"modules"`
	// Disks are mounted at their directories, in this order. They are only read.
	Disks []Disk `json:"disks"`
	// Read are files that are read then, so that they are in memory.
	Read []string `json:"read,omitempty"`
}

// Job is what a machine does before it switches itself off. The host sends it, as
// one line, to a machine that is ready.
type Job struct {
	// Time is the host's. Entropy makes what is chance in the machine another one
	// than in those that were ready in the same state.
	Time    time.Time `json:"time"`
	Entropy []byte    `json:"entropy"`
	// Disks are mounted at their directories, in this order.
	Disks []Disk `json:"disks"`
	// Command is executed, with Environment.
	Command     []string `json:"command"`
	Environment []string `json:"environment"`
	// Files are sent when the command has ended.
	Files []string `json:"files"`
	// Story is for the command.
	Story json.RawMessage `json:"story,omitempty"`
}

// Disk is one of the machine's disks, with ext4.
type Disk struct {
	Device   string `json:"device"`
	At       string `json:"at"`
	ReadOnly bool   `json:"readOnly"`
	// Sync means that what is written is durable at once.
	Sync bool `json:"sync"`
}

// Sandbox is one that a machine has, or had before its power was cut.
type Sandbox struct {
	ID        string `json:"id"`
	Netns     string `json:"netns"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	UID       string `json:"uid"`
}

// Story is the job of package story.
type Story struct {
	// Target is the path of the target file.
	Target string `json:"target"`
	// Kept and Leases are directories that survive: for what the daemon keeps, and
	// for the leases of its delegates.
	Kept   string `json:"kept"`
	Leases string `json:"leases"`
	// Boot counts the boots of the disk.
	Boot int    `json:"boot"`
	Seed uint64 `json:"seed"`
	// Lost are the sandboxes of earlier boots for which no DEL was answered with
	// success: the runtime asks for it.
	Lost []Sandbox `json:"lost"`
	// DeletesAtOnce has the runtime ask for them as soon as the daemon serves, and
	// not when the daemon has released by itself what they held.
	DeletesAtOnce bool `json:"deletesAtOnce"`
	// Slow multiplies the deadlines; 0 has the machine measure it.
	Slow float64 `json:"slow"`
	// Load has requests follow until the power is cut.
	Load bool `json:"load"`
}

// Kind tells events apart.
type Kind string

// The kinds of events.
const (
	// Ready means that the machine waits for its job. It is sent again and again.
	Ready Kind = "ready"
	// Booted is the first event of a story: Text is the id of the boot.
	Booted Kind = "booted"
	// Loading means that requests follow.
	Loading Kind = "loading"
	// Begun means that a command is about to be asked for, Answered that its answer
	// has come.
	Begun    Kind = "begun"
	Answered Kind = "answered"
	// Killed means that the daemon is about to be killed, Served that it serves.
	Killed Kind = "killed"
	Served Kind = "served"
	// Found is something that must not be: Text says what.
	Found Kind = "found"
	// Judged is what was found after a boot: Counts, and Slow, the factor of the
	// deadlines.
	Judged Kind = "judged"
	// File is one of Job.Files: Text is its path, Data its content.
	File Kind = "file"
	// Ended is the last event: Status is the command's.
	Ended Kind = "ended"
)

// Event is a line that a machine sends.
type Event struct {
	Kind    Kind           `json:"kind"`
	Text    string         `json:"text,omitempty"`
	Command string         `json:"command,omitempty"`
	Sandbox *Sandbox       `json:"sandbox,omitempty"`
	OK      bool           `json:"ok,omitempty"`
	Counts  map[string]int `json:"counts,omitempty"`
	Data    []byte         `json:"data,omitempty"`
	Slow    float64        `json:"slow,omitempty"`
	Status  int            `json:"status,omitempty"`
}

// Open opens the port for events, as one that changes no byte.
func Open() (*os.File, error) {
	f, err := os.OpenFile(Port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	raw, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Port, err)
	}
	raw.Iflag, raw.Oflag, raw.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, raw); err != nil {
		return nil, fmt.Errorf("%s: %w", Port, err)
	}
	return f, nil
}

// readyAgain is how long the machine waits for its job before it tells again that it
// is ready: a machine that continues from there has another host, which did not hear
// it.
const readyAgain = 50 * time.Millisecond

// AwaitJob returns the line that the host sends to a machine that is ready.
func AwaitJob(port *os.File) ([]byte, error) {
	var line []byte
	input := []unix.PollFd{{Fd: int32(port.Fd()), Events: unix.POLLIN}}
	for part := make([]byte, 4<<10); ; {
		if len(line) == 0 {
			if err := Send(port, Event{Kind: Ready}); err != nil {
				return nil, err
			}
		}
		ready, err := unix.Poll(input, int(readyAgain.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR) || err == nil && ready == 0:
			continue
		case err != nil:
			return nil, err
		}
		n, err := port.Read(part)
		if err != nil {
			return nil, err
		}
		line = append(line, part[:n]...)
		if job, whole := bytes.CutSuffix(line, []byte("\n")); whole {
			return job, nil
		}
	}
}

// drain is the argument of TCSBRK that waits until all has been sent, as
// tcdrain(3) does.
const drain = 1

// Send sends an event, and returns when the host has it: what happens next may be
// the power cut.
func Send(port *os.File, e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := port.Write(append(line, '\n')); err != nil {
		return err
	}
	return unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, drain)
}
