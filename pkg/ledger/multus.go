// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containernetworking/cni/pkg/utils"
)

// MultusDelegate is what Multus wrote of one attachment of a sandbox into its
// own cache, <cniDir>/<container id>, a JSON list in the order of ADD.
type MultusDelegate struct {
	// Name is what network-status shows.
	Name string `json:"Name"`
	// IfnameRequest is the interface that the selection asked for; without one
	// the default network has the runtime's and others net1, net2, ….
	IfnameRequest         string   `json:"ifnameRequest"`
	MacRequest            string   `json:"macRequest"`
	IPRequest             []string `json:"ipRequest"`
	InfinibandGUIDRequest string   `json:"infinibandGUIDRequest"`
	DeviceID              string   `json:"deviceID"`
	// Bytes is the network configuration, base64 in the file.
	Bytes []byte `json:"Bytes"`
}

// LoadMultus reads Multus' own record of a container, so that sandboxes which
// it attached can be deleted after it was replaced (RES-05). It returns
// ErrNotFound when there is none, and sets one that it cannot use aside, with a
// *DamagedError, as Load does.
func (s *Store) LoadMultus(containerID string) ([]MultusDelegate, error) {
	if err := utils.ValidateContainerID(containerID); err != nil {
		return nil, err
	}
	info, err := s.cni.Lstat(containerID)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, ErrNotFound // a directory of ours, say
	}
	if err != nil {
		return nil, fmt.Errorf("record of Multus for container %s: %w", containerID, err)
	}
	f, err := s.cni.OpenFile(containerID, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("record of Multus for container %s: %w", containerID, err)
	}
	defer f.Close()
	delegates, disk, err := decodeMultus(f)
	if disk != nil {
		return nil, fmt.Errorf("record of Multus for container %s: %w", containerID, disk)
	}
	if err != nil {
		return nil, s.setAside(containerID, s.cni, containerID, fmt.Errorf("record of Multus: %w", err))
	}
	return delegates, nil
}

// decodeMultus reads a list of delegates one by one; see parts. What is wrong
// with the disk is not what is wrong with the content.
func decodeMultus(f io.Reader) (delegates []MultusDelegate, disk, damage error) {
	r := &reader{parts: newParts(f, maxPart)}
	r.dec = json.NewDecoder(r.parts)
	err := r.list(func() error {
		var d MultusDelegate
		if len(delegates) == maxAttachments {
			return fmt.Errorf("%w: it has more than %d delegates", errUnusable, maxAttachments)
		}
		if err := r.decode(&d); err != nil {
			return err
		}
		if len(d.Bytes) == 0 {
			return fmt.Errorf("%w: delegate %d (%s) has no configuration", errUnusable, len(delegates), d.Name)
		}
		delegates = append(delegates, d)
		return nil
	})
	if r.parts.err == nil && err == nil {
		if _, more := r.token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("%w: there is more after the list", errUnusable)
		}
	}
	return delegates, r.parts.err, err
}

// MultusContainers lists the containers that Multus has a record of.
func (s *Store) MultusContainers() ([]string, error) {
	entries, err := fs.ReadDir(s.cni.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("records of Multus: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.Type().IsRegular() && utils.ValidateContainerID(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// removeMultus removes Multus' record of a container that has been deleted.
func (s *Store) removeMultus(containerID string) error {
	info, err := s.cni.Lstat(containerID)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err == nil {
		err = s.cni.Remove(containerID)
	}
	if err != nil {
		return fmt.Errorf("record of Multus for container %s cannot be removed: %w", containerID, err)
	}
	return nil
}

const (
	// cacheDirectory is where libcni keeps the results of ADD for a Multus.
	cacheDirectory = "results"
	// maxCached is the largest file there that is libcni's, in bytes.
	maxCached = 1 << 20
)

// SweepCache sets aside what cannot be libcni's in the directory of its results:
// libcni reads whatever lies there, whole, links and pipes included (SEC-07).
func (s *Store) SweepCache() {
	info, err := s.cni.Lstat(cacheDirectory)
	if err != nil {
		return // there is none
	}
	if mode := info.Mode(); !mode.IsDir() && mode&fs.ModeSymlink == 0 {
		s.sweepCached(cacheDirectory, info)
		return
	}
	entries, err := fs.ReadDir(s.cni.FS(), cacheDirectory)
	if err != nil {
		return // a link that leads elsewhere
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().IsRegular() && info.Size() <= maxCached || info.IsDir() {
			continue
		}
		s.sweepCached(filepath.Join(cacheDirectory, e.Name()), info)
	}
}

// sweepCached sets aside what cannot be libcni's; name is its path below cniDir.
func (s *Store) sweepCached(name string, info fs.FileInfo) {
	reason := fmt.Errorf("%w: a %s of %d bytes is not a result of libcni's", errUnusable, info.Mode().Type(), info.Size())
	var damaged *DamagedError
	id := fmt.Sprintf("cache-%08x", crc32.ChecksumIEEE([]byte(filepath.Base(name))))
	if err := s.setAside(id, s.cni, name, reason); errors.As(err, &damaged) {
		s.settle(id) // not a container's record
	}
}
