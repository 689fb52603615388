// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The profile socket: the socket itself, and the run directory.
func init() {
	register(
		mutant{name: "socket-and-tcp", cases: []string{"SOCK-01"}, daemon: alsoOnTCP,
			fault: "the daemon listens on a TCP port beside its socket"},
		mutant{name: "socket-and-abstract", cases: []string{"SOCK-01"}, daemon: alsoAbstract,
			fault: "the daemon listens on an abstract unix socket beside its own"},
		mutant{name: "socket-behind-symlink", cases: []string{"SOCK-01"}, daemon: behindSymlink,
			fault: "the socket's path is a symlink to the socket"},
		mutant{name: "socket-0666", cases: []string{"SOCK-02"}, daemon: socketChmod(0o666),
			fault: "the socket has mode 0666"},
		mutant{name: "socket-0660", cases: []string{"SOCK-02"}, daemon: socketChmod(0o660),
			fault: "the socket is open to its group"},
		mutant{name: "socket-of-other-group", cases: []string{"SOCK-02"}, daemon: socketChown(0, 1),
			fault: "the socket belongs to another group than root"},
		mutant{name: "socket-chmod-after-listen", cases: []string{"SOCK-04"}, daemon: lateChmod,
			fault: "the socket is made with the umask's mode and gets its own a moment later"},
		mutant{name: "socket-stale-kept", cases: []string{"SOCK-05"}, unserved: true, daemon: staleKept,
			fault: "a socket that a crashed daemon left keeps the next one from starting"},
		mutant{name: "socket-stale-owner-kept", cases: []string{"SOCK-05"}, daemon: staleOwnerKept,
			fault: "the new socket gets owner and mode of the stale one that it replaces"},
		mutant{name: "socket-obstacle-removed", cases: []string{"SOCK-06"}, daemon: obstacleRemoved(func(os.FileMode) bool { return true }),
			fault: "whatever lies at the socket's path is removed"},
		mutant{name: "socket-obstacle-symlink-removed", cases: []string{"SOCK-06"}, daemon: obstacleRemoved(isSymlink),
			fault: "a symlink at the socket's path is removed as if it were a stale socket"},
		mutant{name: "socket-obstacle-silent", cases: []string{"SOCK-06"}, daemon: refusesSilently,
			fault: "the daemon does not say why it refuses to start"},
		mutant{name: "socket-second-takes-over", cases: []string{"SOCK-10"}, daemon: secondTakesOver,
			fault: "a second daemon moves the first one's run directory away and serves in its place"},
		mutant{name: "socket-second-removes", cases: []string{"SOCK-10"}, daemon: secondRemoves,
			fault: "a second daemon removes the first one's socket before it finds out that it must not start"},
		mutant{name: "socket-old-removes-new", cases: []string{"SOCK-11"}, daemon: oldRemovesNew,
			fault: "a daemon that ends removes what lies at the socket's path, whosever it is"},
	)
}

func alsoOnTCP(a *assembly) {
	a.onListening(func() error { return keepListening("tcp", "127.0.0.1:0") })
}

func alsoAbstract(a *assembly) {
	a.onListening(func() error { return keepListening("unix", "@thicket") })
}

func keepListening(network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return nil
}

func behindSymlink(a *assembly) {
	a.onListening(func() error {
		actual := filepath.Join(a.config.SocketDir, "real.sock")
		return errors.Join(os.Rename(a.socket(), actual), os.Symlink("real.sock", a.socket()))
	})
	a.onEnd(func() error { return os.RemoveAll(a.socket()) })
}

func socketChmod(mode os.FileMode) func(*assembly) {
	return func(a *assembly) { a.onListening(func() error { return os.Chmod(a.socket(), mode) }) }
}

func socketChown(uid, gid int) func(*assembly) {
	return func(a *assembly) { a.onListening(func() error { return os.Chown(a.socket(), uid, gid) }) }
}

// lateChmod leaves the wrong mode for as long as a busy machine may take from
// listen to chmod.
func lateChmod(a *assembly) {
	a.onListening(func() error {
		err := os.Chmod(a.socket(), 0o777)
		time.Sleep(2 * time.Millisecond)
		return errors.Join(err, os.Chmod(a.socket(), 0o600))
	})
}

func staleKept(a *assembly) {
	a.onStart(func() error {
		if _, err := os.Lstat(a.socket()); err == nil {
			return errors.New(a.socket() + ": address already in use")
		}
		return nil
	})
}

func staleOwnerKept(a *assembly) {
	var stale os.FileInfo
	a.onStart(func() error {
		stale, _ = os.Lstat(a.socket())
		return nil
	})
	a.onListening(func() error {
		if stale == nil {
			return nil
		}
		st := sysStat(stale)
		return errors.Join(os.Chown(a.socket(), int(st.Uid), int(st.Gid)), os.Chmod(a.socket(), stale.Mode().Perm()))
	})
}

func isSymlink(m os.FileMode) bool { return m&os.ModeSymlink != 0 }

func obstacleRemoved(which func(os.FileMode) bool) func(*assembly) {
	return func(a *assembly) {
		a.onStart(func() error {
			if info, err := os.Lstat(a.socket()); err == nil && info.Mode().Type() != os.ModeSocket && which(info.Mode()) {
				return os.RemoveAll(a.socket())
			}
			return nil
		})
	}
}

func refusesSilently(a *assembly) {
	a.refusing = func(error) error { return errors.New("cannot start") }
}

func secondTakesOver(a *assembly) {
	a.onStart(func() error {
		if _, err := os.Lstat(a.socket()); err != nil {
			return nil //nolint:nilerr // nobody serves there
		}
		dir := filepath.Clean(a.config.SocketDir)
		return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700))
	})
}

func secondRemoves(a *assembly) {
	a.onStart(func() error {
		_ = os.Remove(a.socket())
		return nil
	})
}

func oldRemovesNew(a *assembly) {
	a.onEnd(func() error {
		_ = os.Remove(a.socket())
		return nil
	})
}
