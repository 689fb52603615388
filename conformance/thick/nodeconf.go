// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
)

// FollowLimit is how long a daemon may take to follow a change of the default
// network's configuration.
const FollowLimit = 10 * time.Second

// Stamp identifies a version of a file: its inode, size and times.
func Stamp(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	var content string
	switch {
	case info.Mode().IsRegular():
		data, readErr := os.ReadFile(path)
		content, err = string(data), readErr
	case info.Mode()&fs.ModeSymlink != 0:
		content, err = os.Readlink(path)
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%s %d:%d inode %d written %s %q", info.Mode(), st.Uid, st.Gid, st.Ino, info.ModTime(), content), err
}

// nodeConfFile is the configuration that a daemon writes for the runtime.
const nodeConfFile = "00-multus.conf"

// loadable are the extensions of files that a container runtime loads.
var loadable = []string{".conf", ".conflist", ".json"}

// NodeNetwork writes the default network's file into the node's CNI
// configuration directory, whole, as a careful network agent does.
func (e *Env) NodeNetwork(file, configList string) {
	ginkgo.GinkgoHelper()
	node.ReplaceFile(filepath.Join(e.CNIConfDir, file), []byte(configList))
}

// NodeConf is the daemon's file as a container runtime reads it.
func (e *Env) NodeConf() (data []byte, fields map[string]any, err error) {
	if data, err = os.ReadFile(filepath.Join(e.CNIConfDir, nodeConfFile)); err != nil {
		return nil, nil, err
	}
	return data, fields, json.Unmarshal(data, &fields)
}

// AwaitNodeConf waits for the daemon's file, and then as long as a daemon may
// take to make a file that another one left its own: until it is not the one
// with the given stamp any more. It returns the stamp of the file that it found.
func (e *Env) AwaitNodeConf(ctx context.Context, former string) string {
	ginkgo.GinkgoHelper()
	path := filepath.Join(e.CNIConfDir, nodeConfFile)
	Eventually(func() error { _, _, err := e.NodeConf(); return err }).WithContext(ctx).
		WithTimeout(FollowLimit).WithPolling(node.PollInterval).Should(Succeed(), "the daemon's CNI configuration")
	still := func() []string {
		if now, err := Stamp(path); err == nil && now != former {
			return nil
		}
		return []string{path}
	}
	// A daemon may also leave a file that is right already as it is.
	_ = node.Await(still, 3*time.Second)
	now, err := Stamp(path)
	Expect(err).NotTo(HaveOccurred())
	return now
}

// NodeCapabilities are those that the daemon's file declares, sorted.
func (e *Env) NodeCapabilities() ([]string, error) {
	_, fields, err := e.NodeConf()
	if err != nil {
		return nil, err
	}
	var names []string
	declared, _ := fields["capabilities"].(map[string]any)
	for name, enabled := range declared {
		if enabled == true {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// confReader reads the daemon's file all the time, as a runtime might at any
// moment, and has the kernel tell what is done to the directory.
type confReader struct {
	reads    int
	problems []string
	stop     chan struct{}
	done     chan struct{}
	watcher  *fsnotify.Watcher
	watched  chan []string
}

// ReadNodeConf starts a confReader. absent says whether there may be no file.
func (e *Env) ReadNodeConf(absent bool) *confReader {
	ginkgo.GinkgoHelper()
	w, err := fsnotify.NewWatcher()
	Expect(err).NotTo(HaveOccurred())
	e.AtEnd(func() { _ = w.Close() })
	Expect(w.Add(e.CNIConfDir)).To(Succeed())
	r := &confReader{stop: make(chan struct{}), done: make(chan struct{}), watcher: w, watched: make(chan []string, 1)}
	go func() { r.watched <- badEvents(w) }()
	go func() {
		defer close(r.done)
		for len(r.problems) == 0 {
			select {
			case <-r.stop:
				return
			default:
			}
			r.reads++
			data, fields, err := e.NodeConf()
			switch {
			case errors.Is(err, fs.ErrNotExist) && absent:
			case err != nil:
				r.problems = append(r.problems, fmt.Sprintf("read %d: %v: %q", r.reads, err, data))
			case fields["type"] == nil || fields["name"] == nil:
				r.problems = append(r.problems, fmt.Sprintf("read %d: no name or no type: %q", r.reads, data))
			}
		}
	}()
	return r
}

// badEvents lists the ways of writing that a reader may catch half-done, even
// if this one did not, until the watcher is closed.
func badEvents(w *fsnotify.Watcher) (bad []string) {
	for event := range w.Events {
		name := filepath.Base(event.Name)
		switch {
		case name == nodeConfFile && event.Has(fsnotify.Write):
			bad = append(bad, name+" was written in place")
		case event.Has(fsnotify.Create|fsnotify.Write) && name < "10" && name != nodeConfFile && slices.Contains(loadable, filepath.Ext(name)):
			bad = append(bad, name+" is in the making, and a runtime would load it")
		}
	}
	return slices.Compact(bad)
}

// End stops the reader; the case fails when it saw anything but whole files.
func (r *confReader) End(e *Env) {
	ginkgo.GinkgoHelper()
	close(r.stop)
	<-r.done
	Expect(r.problems).To(BeEmpty(), "what a reader of %s saw", nodeConfFile)
	Expect(r.watcher.Close()).To(Succeed())
	Expect(<-r.watched).To(BeEmpty(), "how %s is written", nodeConfFile)
	e.Notef("%s: read %d times while it changed", nodeConfFile, r.reads)
}
