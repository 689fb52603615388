// SPDX-License-Identifier: Apache-2.0

// Command nop is a delegate plugin that does nothing, as fast as a Go program
// can: what a daemon adds to a delegate's own time is measured with it.
package main

import (
	"io"
	"os"
)

func main() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	switch os.Getenv("CNI_COMMAND") {
	case "ADD":
		_, _ = os.Stdout.WriteString(`{"cniVersion":"1.0.0","interfaces":[{"name":"` + os.Getenv("CNI_IFNAME") +
			`","mac":"02:00:00:00:00:01","sandbox":"` + os.Getenv("CNI_NETNS") + `"}],"ips":[{"interface":0,"address":"192.0.2.2/24"}]}`)
	case "VERSION":
		_, _ = os.Stdout.WriteString(`{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}`)
	}
}
