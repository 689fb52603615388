// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"io/fs"
)

// begunSuffix ends the name of the record as Begin wrote it.
const begunSuffix = ".begun"

func begun(containerID string) string { return "." + containerID + begunSuffix }

// keepBegun gives the record that Begin has just synced a second name, under
// which it outlives every Save. File systems may leave an empty file of a Save
// that a power cut followed; this one then says what has to be deleted (RES-02).
func (s *Store) keepBegun(containerID string) error {
	name := begun(containerID)
	err := s.root.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.root.Link(containerID+suffix, name)
	}
	if err != nil {
		return fmt.Errorf("the first record of container %s cannot be kept: %w", containerID, err)
	}
	return nil
}

// restoreBegun puts the first record in the place of a damaged later one. It
// counts as added: its sandbox may be running, and must not be taken for the
// half of an ADD that a replay would delete.
func (s *Store) restoreBegun(containerID string) (*Record, error) {
	r, err := s.readFile(containerID, begun(containerID))
	if err != nil {
		return nil, err
	}
	r.State = StateAdded
	if err := s.Save(r); err != nil {
		return nil, err
	}
	s.settle(containerID)
	s.log.Warn("the record as its ADD began takes the place of a damaged one", "sandbox", containerID)
	return r, nil
}
