// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// publishedStatus is the content of a status file.
type publishedStatus struct {
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	UID       string          `json:"uid"`
	Networks  []NetworkStatus `json:"networks"`
}

// PublishStatus implements Cluster: it replaces status/<namespace>_<pod>.json
// atomically, so that a reader sees the old status or the new one. The status
// directory is made when it is missing.
func (d *Directory) PublishStatus(ctx context.Context, pod *Pod, status []NetworkStatus) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !ValidNamespace(pod.Namespace) || !ValidName(pod.Name) {
		return fmt.Errorf("status of pod %q/%q: these are not DNS-1123 names", pod.Namespace, pod.Name)
	}
	d.publishing.Lock()
	defer d.publishing.Unlock()
	dir := filepath.Join(d.dir, statusDir)
	if err := checkStatusDir(dir, true); err != nil {
		return err
	}
	// '_' is in no DNS-1123 name, so no two pods share a file.
	path := filepath.Join(dir, pod.Namespace+"_"+pod.Name+".json")
	content, err := encodeStatus(publishedStatus{pod.Namespace, pod.Name, pod.UID, status})
	if err != nil {
		return fmt.Errorf("status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return replace(filepath.Join(dir, ".publishing"), path, content)
}

// WithdrawStatus implements Cluster, whatever the status is.
func (d *Directory) WithdrawStatus(w Withdrawal) {
	defer w.done()
	pod := w.Pod
	if !ValidNamespace(pod.Namespace) || !ValidName(pod.Name) {
		return // nothing was published for it
	}
	d.publishing.Lock()
	defer d.publishing.Unlock()
	dir := filepath.Join(d.dir, statusDir)
	err := checkStatusDir(dir, false)
	if err == nil {
		err = os.Remove(filepath.Join(dir, pod.Namespace+"_"+pod.Name+".json"))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the network status of a deleted sandbox stays published", "pod", pod.Namespace+"/"+pod.Name, "error", err)
	}
}

// checkStatusDir makes the status directory when wanted, and refuses one that
// is a symlink: root would write wherever it points.
func checkStatusDir(dir string, wanted bool) error {
	if wanted {
		//nolint:gosec // readable by all, as the annotation it stands for is
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making the status directory: %w", err)
		}
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !wanted:
		return nil
	case err != nil:
		return fmt.Errorf("status directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory; remove it, it is made when it is needed", dir)
	}
	return nil
}

func encodeStatus(s publishedStatus) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return b.Bytes(), err
}

// replace writes content to temp, a new file, and renames it to path. What lies at
// temp is removed: what a crash left, or a link or pipe (SEC-15).
func replace(temp, path string, content []byte) error {
	err := os.Remove(temp)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing a pod's status: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644) // whatever the umask is
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("writing a pod's status: %w", err)
	}
	return nil
}
