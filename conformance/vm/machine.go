// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// Parts are the files that machines are made of; make vm-parts makes them.
type Parts struct {
	// Kernel is its image, Modules the directory below which its modules are.
	Kernel, Modules string
	// Guest is package guest's program, statically linked.
	Guest string
	// Shell is busybox, statically linked: the machine's /bin/sh, which has the
	// commands that scripts use.
	Shell string
	// Programs is the image of a disk that is mounted at ProgramsAt.
	Programs string
}

// ProgramsAt is where a machine has the disk with the programs.
const ProgramsAt = "/thicket"

// Volume is a disk that a machine has mounted. With Sync what it writes is durable
// at once.
type Volume struct {
	*Disk
	At   string
	Sync bool
}

// PartsIn are the parts in a directory.
func PartsIn(dir string) Parts {
	return Parts{
		Kernel: filepath.Join(dir, "kernel", "vmlinuz"), Modules: filepath.Join(dir, "kernel", "modules"),
		Guest: filepath.Join(dir, "guest"), Shell: filepath.Join(dir, "shell", "bin", "busybox"), Programs: filepath.Join(dir, "programs.img"),
	}
}

// base are the modules that every machine needs: its disks, and what the suite
// itself makes. Modules that are built into a kernel have no file there.
var base = []string{"crc32c_generic", "virtio_pci", "virtio_blk", "ext4", "fuse", "overlay", "veth", "bridge"}

// Options say how a machine is.
type Options struct {
	Parts
	// Job is what it does; Time, Entropy and Disks are filled in.
	Job event.Job
	// Read are files of the machine that are in its memory before its job begins.
	Read []string
	// From is where it continues; nil has it boot. It has to have the same parts,
	// modules, processors, memory and numbers of disks.
	From *Frozen
	// Kinds are further modules, such as those of kinds of interfaces.
	Kinds []string
	// Volumes are the disks that are written to.
	Volumes []Volume
	// Processors and Memory, in MiB, are what it has; 0 means one, and 2 GiB.
	Processors, Memory int
	// Dir is for the machine's files.
	Dir string
	// Console gets what kernel and programs print; may be nil.
	Console io.Writer
}

// Machine is a machine that was switched on.
type Machine struct {
	// Events are what it sends; the channel is closed when it is off.
	Events <-chan event.Event

	cmd     *exec.Cmd
	console tail
	control net.Listener
	done    chan struct{}
	err     error
}

// Start switches a machine on. It goes off when its job is done, when ctx ends, or
// by CutPower.
func Start(ctx context.Context, o Options) (*Machine, error) {
	if o.From != nil {
		return start(ctx, &o, o.From.initramfs, "-incoming", o.From.incoming())
	}
	initramfs, err := o.initramfs()
	if err != nil {
		return nil, err
	}
	return start(ctx, &o, initramfs)
}

// start executes qemu with further arguments.
func start(ctx context.Context, o *Options, initramfs string, further ...string) (*Machine, error) {
	s, err := listen(len(o.Volumes))
	if err != nil {
		return nil, err
	}
	m := &Machine{done: make(chan struct{}), control: s.control}
	m.console.to = o.Console
	m.cmd = exec.CommandContext(ctx, "qemu-system-x86_64", append(o.arguments(initramfs, s.dir), further...)...)
	m.cmd.Stdout, m.cmd.Stderr = &m.console, &m.console
	if err := m.cmd.Start(); err != nil {
		s.close()
		return nil, err
	}
	events := make(chan event.Event, 1024)
	m.Events = events
	var served sync.WaitGroup
	served.Go(func() { m.read(s.events, o, events) })
	diskErrs := make([]error, len(o.Volumes))
	for i, v := range o.Volumes {
		served.Go(func() { diskErrs[i] = v.Serve(s.disks[i]) })
	}
	go func() {
		m.err = m.cmd.Wait()
		s.close()
		served.Wait()
		m.err = errors.Join(m.err, errors.Join(diskErrs...))
		close(events)
		close(m.done)
	}()
	return m, nil
}

// arguments are qemu's. The processor is emulated: /dev/kvm may be there and not
// work. An instruction takes 8 ns of the machine's time, however long it takes the
// host: a deadline that passes in the machine says something of what runs there.
func (o *Options) arguments(initramfs, sockets string) []string {
	processors, memory := o.Processors, o.Memory
	if processors == 0 {
		processors = 1
	}
	if memory == 0 {
		memory = 2048
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg,thread=single", "-icount", "shift=3", "-cpu", "max",
		"-smp", fmt.Sprint(processors), "-m", fmt.Sprint(memory), "-kernel", o.Kernel, "-initrd", initramfs,
		"-append", "console=ttyS0 loglevel=4 panic=-1 no_timer_check mitigations=off cgroup_no_v1=all",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=events,path=" + filepath.Join(sockets, "events"), "-serial", "chardev:events",
		"-chardev", "socket,id=control,path=" + controlSocket(sockets), "-mon", "chardev=control,mode=control",
		"-blockdev", "driver=file,node-name=programs,read-only=on,filename=" + o.Programs, "-device", "virtio-blk-pci,drive=programs",
	}
	for i := range o.Volumes {
		args = append(args, "-blockdev", fmt.Sprintf("driver=nbd,node-name=disk%d,export=disk,server.type=unix,server.path=%s", i, diskSocket(sockets, i)),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d,write-cache=on", i))
	}
	return args
}

// read passes on what the machine sends, and sends it its job. The last line of one
// that lost its power may be cut off, and the first of one that continues.
func (m *Machine) read(port net.Listener, o *Options, events chan<- event.Event) {
	conn, err := port.Accept()
	if err != nil {
		return // it did not come to that
	}
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	for ready := false; ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var e event.Event
		err = json.Unmarshal(line, &e)
		switch {
		case err == nil && e.Kind == event.Ready && ready:
			continue
		case err == nil && e.Kind == event.Ready:
			ready = true
			if err := o.sendJob(conn); err != nil {
				e = event.Event{Kind: event.Found, Text: fmt.Sprintf("the machine cannot be sent its job: %v", err)}
			}
		case err != nil && !ready:
			continue
		case err != nil:
			e = event.Event{Kind: event.Found, Text: fmt.Sprintf("a line that is not an event: %q", line)}
		}
		events <- e
	}
}

// entropy is how much of it a machine gets, in bytes.
const entropy = 64

// sendJob sends the job, if there is one: a machine that is frozen has none yet.
func (o *Options) sendJob(conn net.Conn) error {
	if len(o.Job.Command) == 0 {
		return nil
	}
	job := o.Job
	job.Time, job.Entropy = time.Now(), make([]byte, entropy)
	_, _ = rand.Read(job.Entropy) // it never fails
	for i, v := range o.Volumes {
		job.Disks = append(job.Disks, event.Disk{Device: "/dev/vd" + string(rune('b'+i)), At: v.At, Sync: v.Sync})
	}
	line, err := json.Marshal(job)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(line, '\n'))
	return err
}

// CutPower ends the machine at once, and returns when it is off. each gets what it
// had sent before.
func (m *Machine) CutPower(each func(event.Event)) {
	_ = m.cmd.Process.Kill() // it may have ended
	for e := range m.Events {
		each(e)
	}
	<-m.done
}

// Wait returns when the machine is off; the error says how it ended otherwise than
// by itself.
func (m *Machine) Wait() error {
	<-m.done
	return m.err
}

// ended is the error of a machine that ended when nobody expected it.
func (m *Machine) ended() error {
	return errors.Join(fmt.Errorf("the machine ended; its console:\n%s", m.Console()), m.Wait())
}

// silent is the error of a machine that sends nothing for so long, of its own time.
func (m *Machine) silent(d time.Duration) error {
	return fmt.Errorf("the machine sent nothing for %s; its console:\n%s", d, m.Console())
}

// Console returns the last of what kernel and programs have printed.
func (m *Machine) Console() string { return m.console.String() }

// tail keeps the end of what is written to it, and passes all of it on.
type tail struct {
	to   io.Writer
	mu   sync.Mutex
	kept []byte
}

// mostKept bounds a tail, in bytes.
const mostKept = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - mostKept; over > 0 {
		t.kept = append([]byte(nil), t.kept[over:]...)
	}
	if t.to != nil {
		return t.to.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// Await returns the next event of a kind; each gets all. It fails when the machine
// ends, and when it is silent for that long, of its own time.
func (m *Machine) Await(kind event.Kind, silence time.Duration, each func(event.Event)) (event.Event, error) {
	clock := m.clock()
	defer clock.Stop()
	for {
		select {
		case e, on := <-m.Events:
			if !on {
				return event.Event{}, m.ended()
			}
			each(e)
			if e.Kind == kind {
				return e, nil
			}
			clock.passed = 0
		case <-clock.C:
			if clock.tick(); clock.passed > silence {
				return event.Event{}, m.silent(silence)
			}
		}
	}
}
