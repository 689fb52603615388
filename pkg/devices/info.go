// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/thicket-cni/thicket/pkg/foreign"
)

// DefaultInfoDir is the base directory that the NPWG device information
// specification sets.
const DefaultInfoDir = "/var/run/k8s.cni.cncf.io/devinfo"

// infoLimit is the largest DeviceInfo that is read, in bytes: it becomes part
// of an annotation of the pod.
const infoLimit = 64 << 10

// InfoDir is the base directory of DeviceInfo files: device plugins write into
// its subdirectory dp, delegates and this daemon into cni.
type InfoDir string

// plugin is the file in which a device plugin describes a device.
func (d InfoDir) plugin(resource, id string) string {
	return filepath.Join(string(d), "dp", flat(resource)+"-"+flat(id)+"-device.json")
}

// Delegate is the file by which a delegate and this daemon exchange the
// DeviceInfo of an attachment: the capability argument CNIDeviceInfoFile.
// definition may be namespace/name.
func (d InfoDir) Delegate(definition, containerID, ifName string) string {
	return filepath.Join(string(d), "cni", flat(definition)+suffix(containerID, ifName))
}

// IsDelegate says whether a path can be what Delegate returned, of this base
// directory or a former one, for the attachment of this interface.
func IsDelegate(path, containerID, ifName string) bool {
	return filepath.IsAbs(path) && filepath.Base(filepath.Dir(path)) == "cni" && strings.HasSuffix(filepath.Base(path), suffix(containerID, ifName))
}

func suffix(containerID, ifName string) string { return "-" + containerID + "_" + flat(ifName) }

// flat makes a name part of a file's name.
func flat(name string) string { return strings.ReplaceAll(name, "/", "-") }

// Prepare clears the way for a delegate that may write its DeviceInfo to path,
// and hands it what the device plugin said of the device, if it said anything.
// An empty resource means that no device plugin knows the device.
func (d InfoDir) Prepare(path, resource, id string) error {
	if err := Remove(path); err != nil {
		return err
	}
	// The delegate writes there too, and need not make the directory.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // other components look into it
		return err
	}
	if resource == "" {
		return nil
	}
	info, err := Load(d.plugin(resource, id))
	if err != nil || info == nil {
		return err
	}
	return write(path, info)
}

// Load reads a DeviceInfo file; nil without an error when there is none. What
// is no JSON object, or too large to be one of its kind, is an error.
func Load(path string) (json.RawMessage, error) {
	data, err := foreign.ReadFile(path, infoLimit, foreign.NoLinks)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("DeviceInfo: %w", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return nil, fmt.Errorf("DeviceInfo %s is no JSON object", path)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}

// Remove removes a DeviceInfo file. One that is not there, or whose name no
// file can have, is not an error.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) {
		return nil
	}
	return err
}

// write puts a file in place whole, with the mode that the specification's
// own library gives it: anybody may read it, nobody changes it.
func write(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o444), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
