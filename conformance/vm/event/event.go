// SPDX-License-Identifier: Apache-2.0

// Package event is what a virtual machine and its host tell each other: the job
// that the machine finds when it boots, and the events that it sends.
package event

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Where the machine finds what it is to do, and the port for its events.
const (
	JobFile = "/job.json"
	Port    = "/dev/ttyS1"
)

// Job is what a machine does before it switches itself off.
type Job struct {
	// Modules are the kernel's, in the order in which they can be loaded: files of
	// the initramfs.
	Modules []string `json:"modules"`
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
	// Booted is the first event: Text is the id of the boot.
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
