// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// record is what is known of a container from before its first plugin runs until
// its last DEL has succeeded.
type record struct {
	ID           string                     `json:"id"`
	Netns        string                     `json:"netns"`
	Namespace    identity                   `json:"namespace"`
	Args         string                     `json:"args"`
	Capabilities map[string]json.RawMessage `json:"capabilities"`
	Attachments  []*attachment              `json:"attachments"`
	// Added means that all ADDs succeeded.
	Added bool `json:"added"`
}

// attachment is one network of a container.
type attachment struct {
	IfName  string   `json:"ifName"`
	Network *network `json:"network"`

	// result is the final one of ADD, in a file of its own; own are those of each
	// plugin.
	result json.RawMessage
	own    []json.RawMessage
}

// attachmentName is how GC names an attachment.
type attachmentName struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

// errDamaged says that a record is there and cannot be read.
var errDamaged = errors.New("the record is damaged")

const (
	recordSuffix = ".container.json"
	resultSuffix = ".result.json"
)

// pathOf is a file about a container. Ids may be longer than a file's name.
func (c *call) pathOf(id, suffix string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(c.cacheDir, hex.EncodeToString(sum[:])+suffix)
}

// recall reads a container's record with its results; nil when there is none.
func (c *call) recall(id string) (*record, error) {
	data, err := os.ReadFile(c.pathOf(id, recordSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil || r.ID != id {
		return nil, fmt.Errorf("container %s: %w", id, errDamaged)
	}
	if c.has(forgetsAtReboot) && r.Namespace.Boot != boot() {
		return nil, nil
	}
	for _, a := range r.Attachments {
		if err := c.recallResult(&r, a); err != nil {
			return nil, err
		}
	}
	return &r, nil
}

// recallResult reads a result. One that is damaged is as good as none: DEL has to
// come all the same.
func (c *call) recallResult(r *record, a *attachment) error {
	data, err := os.ReadFile(c.resultPath(r, a))
	if err != nil {
		return nil //nolint:nilerr // there is none, or none that can be read
	}
	if json.Valid(data) {
		a.result = data
	} else if c.has(damagedEndsDel) {
		return fmt.Errorf("the result of %s is damaged", r.ID)
	}
	return nil
}

func (c *call) resultPath(r *record, a *attachment) string {
	return c.pathOf(r.ID, "."+a.IfName+resultSuffix)
}

// write puts the record in place, so that it survives a crash.
func (c *call) write(r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replace(c.pathOf(r.ID, recordSuffix), data)
}

// keep writes the final result of an attachment.
func (c *call) keep(r *record, a *attachment) error {
	return replace(c.resultPath(r, a), a.result)
}

// forget removes all that is known of a container.
func (c *call) forget(r *record) error {
	for _, a := range r.Attachments {
		if c.has(prevResultOfLast) {
			break
		}
		if err := os.Remove(c.resultPath(r, a)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(c.pathOf(r.ID, recordSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// records reads what is known of all containers. Damaged ones are left out: GC
// cannot tell whose they are.
func (c *call) records() ([]*record, error) {
	entries, err := os.ReadDir(c.cacheDir)
	if err != nil {
		return nil, err
	}
	var all []*record
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), recordSuffix) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(c.cacheDir, entry.Name()))
		if err != nil {
			continue // it has gone meanwhile
		}
		var r record
		if json.Unmarshal(data, &r) == nil {
			all = append(all, &r)
		}
	}
	return all, nil
}

// replace writes a file whole.
func replace(path string, data []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
