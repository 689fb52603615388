// SPDX-License-Identifier: Apache-2.0

// Package nop is a delegate plugin that does nothing, as fast as a Go program
// can: what a daemon adds to a delegate's own time is measured with it. As with
// package delegate, a program that imports it is the plugin, too, when it is
// executed by a link that Link made.
package nop

import (
	"strings"
	"syscall"
)

// marker is a file in each directory where Link has made a link.
const marker = ".thicket-conformance-nop"

// The package imports next to nothing, so it is initialized before almost all
// others, however large the program is.
func init() {
	command, executed := syscall.Getenv("CNI_COMMAND")
	if !executed || !linked() {
		return
	}
	serve(command)
	syscall.Exit(0)
}

// linked reports whether the process has no argument and was executed by a name
// in a directory where Link has made a link, and by that link's name.
func linked() bool {
	line, err := read("/proc/self/cmdline")
	name, end := strings.CutSuffix(line, "\x00")
	dir := name[:strings.LastIndexByte(name, '/')+1]
	if err != nil || !end || dir == "" || strings.Contains(name, "\x00") {
		return false
	}
	called, err := read(dir + marker)
	return err == nil && called == name[len(dir):]
}

// serve answers one execution of the plugin.
func serve(command string) {
	_ = drain(0)
	switch command {
	case "ADD":
		name, _ := syscall.Getenv("CNI_IFNAME")
		netns, _ := syscall.Getenv("CNI_NETNS")
		write(`{"cniVersion":"1.0.0","interfaces":[{"name":"` + name + `","mac":"02:00:00:00:00:01","sandbox":"` + netns +
			`"}],"ips":[{"interface":0,"address":"192.0.2.2/24"}]}`)
	case "VERSION":
		write(`{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}`)
	}
}

// Link puts the plugin into a directory of plugins, under a name. executable is
// a program that imports this package.
func Link(dir, name, executable string) error {
	fd, err := syscall.Open(dir+"/"+marker, syscall.O_CREAT|syscall.O_WRONLY|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(fd) }()
	if _, err := syscall.Write(fd, []byte(name)); err != nil {
		return err
	}
	return syscall.Symlink(executable, dir+"/"+name)
}

// read returns the content of a small file.
func read(path string) (string, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = syscall.Close(fd) }()
	var content [4096]byte
	n, err := syscall.Read(fd, content[:])
	if err != nil {
		return "", err
	}
	return string(content[:n]), nil
}

// drain reads until the end.
func drain(fd int) error {
	var chunk [4096]byte
	for {
		n, err := syscall.Read(fd, chunk[:])
		if n == 0 || err != nil && err != syscall.EINTR {
			return err
		}
	}
}

func write(text string) { _, _ = syscall.Write(1, []byte(text)) }
