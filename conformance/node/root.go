// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// emptied are the directories in which a program that manages networks keeps
// what it knows: a case begins with none of it, and the host's sockets are out
// of reach.
var emptied = []string{"/run", "/tmp", "/var/lib/cni", "/var/log", "/etc/cni"}

// devices are the device files of a private root. Disks are not among them.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty", "net/tun", "vhost-net"}

// diskLimit and fileLimit bound what a program can write into a private root.
const (
	diskLimit = "size=192m"
	fileLimit = "nr_inodes=100k"
)

// Root is a file system of a case's own: the host's, with everything that is
// written going to a layer that ends with the case.
type Root struct {
	// Dir is a directory in it for the case itself.
	Dir string
	// upper has what was written, but for the emptied directories.
	upper string
	// bound are the directories of the host that are shown as they are.
	bound []string
}

// EnterRoot moves this process, and every other of its mount namespace, into a
// private root. workDir stays what it is, and so does what is below the
// directories that are to be seen, which cannot be written to. It needs a mount
// namespace of the case's own.
func EnterRoot(workDir string, seen ...string) (*Root, error) {
	if !suite.Isolated() {
		return nil, errors.New("a root of the case's own needs a mount namespace of its own, and this process has none")
	}
	work, err := os.MkdirTemp(workDir, "root-")
	if err != nil {
		return nil, err
	}
	mounts, err := mountPoints()
	if err != nil {
		return nil, err
	}
	b := &rootBuilder{work: work, root: filepath.Join(work, "root")}
	b.layers()
	b.below(mounts, workDir)
	b.empty()
	for _, dir := range seen {
		b.bind(dir, true)
	}
	b.bind(workDir, false)
	b.bind(work, false)
	b.kernel()
	b.enter()
	if b.err != nil {
		return nil, fmt.Errorf("a root of the case's own: %w", b.err)
	}
	return &Root{Dir: filepath.Join(work, "case"), upper: filepath.Join(work, "upper"), bound: append(slices.Clone(seen), workDir)}, nil
}

// rootBuilder makes a root step by step; after an error it does nothing more.
type rootBuilder struct {
	work, root string
	err        error
}

func (b *rootBuilder) mount(source, target, kind string, flags uintptr, data string) {
	if b.err != nil {
		return
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		b.err = fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
}

func (b *rootBuilder) mkdir(path string) {
	if b.err == nil {
		b.err = os.MkdirAll(path, 0o755)
	}
}

// layers mounts the host's root with a layer over it.
func (b *rootBuilder) layers() {
	b.mount("tmpfs", b.work, "tmpfs", unix.MS_NODEV, "mode=0755,"+diskLimit+","+fileLimit)
	for _, d := range []string{"upper", "overlay", "root", "case"} {
		b.mkdir(filepath.Join(b.work, d))
	}
	b.mount("overlay", b.root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", filepath.Join(b.work, "upper"), filepath.Join(b.work, "overlay")))
}

// below shows the other file systems of the host, which the layer does not
// cover, without a way to write to them.
func (b *rootBuilder) below(mounts []string, workDir string) {
	apart := append([]string{"/proc", "/sys", "/dev", workDir}, emptied...)
	for _, m := range mounts {
		if m == "/" || slices.ContainsFunc(apart, func(dir string) bool { return within(m, dir) }) {
			continue
		}
		b.bind(m, true)
	}
}

// empty covers the directories that a case begins without.
func (b *rootBuilder) empty() {
	for _, dir := range emptied {
		target := filepath.Join(b.root, dir)
		mode := "mode=0755,"
		if dir == "/tmp" {
			mode = "mode=1777,"
		}
		b.mkdir(target)
		b.mount("tmpfs", target, "tmpfs", unix.MS_NODEV, mode+diskLimit+","+fileLimit)
	}
	b.mkdir(filepath.Join(b.root, "run/netns"))
	b.mkdir(filepath.Join(b.root, "run/lock")) // xtables.lock of older versions
}

// bind shows a file or directory of the host at its own path.
func (b *rootBuilder) bind(path string, readOnly bool) {
	if b.err != nil {
		return
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		b.err = err
		return
	}
	target := filepath.Join(b.root, path)
	if info.IsDir() {
		b.mkdir(target)
	} else if _, err := os.Stat(target); err != nil {
		b.mkdir(filepath.Dir(target))
		b.touch(target)
	}
	b.mount(path, target, "", unix.MS_BIND, "")
	if readOnly {
		b.mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
}

func (b *rootBuilder) touch(path string) {
	if b.err == nil {
		b.err = os.WriteFile(path, nil, 0o600)
	}
}

// kernel mounts /proc, /sys and /dev. Of /proc/sys only net, which belongs to
// the network namespace, can be written to.
func (b *rootBuilder) kernel() {
	proc, sys, dev := filepath.Join(b.root, "proc"), filepath.Join(b.root, "sys"), filepath.Join(b.root, "dev")
	b.mount("/proc", proc, "", unix.MS_BIND|unix.MS_REC, "")
	b.mount(filepath.Join(proc, "sys"), filepath.Join(proc, "sys"), "", unix.MS_BIND, "")
	b.mount("", filepath.Join(proc, "sys"), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	b.mount("/proc/sys/net", filepath.Join(proc, "sys/net"), "", unix.MS_BIND, "")
	if trigger := filepath.Join(proc, "sysrq-trigger"); exists(trigger) {
		b.mount("/dev/null", trigger, "", unix.MS_BIND, "")
	}
	// A sysfs that is mounted here shows the devices of this network namespace.
	b.mount("sysfs", sys, "sysfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if target := filepath.Join(sys, "fs/bpf"); b.err == nil && exists(target) {
		_ = unix.Mount("bpf", target, "bpf", 0, "") // where the kernel has none, nobody misses it
	}
	b.mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID, "mode=0755,size=8m")
	for _, name := range devices {
		if exists(filepath.Join("/dev", name)) {
			b.bind(filepath.Join("/dev", name), false)
		}
	}
	for _, d := range []string{"shm", "pts", "mqueue"} {
		b.mkdir(filepath.Join(dev, d))
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if b.err == nil {
			b.err = os.Symlink(to, filepath.Join(dev, name))
		}
	}
}

// enter makes it the root of the mount namespace's processes, and lets go of
// the host's.
func (b *rootBuilder) enter() {
	if b.err != nil {
		return
	}
	if b.err = os.Chdir(b.root); b.err != nil {
		return
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		// The first root of a kernel, an initramfs, cannot be pivoted.
		b.mount(".", "/", "", unix.MS_MOVE, "")
		if b.err == nil {
			b.err = unix.Chroot(".")
		}
	} else if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		b.err = fmt.Errorf("unmount the host's root: %w", err)
	}
	if b.err == nil {
		b.err = os.Chdir("/")
	}
}

// mountPoints lists where file systems are mounted, each once, those above
// others first.
func mountPoints() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			all = append(all, strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(fields[4]))
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
