// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
)

// podRef names a pod.
type podRef struct{ Namespace, Name, UID string }

// cluster is a directory of manifests, one object to a file:
// pod_<namespace>_<name>.json and definition_<namespace>_<name>.json. Status
// goes to status/<namespace>_<pod>.json.
type cluster struct {
	dir string
	// known is what a faulty one remembers.
	known map[string]*manifest
}

// largestManifest bounds what is read of one object, in bytes.
const largestManifest = 4 << 20

type manifest struct {
	Metadata struct {
		UID         string            `json:"uid"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Config string `json:"config"`
	} `json:"spec"`
}

var errAbsent = errors.New("absent")

// read reads one object. errAbsent says that the cluster does not have it; when
// the cluster itself is away the error asks the runtime to come again.
func (c *cluster) read(kind, namespace, name string) (*manifest, error) {
	if old := c.known[kind+name]; old != nil && broken("remembers-definitions") {
		return old, nil
	}
	data, err := readRegular(filepath.Join(c.dir, kind+"_"+namespace+"_"+name+".json"), largestManifest)
	if err != nil {
		if _, away := os.Stat(c.dir); away != nil {
			return nil, refuse(types.ErrTryAgainLater, "the cluster's directory %s is away", c.dir)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, errAbsent
		}
		return nil, refuse(types.ErrInvalidNetworkConfig, "%s %s/%s: %v", kind, namespace, name, err)
	}
	m := &manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, refuse(types.ErrInvalidNetworkConfig, "%s %s/%s is not a manifest in JSON", kind, namespace, name)
	}
	if broken("remembers-definitions") && kind == "definition" {
		c.known[kind+name] = m
	}
	return m, nil
}

// pod is the pod itself: one of the same name and another UID is another pod.
func (c *cluster) pod(p podRef) (*manifest, error) {
	if !label.MatchString(p.Namespace) || !subdomain.MatchString(p.Name) {
		return nil, refuse(types.ErrInvalidEnvironmentVariables, "CNI_ARGS names no pod: namespace %q, name %q", p.Namespace, p.Name)
	}
	m, err := c.read("pod", p.Namespace, p.Name)
	switch {
	case errors.Is(err, errAbsent):
		return nil, refuse(types.ErrUnknownContainer, "pod %s/%s does not exist", p.Namespace, p.Name)
	case err != nil:
		return nil, err
	case p.UID != "" && m.Metadata.UID != p.UID && !broken("any-pod-uid"):
		return nil, refuse(types.ErrUnknownContainer, "pod %s/%s has the UID %s, not %s", p.Namespace, p.Name, m.Metadata.UID, p.UID)
	}
	return m, nil
}

func (c *cluster) statusFile(p podRef) string {
	return filepath.Join(c.dir, "status", p.Namespace+"_"+p.Name+".json")
}

// publish replaces a pod's status; without elements it is taken away.
func (c *cluster) publish(p podRef, elements []element) error {
	if p.Name == "" {
		return nil
	}
	path := c.statusFile(p)
	if len(elements) == 0 {
		if broken("status-stays") {
			return nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"networks": elements})
	if err != nil {
		return err
	}
	return replaceFile(path, data, false)
}
