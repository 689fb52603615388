// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/containernetworking/cni/pkg/utils"
)

// MaxFileName is the longest name of a file, in bytes (NAME_MAX of Linux).
const MaxFileName = 255

// CheckInterfaceName applies CNI's rules for the name of an interface, and
// refuses what a plugin cannot be given or the kernel would make another name
// of (SEC-10): no environment variable holds a NUL, and a '%' stands for a
// number.
func CheckInterfaceName(name string) error {
	if err := utils.ValidateInterfaceName(name); err != nil {
		return fmt.Errorf("interface name %q: %s", quote(name), err.Msg)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r == '%' || !unicode.IsPrint(r) }) {
		return fmt.Errorf("interface name %q: want printable characters without '%%'", quote(name))
	}
	return nil
}

// CheckFileNames refuses an attachment of a container when a file named after
// it could not be made: libcni, host-local and other plugins keep files called
// <network>-<container>-<interface>, or a directory called <network>. What ADD
// could still write, DEL might not be able to look for (SEC-10).
func (d *Delegate) CheckFileNames(containerID string) error {
	longest := d.Network + "-" + containerID + "-" + d.Interface
	if len(longest) > MaxFileName {
		return invalid("network name %q: with the container's id and interface %s it makes a file name of %d bytes; the most is %d",
			quote(d.Network), d.Interface, len(longest), MaxFileName)
	}
	return nil
}
