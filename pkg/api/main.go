// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"io"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// Main is the main function of a shim. It carries out the command that the environment names (CNI spec 1.1.0, section 2,
// "Execution Protocol"), prints the result or the error, and ends the process with status 1 after an error. Without a
// command it prints about on standard error. begun is what package quick has done of the command, nil if it has done nothing.
func Main(about string, begun *quick.Begun) {
	switch {
	case begun != nil && begun.Conn >= 0:
		if err := resume(begun); err != nil {
			printError(err)
			os.Exit(1)
		}
		return
	case begun != nil:
		giveBack(begun)
	}
	skel.PluginMainFuncs(skel.CNIFuncs{Add: CmdAdd, Del: CmdDel, Check: CmdCheck, GC: CmdGC, Status: CmdStatus}, cniversion.All, about)
}

// printError prints an error as skel does.
func printError(err error) {
	var e *types.Error
	if !errors.As(err, &e) {
		e = types.NewError(types.ErrInternal, err.Error(), "")
	}
	_ = e.Print() // there is nobody else to tell
}

// resume waits for the answer to a request that package quick has sent. The command and its configuration are usual ones.
func resume(begun *quick.Begun) error {
	conf, err := parseShimConf(begun.Input)
	if err != nil {
		return err
	}
	args := &skel.CmdArgs{
		ContainerID: os.Getenv("CNI_CONTAINERID"),
		Netns:       os.Getenv("CNI_NETNS"),
		IfName:      os.Getenv("CNI_IFNAME"),
		Args:        os.Getenv("CNI_ARGS"),
		Path:        os.Getenv("CNI_PATH"),
		StdinData:   begun.Input,
	}
	do := map[string]func(*call) error{"ADD": (*call).add, "CHECK": (*call).wait, "DEL": (*call).del}[os.Getenv("CNI_COMMAND")]
	return carryOut(args, conf, begun, do)
}

// giveBack makes standard input what has been read of it, and what is left. Where that cannot be read, skel meets the same
// error.
func giveBack(begun *quick.Begun) {
	input := begun.Input
	if begun.More {
		rest, err := io.ReadAll(os.Stdin)
		if err != nil {
			return
		}
		input = append(input, rest...)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return // skel finds nothing to read, which it refuses
	}
	os.Stdin = r
	go func() {
		_, _ = w.Write(input)
		_ = w.Close()
	}()
}
