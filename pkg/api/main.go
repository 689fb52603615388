// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"
)

// Main is the main function of a shim. It carries out the command that the environment names (CNI spec 1.1.0, section 2,
// "Execution Protocol"), prints the result or the error, and ends the process with status 1 after an error. Without a
// command it prints about on standard error.
//
// What is usual takes a short way, on which no type is looked at by reflection: in a process that lives for one request
// that costs more than the request (SHIM-13). Whatever the short way does not know, each mistake of the caller among it,
// is left to skel.PluginMainFuncs.
func Main(about string) {
	if usual, err := shortWay(); usual {
		if err != nil {
			printError(err)
			os.Exit(1)
		}
		return
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

// shortWay carries out ADD, CHECK and DEL, and returns false when it has not begun, with standard input as it was.
func shortWay() (usual bool, err error) {
	command := os.Getenv("CNI_COMMAND")
	do := map[string]func(*call) error{"ADD": (*call).add, "CHECK": (*call).wait, "DEL": (*call).del}[command]
	args, known := usualArgs(command)
	if do == nil || !known || os.Getenv(DelegateVariable) != "" {
		return false, nil
	}
	if args.StdinData, err = io.ReadAll(os.Stdin); err != nil {
		return false, nil //nolint:nilerr // skel meets the same error, and has a code for it
	}
	conf := usualConf(args.StdinData, command)
	if conf == nil {
		return false, giveBack(args.StdinData)
	}
	return true, carryOut(args, conf, do)
}

// giveBack makes standard input what has been read of it. The error of a pipe that cannot be made leaves skel with an
// empty input, which it refuses.
func giveBack(input []byte) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	os.Stdin = r
	go func() {
		_, _ = w.Write(input)
		_ = w.Close()
	}()
	return nil
}

// usualArgs takes the variables that skel asks for, when each of them is one that skel would certainly accept.
func usualArgs(command string) (*skel.CmdArgs, bool) {
	a := &skel.CmdArgs{
		ContainerID:   os.Getenv("CNI_CONTAINERID"),
		Netns:         os.Getenv("CNI_NETNS"),
		IfName:        os.Getenv("CNI_IFNAME"),
		Args:          os.Getenv("CNI_ARGS"),
		Path:          os.Getenv("CNI_PATH"),
		NetnsOverride: os.Getenv("CNI_NETNS_OVERRIDE"),
	}
	const longestInterface = 15 // IFNAMSIZ without the final NUL
	return a, isPlain(a.ContainerID) && isPlain(a.IfName) && len(a.IfName) <= longestInterface && a.Path != "" &&
		(a.Netns != "" || command == "DEL")
}

// isPlain holds of letters, digits, '_', '.' and '-', of which the first is a letter or a digit: what CNI wants of the
// names of containers and networks (section 2, "Parameters").
func isPlain(name string) bool {
	for i, c := range []byte(name) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("_.-", rune(c))) {
			return false
		}
	}
	return name != ""
}

// usualConf reads a configuration as parseShimConf does, and what skel asks of it. It is nil for one that is unusual:
// that has no plain name, no version that the command knows, a key twice, a key of the shim's in other letters, a value of
// another type, or a mistake.
func usualConf(stdin []byte, command string) *shimConf {
	conf, name := &shimConf{}, ""
	texts := map[string]*string{
		"cniVersion": &conf.CNIVersion, "name": &name, "daemonSocketDir": &conf.MultusSocketDir, "logFile": &conf.LogFile,
		"logLevel": &conf.LogLevel, "cniDir": &conf.CNIDir, "pendingDir": &conf.PendingDir,
	}
	usual := eachKey(stdin, func(key string, value json.RawMessage) bool {
		text, known := texts[key]
		switch {
		case known:
			return value[0] == '"' && json.Unmarshal(value, text) == nil
		case key == "logToStderr":
			conf.LogToStderr = string(value) == "true"
			return conf.LogToStderr || string(value) == "false"
		}
		for known := range texts { // encoding/json takes a key in any letters
			if strings.EqualFold(key, known) {
				return false
			}
		}
		return !strings.EqualFold(key, "logToStderr")
	})
	if !usual || !isPlain(name) || !slices.Contains(versionsOf(command), conf.CNIVersion) || conf.complete() != nil {
		return nil
	}
	return conf
}

// eachKey calls take for each key of an object. It returns false when take does, when the text is anything but one object,
// and when a key is there twice: encoding/json judges both values.
func eachKey(object []byte, take func(key string, value json.RawMessage) bool) bool {
	dec := json.NewDecoder(bytes.NewReader(object))
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return false
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		key, isText := token.(string)
		var value json.RawMessage
		if err != nil || !isText || seen[key] || dec.Decode(&value) != nil || !take(key, value) {
			return false
		}
		seen[key] = true
	}
	if _, err := dec.Token(); err != nil { // the end of the object
		return false
	}
	_, err := dec.Token()
	return errors.Is(err, io.EOF)
}

// versionsOf are the versions of a configuration with which skel lets a command through.
func versionsOf(command string) []string {
	all := cniversion.All.SupportedVersions()
	if command == "CHECK" {
		return all[slices.Index(all, "0.4.0"):]
	}
	return all
}
