// SPDX-License-Identifier: Apache-2.0

// Package delegate is the suite's delegate plugin. It does what the "fake"
// object of its network configuration scripts for each command: answer a
// result or an error, take its time, hang, crash, print garbage, or really
// make an interface. It records every call, so that a case can assert on
// order, overlap and exact bytes.
//
// A program that imports the package is the plugin, too: Link makes a link to
// it in a directory of plugins, and executed by that link it is the delegate and
// nothing else. See takeOver.
package delegate

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// play serves one execution as a plugin and ends the process.
func play() {
	if os.Getenv("CNI_COMMAND") == "VERSION" {
		exit(version.All.Encode(os.Stdout))
	}
	exit(serve())
}

// exit ends the program as a plugin does: an error is JSON on stdout.
func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	var cni *types.Error
	if e, ok := err.(*types.Error); ok { //nolint:errorlint // only this program's own errors arrive here
		cni = e
	} else {
		cni = types.NewError(types.ErrInternal, err.Error(), "")
	}
	_ = cni.Print()
	os.Exit(1)
}

// forever blocks until a signal ends the process. Go's runtime would end a program
// that waits for nothing.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

// configuration is what the fake reads of its network configuration.
type configuration struct {
	CNIVersion string          `json:"cniVersion"`
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	PrevResult json.RawMessage `json:"prevResult"`
	Runtime    struct {
		DeviceInfoFile string `json:"CNIDeviceInfoFile"`
	} `json:"runtimeConfig"`
	Fake json.RawMessage `json:"fake"`
	// Valid are the attachments that GC keeps.
	Valid []types.GCAttachment `json:"cni.dev/valid-attachments"`
}

// ScriptOf is the file beside a fake from which it reads its steps when its
// configuration has none.
func ScriptOf(path string) string { return path + ".script.json" }

func serve() error {
	stdin, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var conf configuration
	if err := json.Unmarshal(stdin, &conf); err != nil {
		return types.NewError(types.ErrDecodingFailure, "configuration: "+err.Error(), "")
	}
	if len(conf.Fake) == 0 {
		// A plugin that delegates may change what it passes on: the fake's own file
		// has the script then.
		if conf.Fake, err = os.ReadFile(ScriptOf(os.Args[0])); err != nil {
			return types.NewError(types.ErrInvalidNetworkConfig, "fake: "+err.Error(), "")
		}
	}
	steps, err := parseSteps(conf.Fake)
	if err != nil {
		return err
	}
	rec := begin(steps.Calls, &conf, stdin)
	defer rec.end()
	command := os.Getenv("CNI_COMMAND")
	step, known := stepOf(steps, command)
	if !known {
		return types.NewError(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_COMMAND %q", command), "")
	}
	return perform(command, step, &conf, rec)
}
