// SPDX-License-Identifier: Apache-2.0

// Command guest is the first process of a virtual machine: it mounts what a
// system has, loads the kernel's modules, waits for its job, executes the job's
// command and switches the machine off.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// statusBroken is the status of a job that could not be begun.
const statusBroken = 125

func main() {
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		status = statusBroken
	}
	if port, err := event.Open(); err == nil {
		_ = event.Send(port, event.Event{Kind: event.Ended, Status: status})
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // the first process must not end
}

func run() (int, error) {
	if err := mountSystem(); err != nil {
		return 0, err
	}
	if err := boot(); err != nil {
		return 0, err
	}
	job, err := awaitJob()
	if err != nil {
		return 0, err
	}
	if err := begin(job); err != nil {
		return 0, err
	}
	status, err := execute(job)
	return status, errors.Join(err, send(job.Files))
}

// awaitJob returns the job when the host has sent it. The command finds it, too.
func awaitJob() (*event.Job, error) {
	port, err := event.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = port.Close() }()
	line, err := event.AwaitJob(port)
	if err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	var job event.Job
	if err := json.Unmarshal(line, &job); err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	return &job, os.WriteFile(event.JobFile, line, 0o600)
}

// file system is something to mount.
type fileSystem struct{ kind, at, options string }

// mountSystem mounts what programs expect of any system. Its cgroups are of
// version 2 alone.
func mountSystem() error {
	for _, f := range []fileSystem{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}, {"tmpfs", "/run", "mode=0755"}, {"tmpfs", "/tmp", "mode=1777"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if err := os.MkdirAll(f.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(f.kind, f.at, f.kind, 0, f.options); err != nil {
			return fmt.Errorf("mount %s at %s: %w", f.kind, f.at, err)
		}
	}
	if err := errors.Join(os.Mkdir("/var", 0o755), os.Symlink("/run", "/var/run")); err != nil {
		return err
	}
	return os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory +pids +cpu"), 0)
}

// boot does what is the same in each boot: it loads the modules, mounts what is only
// read, and brings loopback up.
func boot() error {
	data, err := os.ReadFile(event.BootFile)
	if err != nil {
		return err
	}
	var b event.Boot
	if err := json.Unmarshal(data, &b); err != nil {
		return fmt.Errorf("%s: %w", event.BootFile, err)
	}
	for _, path := range b.Modules {
		if err := load(path); err != nil {
			return fmt.Errorf("module %s: %w", path, err)
		}
	}
	if err := mount(b.Disks); err != nil {
		return err
	}
	for _, path := range b.Read {
		if err := read(path); err != nil {
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// begin does what differs: it sets the clock, stirs chance, and mounts what is written
// to. What the kernel has seen of these disks may be older.
func begin(job *event.Job) error {
	now := unix.NsecToTimespec(job.Time.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("the clock: %w", err)
	}
	if err := stir(job.Entropy); err != nil {
		return fmt.Errorf("the kernel's random numbers: %w", err)
	}
	for _, d := range job.Disks {
		if err := onDevice(d.Device, func(fd int) error { return unix.IoctlSetInt(fd, unix.BLKFLSBUF, 0) }); err != nil {
			return err
		}
	}
	return mount(job.Disks)
}

// stir has the kernel's random numbers depend on the host's: the next boot's id is
// one of them.
func stir(entropy []byte) error {
	const random = "/dev/urandom"
	if err := os.WriteFile(random, entropy, 0); err != nil {
		return err
	}
	return onDevice(random, func(fd int) error { return unix.IoctlSetInt(fd, unix.RNDRESEEDCRNG, 0) })
}

// onDevice makes a request of a device.
func onDevice(path string, request func(fd int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := request(int(f.Fd())); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func mount(disks []event.Disk) error {
	for _, d := range disks {
		if err := os.MkdirAll(d.At, 0o755); err != nil {
			return err
		}
		var flags uintptr
		if d.ReadOnly {
			flags |= unix.MS_RDONLY
		}
		if d.Sync {
			flags |= unix.MS_SYNCHRONOUS
		}
		if err := unix.Mount(d.Device, d.At, "ext4", flags, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", d.Device, d.At, err)
		}
	}
	return nil
}

// read reads a file, which is in memory then.
func read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(io.Discard, f)
	return err
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// execute executes the command, and reaps what is orphaned meanwhile.
func execute(job *event.Job) (int, error) {
	cmd := exec.Command(job.Command[0], job.Command[1:]...) //nolint:noctx // the machine ends with it
	cmd.Env = append([]string{"PATH=/bin:/sbin", "HOME=/tmp", "TMPDIR=/tmp"}, job.Environment...)
	// The console is a terminal, which programs draw on.
	output, err := piped(cmd)
	if err != nil {
		return 0, err
	}
	defer output()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%s: %w", strings.Join(job.Command, " "), err)
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, err
		case pid == cmd.Process.Pid && status.Signaled():
			return 0, fmt.Errorf("%s was ended by signal %s", job.Command[0], status.Signal())
		case pid == cmd.Process.Pid:
			return status.ExitStatus(), nil
		}
	}
}

// outputLimit is how long a program's last output may take to the console: what it
// has started may hold the pipe still.
const outputLimit = 5 * time.Second

// piped has a command write into a pipe, which goes to the console. It returns the
// function that waits for the end of it.
func piped(cmd *exec.Cmd) (func(), error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(os.Stdout, r) // the console is all there is to tell
		close(done)
	}()
	return func() {
		_ = w.Close()
		select {
		case <-done:
		case <-time.After(outputLimit):
		}
	}, nil
}

// send sends files that are there.
func send(files []string) error {
	port, err := event.Open()
	if err != nil {
		return err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "guest:", err)
			continue
		}
		if err := event.Send(port, event.Event{Kind: event.File, Text: path, Data: data}); err != nil {
			return err
		}
	}
	return nil
}
