// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile socket: the socket itself, and the run directory.
var mutants = []mutant.Mutant{
	{Name: "socket-and-tcp", Cases: []string{"SOCK-01"}, Daemon: alsoOnTCP,
		Fault: "the daemon listens on a TCP port beside its socket"},
	{Name: "socket-and-abstract", Cases: []string{"SOCK-01"}, Daemon: alsoAbstract,
		Fault: "the daemon listens on an abstract unix socket beside its own"},
	{Name: "socket-behind-symlink", Cases: []string{"SOCK-01"}, Daemon: behindSymlink,
		Fault: "the socket's path is a symlink to the socket"},
	{Name: "socket-0666", Cases: []string{"SOCK-02"}, Daemon: socketChmod(0o666),
		Fault: "the socket has mode 0666"},
	{Name: "socket-0660", Cases: []string{"SOCK-02"}, Daemon: socketChmod(0o660),
		Fault: "the socket is open to its group"},
	{Name: "socket-of-other-group", Cases: []string{"SOCK-02"}, Daemon: socketChown(0, 1),
		Fault: "the socket belongs to another group than root"},
	{Name: "socket-chmod-after-listen", Cases: []string{"SOCK-04"}, Daemon: lateChmod(0o777),
		Fault: "the socket is made with the umask's mode and gets its own a moment later"},
	{Name: "socket-group-for-a-moment", Cases: []string{"SOCK-04"}, Daemon: lateChmod(0o660),
		Fault: "the socket is open to its group until its mode is set"},
	{Name: "socket-stale-kept", Cases: []string{"SOCK-05"}, Unserved: true, Daemon: staleKept,
		Fault: "a socket that a crashed daemon left keeps the next one from starting"},
	{Name: "socket-stale-owner-kept", Cases: []string{"SOCK-05"}, Daemon: staleOwnerKept,
		Fault: "the new socket gets owner and mode of the stale one that it replaces"},
	{Name: "socket-obstacle-removed", Cases: []string{"SOCK-06"}, Daemon: obstacleRemoved(func(os.FileMode) bool { return true }),
		Fault: "whatever lies at the socket's path is removed"},
	{Name: "socket-obstacle-symlink-removed", Cases: []string{"SOCK-06"}, Daemon: obstacleRemoved(isSymlink),
		Fault: "a symlink at the socket's path is removed as if it were a stale socket"},
	{Name: "socket-obstacle-silent", Cases: []string{"SOCK-06"}, Daemon: refusesSilently,
		Fault: "the daemon does not say why it refuses to start"},
	{Name: "socket-second-takes-over", Cases: []string{"SOCK-10"}, Daemon: secondTakesOver,
		Fault: "a second daemon moves the first one's run directory away and serves in its place"},
	{Name: "socket-second-removes", Cases: []string{"SOCK-10"}, Daemon: secondRemoves,
		Fault: "a second daemon removes the first one's socket before it finds out that it must not start"},
	{Name: "socket-old-removes-new", Cases: []string{"SOCK-11"}, Daemon: oldRemovesNew,
		Fault: "a daemon that ends removes what lies at the socket's path, whosever it is"},
	{Name: "configuration-old-removes-new", Cases: []string{"SOCK-11"}, Daemon: oldRemovesConfiguration,
		Fault: "a daemon that ends removes the CNI configuration that a newer one has written"},
}

func alsoOnTCP(a *seam.Assembly) {
	a.OnListening(func() error { return keepListening("tcp", "127.0.0.1:0") })
}

func alsoAbstract(a *seam.Assembly) {
	a.OnListening(func() error { return keepListening("unix", "@thicket") })
}

func keepListening(network, address string) error {
	l, err := net.Listen(network, address) //nolint:noctx // the daemon's end closes it
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

func behindSymlink(a *seam.Assembly) {
	a.OnListening(func() error {
		actual := filepath.Join(a.Config.SocketDir, "real.sock")
		return errors.Join(os.Rename(a.Socket(), actual), os.Symlink("real.sock", a.Socket()))
	})
	a.OnEnd(func() error { return os.RemoveAll(a.Socket()) })
}

func socketChmod(mode os.FileMode) func(*seam.Assembly) {
	return func(a *seam.Assembly) { a.OnListening(func() error { return os.Chmod(a.Socket(), mode) }) }
}

func socketChown(uid, gid int) func(*seam.Assembly) {
	return func(a *seam.Assembly) { a.OnListening(func() error { return os.Chown(a.Socket(), uid, gid) }) }
}

// lateChmod leaves the wrong mode for as long as a busy machine may take from
// listen to chmod.
func lateChmod(mode os.FileMode) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnListening(func() error {
			err := os.Chmod(a.Socket(), mode)
			time.Sleep(2 * time.Millisecond)
			return errors.Join(err, os.Chmod(a.Socket(), 0o600))
		})
	}
}

func oldRemovesConfiguration(a *seam.Assembly) {
	a.OnEnd(func() error {
		_ = os.Remove(filepath.Join(a.Config.CNIConfigDir, "00-multus.conf"))
		return nil
	})
}

func staleKept(a *seam.Assembly) {
	a.OnStart(func() error {
		if _, err := os.Lstat(a.Socket()); err == nil {
			return errors.New(a.Socket() + ": address already in use")
		}
		return nil
	})
}

func staleOwnerKept(a *seam.Assembly) {
	var stale os.FileInfo
	a.OnStart(func() error {
		stale, _ = os.Lstat(a.Socket())
		return nil
	})
	a.OnListening(func() error {
		if stale == nil {
			return nil
		}
		st := sysStat(stale)
		return errors.Join(os.Chown(a.Socket(), int(st.Uid), int(st.Gid)), os.Chmod(a.Socket(), stale.Mode().Perm()))
	})
}

func isSymlink(m os.FileMode) bool { return m&os.ModeSymlink != 0 }

func obstacleRemoved(which func(os.FileMode) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnStart(func() error {
			if info, err := os.Lstat(a.Socket()); err == nil && info.Mode().Type() != os.ModeSocket && which(info.Mode()) {
				return os.RemoveAll(a.Socket())
			}
			return nil
		})
	}
}

func refusesSilently(a *seam.Assembly) {
	a.Refusing = func(error) error { return errors.New("cannot start") }
}

func secondTakesOver(a *seam.Assembly) {
	a.OnStart(func() error {
		if _, err := os.Lstat(a.Socket()); err != nil {
			return nil //nolint:nilerr // nobody serves there
		}
		dir := filepath.Clean(a.Config.SocketDir)
		return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700))
	})
}

func secondRemoves(a *seam.Assembly) {
	a.OnStart(func() error {
		_ = os.Remove(a.Socket())
		return nil
	})
}

func oldRemovesNew(a *seam.Assembly) {
	a.OnEnd(func() error {
		_ = os.Remove(a.Socket())
		return nil
	})
}
