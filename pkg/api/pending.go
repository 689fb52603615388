// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containernetworking/cni/pkg/utils"
)

// defaultCNIDir is Multus' cache directory, which the daemon's key "cniDir" has as its default too.
const defaultCNIDir = "/var/lib/cni/multus"

const (
	pendingSuffix = ".json"
	// maxPendingName keeps a record's name below NAME_MAX (255), in bytes, with room for what a tool may append.
	maxPendingName = 200
	// maxPendingSize bounds a record, in bytes, for who writes and who reads it: a daemon that starts has to bear the
	// decoding of whatever lies there (SEC-07).
	maxPendingSize = 1 << 20
	// maxPendingEnv bounds the variables in a record that is read.
	maxPendingEnv = 128 << 10
)

// PendingDir returns the directory of the pending DELs below a daemon's cache directory (its and the shim's key
// "cniDir"): <cniDir>/pending. The key "pendingDir" of either takes its place.
//
// The directory belongs to root and has mode 0700. Each DEL that found no daemon is one file in it, mode 0600, whose
// content is the JSON of the Request as it would have been posted. Its name is made of container id and interface name
// and ends in .json. A file appears by rename and is never changed in place; names that begin with a dot are files in
// the making. The daemon carries out what is there when it starts and what appears later, and removes a file when its
// DEL has succeeded (SHIM-07).
func PendingDir(cniDir string) string {
	return filepath.Join(cniDir, "pending")
}

// PendingFiles returns the paths of the records in dir, by name. A directory that does not exist has none.
func PendingFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pending DELs: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && strings.HasSuffix(name, pendingSuffix) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}

// RecordPending makes r, a DEL, durable in dir for the daemon to carry out (SHIM-07). The directory is made when it is
// missing; one that is a symlink, belongs to another user or can be written by others is refused (SEC-03). The same
// attachment's DEL is one file however often it is recorded. When RecordPending returns nil the record survives a loss
// of power; otherwise the error names the directory.
func RecordPending(dir string, r *Request) error {
	if err := record(dir, r); err != nil {
		return fmt.Errorf("record the DEL in %s: %w", dir, err)
	}
	return nil
}

func record(dir string, r *Request) error {
	name, err := pendingName(r)
	if err != nil {
		return err
	}
	for variable, value := range r.Env {
		if !utf8.ValidString(variable) || !utf8.ValidString(value) {
			// JSON would silently replace the bytes, and the daemon would find the DEL of another attachment.
			return fmt.Errorf("%q is %q, which is not valid UTF-8", variable, value)
		}
	}
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	if len(content) > maxPendingSize {
		return fmt.Errorf("the request has %d bytes; at most %d can be recorded", len(content), maxPendingSize)
	}
	if err := makeDirDurable(dir); err != nil {
		return err
	}
	root, err := openPrivateDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	temp := fmt.Sprintf(".%d-%d", os.Getpid(), time.Now().UnixNano())
	if err = writeDurable(root, temp, content); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		_ = root.Remove(temp)
		return err
	}
	return syncDir(root)
}

// ReadPending reads a record that RecordPending made. It refuses symlinks, files that are not private to this user,
// content that is not a DEL, and a record whose name is another attachment's; the error names the file.
func ReadPending(path string) (*Request, error) {
	content, err := readPrivateFile(path)
	if err != nil {
		return nil, fmt.Errorf("pending DEL %s: %w", path, err)
	}
	r, err := decodePending(content)
	if err != nil {
		return nil, fmt.Errorf("pending DEL %s is damaged: %w", path, err)
	}
	name, err := pendingName(r)
	if err != nil {
		return nil, fmt.Errorf("pending DEL %s: %w", path, err)
	}
	if name != filepath.Base(path) {
		return nil, fmt.Errorf("pending DEL %s is the record of another attachment, whose file is %s", path, name)
	}
	return r, nil
}

// decodePending decodes what a shim's DEL has. Attributes of an interface are not its own.
func decodePending(content []byte) (*Request, error) {
	var parts struct {
		Env    json.RawMessage `json:"env"`
		Config []byte          `json:"config"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return nil, err
	}
	if len(parts.Env) > maxPendingEnv {
		return nil, fmt.Errorf("its variables have %d bytes, more than %d", len(parts.Env), maxPendingEnv)
	}
	r := &Request{Config: parts.Config}
	if len(parts.Env) == 0 {
		return r, nil
	}
	return r, json.Unmarshal(parts.Env, &r.Env)
}

// pendingName is the file name of a DEL's record. Neither part can contain the colon or a slash, and a container id
// begins with a letter or digit, so that two attachments never share a name and none is hidden.
func pendingName(r *Request) (string, error) {
	if command := r.Env["CNI_COMMAND"]; command != "DEL" {
		return "", fmt.Errorf("CNI_COMMAND is %q; only a DEL can be recorded", command)
	}
	container, ifName := r.Env["CNI_CONTAINERID"], r.Env["CNI_IFNAME"]
	if err := utils.ValidateContainerID(container); err != nil {
		return "", fmt.Errorf("CNI_CONTAINERID %q: %w", container, err)
	}
	if err := utils.ValidateInterfaceName(ifName); err != nil {
		return "", fmt.Errorf("CNI_IFNAME %q: %w", ifName, err)
	}
	name := container + ":" + ifName
	if len(name)+len(pendingSuffix) > maxPendingName {
		// Names are the runtime's, which is root: they need to differ, not to be kept secret. A cryptographic hash
		// would cost the start of every shim.
		sum := fnv.New128a()
		_, _ = sum.Write([]byte(name))
		name = hex.EncodeToString(sum.Sum(nil))
	}
	return name + pendingSuffix, nil
}
