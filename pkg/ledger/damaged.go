// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// settledSuffix ends the name of a damaged file whose container was deleted.
const settledSuffix = ".settled"

// reasonSuffix ends the name of the note that says what is wrong with it.
const reasonSuffix = ".reason"

// DamagedError says that a record could not be read and was set aside.
type DamagedError struct {
	// ContainerID is the container whose record it was.
	ContainerID string
	// Kept is the path where the damaged file lies now, empty when it could
	// not be moved.
	Kept string
	// Reason is what is wrong with it.
	Reason error
}

// Error names the container, the reason and where the file is kept.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("the record of container %s is damaged (%v); it is kept as %s", e.ContainerID, e.Reason, e.Kept)
}

// Unwrap returns the reason.
func (e *DamagedError) Unwrap() error { return e.Reason }

// errUnusable marks what is wrong with a file's content, as opposed to a disk
// or a process limit that kept it from being read: only the first is damage,
// a good record must never be set aside because descriptors ran out.
var errUnusable = errors.New("unusable")

func isDamage(err error) bool {
	return errors.Is(err, errUnusable) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EISDIR)
}

// setAside moves a file of one of the two directories into damaged, with the
// reason beside it, and returns the error that says so.
func (s *Store) setAside(containerID string, in *os.Root, name string, reason error) error {
	kept := filepath.Join(damagedDirectory, fmt.Sprintf("%s.%d%s", containerID, time.Now().UnixNano(), suffix))
	damaged := &DamagedError{ContainerID: containerID, Kept: filepath.Join(s.path, kept), Reason: reason}
	to := kept
	if in == s.cni {
		to = filepath.Join(directory, kept)
	}
	if err := moveAside(in, name, to); err != nil {
		damaged.Kept = filepath.Join(in.Name(), name)
		damaged.Reason = errors.Join(reason, err)
	} else {
		s.mu.Lock()
		s.aside[containerID] = append(s.aside[containerID], kept)
		s.mu.Unlock()
		if err := s.writeReason(kept+reasonSuffix, reason); err != nil {
			s.log.Warn("the reason of a damaged record could not be kept", "sandbox", containerID, "error", err)
		}
		s.boundAside()
	}
	s.log.Error("damaged record set aside", "sandbox", containerID, "kept", damaged.Kept, "reason", reason)
	return damaged
}

// moveAside moves a file, or a directory. What is neither, such as a link, is
// not kept: an empty file stands for it, so that nobody ever follows it (SEC-03).
func moveAside(in *os.Root, name, to string) error {
	info, err := in.Lstat(name)
	if err != nil || info.Mode().IsRegular() || info.IsDir() {
		return errors.Join(err, in.Rename(name, to))
	}
	mark, err := in.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(mark.Close(), in.Remove(name))
}

func (s *Store) writeReason(name string, reason error) error {
	f, err := s.createNew(name)
	if err != nil {
		return err
	}
	_, err = f.WriteString(brief.Plain(brief.Cut(reason.Error(), 4*brief.Line)) + "\n")
	return errors.Join(err, f.Close())
}

// Aside lists the containers whose damaged files are kept, and whose DEL is
// still to come.
func (s *Store) Aside() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.aside))
}

// SetMultusAside sets Multus' record of a container aside, as LoadMultus does
// with one that it cannot decode.
func (s *Store) SetMultusAside(containerID string, reason error) error {
	if err := utils.ValidateContainerID(containerID); err != nil {
		return err
	}
	return s.setAside(containerID, s.cni, containerID, reason)
}

// missing says what it means that a container has no record: that it never had
// one, or that the one which it had was set aside, perhaps by an earlier
// daemon, and that its DEL is still to come.
func (s *Store) missing(containerID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := s.aside[containerID]
	if len(files) == 0 {
		return ErrNotFound
	}
	return &DamagedError{ContainerID: containerID, Kept: filepath.Join(s.path, files[0]), Reason: errors.New("it was set aside earlier")}
}

// damagedFiles lists the damaged files, by container, of those that are not
// deleted yet. It is asked once: only the daemon that serves adds to them.
func damagedFiles(root *os.Root) (map[string][]string, error) {
	entries, err := fs.ReadDir(root.FS(), damagedDirectory)
	if err != nil {
		return nil, err
	}
	files := map[string][]string{}
	for _, e := range entries {
		// The name is <container id>.<time>.json, and ids may contain dots.
		name, isRecord := strings.CutSuffix(e.Name(), suffix)
		if at := strings.LastIndexByte(name, '.'); isRecord && at >= 0 {
			files[name[:at]] = append(files[name[:at]], filepath.Join(damagedDirectory, e.Name()))
		}
	}
	return files, nil
}

// settle keeps the damaged files of a container that was deleted, under names
// that say so.
func (s *Store) settle(containerID string) {
	s.mu.Lock()
	files := s.aside[containerID]
	delete(s.aside, containerID)
	s.mu.Unlock()
	if len(files) == 0 {
		return
	}
	var err error
	for _, f := range files {
		if renamed := s.root.Rename(f, f+settledSuffix); !errors.Is(renamed, fs.ErrNotExist) {
			err = errors.Join(err, renamed) // a person may have cleared them away
		}
	}
	s.boundAside()
	if err != nil {
		s.log.Warn("a damaged record stays marked as not deleted", "sandbox", containerID, "error", err)
	}
}
