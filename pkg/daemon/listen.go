// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/api"
)

// takeoverWait is how long a daemon waits for one that is on its way out, or
// that is only starting, before it refuses to start beside it.
const takeoverWait = 30 * time.Second

// socket is the daemon's hold on its run directory: a lock on the directory
// itself, and the listening socket in it.
type socket struct {
	net.Listener
	path string
	// id is the socket file's, to tell it from one that another daemon put
	// at the same path later (SOCK-11).
	id  fileID
	dir *os.File
}

type fileID struct{ dev, ino uint64 }

// listen takes the run directory and listens on SocketPath(runDir).
//
// The lock is on the directory and not on a file in it: it leaves nothing
// behind, it goes with the process, and a run directory that was removed and
// made anew is another lock. The holder of the lock may remove a socket that
// nobody answers on (SOCK-05), without the race of dialling first and binding
// later that two daemons without a lock would have (SOCK-10).
func listen(ctx context.Context, runDir string) (*socket, error) {
	dir, err := openRunDir(runDir)
	if err != nil {
		return nil, err
	}
	s := &socket{path: api.SocketPath(runDir), dir: dir}
	if err := s.lock(ctx, runDir); err != nil {
		_ = dir.Close()
		return nil, err
	}
	if err := s.clear(); err != nil {
		_ = dir.Close()
		return nil, err
	}
	if err := s.bind(ctx); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return s, nil
}

// openRunDir makes the run directory when it is missing and refuses one that
// somebody else controls (SOCK-03, SOCK-07).
func openRunDir(runDir string) (*os.File, error) {
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		return nil, fmt.Errorf("run directory %s cannot be made: %w; make its parent writable, or set socketDir to another path", runDir, err)
	}
	dir, err := os.OpenFile(filepath.Clean(runDir), os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("run directory %s is not a directory but a link or a file; remove it, or set socketDir to the real path", runDir)
	}
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(dir.Fd()), &st); err != nil {
		return nil, errors.Join(fmt.Errorf("run directory %s: %w", runDir, err), dir.Close())
	}
	switch {
	case st.Uid != 0:
		err = fmt.Errorf("run directory %s belongs to uid %d and not to root; chown it, or set socketDir to another path", runDir, st.Uid)
	case st.Mode&0o022 != 0:
		err = fmt.Errorf("run directory %s has mode %#o, others may write there; chmod it to 0700", runDir, st.Mode&0o7777)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// lock takes the directory's lock. A holder that serves keeps it; for one that
// is on its way out it waits (a rolling restart starts the new daemon while
// the old one drains).
func (s *socket) lock(ctx context.Context, runDir string) error {
	deadline := time.Now().Add(takeoverWait)
	for {
		err := syscall.Flock(int(s.dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("run directory %s cannot be locked: %w", runDir, err)
		}
		_, notReady := api.DoCNI(api.GetAPIEndpoint(api.MultusReadyAPIEndpoint), nil, s.path)
		if notReady == nil || time.Now().After(deadline) {
			return fmt.Errorf("another daemon%s serves run directory %s; stop it, or give this one a socketDir of its own", s.holder(), runDir)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(api.APIReadyPollDuration):
		}
	}
}

// dial connects to whatever listens on the socket's path, which answers at once
// or not at all.
func (s *socket) dial() (net.Conn, error) {
	return net.DialTimeout("unix", s.path, time.Second) //nolint:noctx // its time limit is as short as any caller's
}

// holder says which process listens on the socket, for the error message.
func (s *socket) holder() string {
	conn, err := s.dial()
	if err != nil {
		return ""
	}
	defer conn.Close()
	cred, err := peerOf(conn)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", cred.Pid)
}

// clear removes a socket that a crashed daemon left, and nothing else (SOCK-06).
func (s *socket) clear() error {
	info, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is a %s, not a socket; it is left as it is: move it away", s.path, kindOf(info.Mode()))
	}
	// A daemon that does not lock, Multus' own, may be serving there.
	if conn, err := s.dial(); err == nil {
		_ = conn.Close()
		return fmt.Errorf("another daemon%s serves %s; stop it, or give this one a socketDir of its own", s.holder(), s.path)
	}
	if err := os.Remove(s.path); err != nil {
		return fmt.Errorf("the socket of a crashed daemon cannot be removed: %w", err)
	}
	return nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "regular file"
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	default:
		return "special file"
	}
}

// bind listens. The mode is set on the socket before it is bound: Linux makes
// the file with the mode that the socket's own inode has then, so there is no
// instant with a laxer one (SOCK-04), and no umask of the whole process to
// change.
func (s *socket) bind(ctx context.Context) error {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmod)
	}}
	l, err := lc.Listen(ctx, "unix", s.path)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; is its file system read-only, or the path longer than 107 bytes?", s.path, err)
	}
	// Go would remove whatever lies at the path when the listener closes.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s.Listener = l
	s.id, err = identify(s.path)
	return err
}

func identify(path string) (fileID, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return fileID{}, fmt.Errorf("socket %s: %w", path, err)
	}
	return fileID{uint64(st.Dev), st.Ino}, nil //nolint:unconvert // Dev is not 64 bits wide everywhere
}

// holds says whether the run directory is still the one that this daemon
// locked: it is another one after it was removed and a new daemon made it anew.
func (s *socket) holds() bool {
	own, err := s.dir.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(filepath.Dir(s.path))
	return err == nil && os.SameFile(own, now)
}

// unlink takes the socket file away, if it is still this daemon's own.
func (s *socket) unlink() error {
	id, err := identify(s.path)
	if err != nil || id != s.id {
		return nil //nolint:nilerr // gone, or another daemon's: not ours to remove
	}
	return os.Remove(s.path)
}

// Close stops listening and gives the run directory up.
func (s *socket) Close() error {
	return errors.Join(s.unlink(), s.Listener.Close(), s.dir.Close())
}
