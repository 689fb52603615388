// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// statusDir is where the network status goes, below the directory of
// manifests. Only files directly in that directory are manifests, so what is
// written here is never read as one.
const statusDir = "status"

// Directory is a Cluster made of the manifests in a directory: files named
// *.yaml, *.yml or *.json that hold Pods (v1), NetworkAttachmentDefinitions
// (k8s.cni.cncf.io/v1) and Lists (v1) of them. Other kinds are passed over, so
// are files whose name begins with '.' or ends with '~', and subdirectories.
//
// Every look-up first re-reads what changed, so that a manifest written just
// before is seen (NET-13). A manifest that cannot be used is logged with file
// and line, once per change, and leaves out only the document that it is in.
// A namespace that a manifest does not give is "default".
//
// The network status of a pod is the file status/<namespace>_<pod>.json in the
// directory; the status directory is not scanned for manifests.
type Directory struct {
	dir string
	log *slog.Logger

	mu          sync.Mutex
	files       map[string]*manifest // by name in dir
	pods        map[key]*Pod
	definitions map[key]*Definition
	duplicates  map[string]bool // what has been said of objects defined twice
	waiting     string          // "" when dir could be read the last time
	ready       chan struct{}
	isReady     bool
	changes     *changes

	publishing sync.Mutex
}

type key struct{ namespace, name string }

// OpenDirectory returns the cluster in dir, which need not exist yet. When it
// exists it is read at once and errors in manifests are logged. It fails when
// dir can never become a directory of manifests.
func OpenDirectory(dir string, log *slog.Logger) (*Directory, error) {
	if dir == "" {
		return nil, fmt.Errorf("no directory of manifests is given; name one, it may be empty")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("directory of manifests %s: %w; write it from / on", dir, err)
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory; move it away, or name the directory that holds the manifests", abs)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{dir: abs, log: log, files: map[string]*manifest{}, ready: make(chan struct{}), changes: newChanges()}
	d.refresh()
	return d, nil
}

// Pod implements Cluster.
func (d *Directory) Pod(ctx context.Context, namespace, name string) (*Pod, error) {
	if err := d.lookUp(ctx); err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", namespace, name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.pods[key{namespace, name}]
	if !ok {
		return nil, fmt.Errorf("pod %s/%s: %w in the manifests of %s", namespace, name, ErrNotFound, d.dir)
	}
	own := *p
	own.Annotations = maps.Clone(p.Annotations)
	return &own, nil
}

// Definition implements Cluster.
func (d *Directory) Definition(ctx context.Context, namespace, name string) (*Definition, error) {
	if err := d.lookUp(ctx); err != nil {
		return nil, fmt.Errorf("network definition %s/%s: %w", namespace, name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.definitions[key{namespace, name}]
	if !ok {
		return nil, fmt.Errorf("network definition %s/%s: %w in the manifests of %s", namespace, name, ErrNotFound, d.dir)
	}
	own := *n
	own.Annotations = maps.Clone(n.Annotations)
	return &own, nil
}

// lookUp brings the index up to date. While the directory cannot be read its
// objects are unknown, which is another thing than not found.
func (d *Directory) lookUp(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if what := d.refresh(); what != "" {
		return fmt.Errorf("waiting for %s", what)
	}
	return nil
}

// Ready implements Cluster: it is closed when the directory was read for the
// first time, and stays so.
func (d *Directory) Ready() <-chan struct{} { return d.ready }

// Waiting implements Cluster. It looks at the directory anew.
func (d *Directory) Waiting() string { return d.refresh() }
