// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// install is what kubectl apply takes: a kustomization whose image is one digest.
func install(base string, image pinned) ([]byte, error) {
	fs := filesys.MakeFsInMemory()
	files, err := filepath.Glob(filepath.Join(base, "*"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := fs.WriteFile("/base/"+filepath.Base(file), content); err != nil {
			return nil, err
		}
	}
	overlay, err := yaml.Marshal(types.Kustomization{
		Resources: []string{"../base"},
		Images:    []types.Image{{Name: image.name, NewName: image.repository, Digest: image.digest}},
	})
	if err != nil {
		return nil, err
	}
	if err := fs.WriteFile("/release/kustomization.yaml", overlay); err != nil {
		return nil, err
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, "/release")
	if err != nil {
		return nil, err
	}
	content, err := made.AsYaml()
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(content, []byte(image.repository+"@"+image.digest)) {
		return nil, fmt.Errorf("nothing in %s has the image %s", base, image.name)
	}
	return content, nil
}

// pin is a manifest whose one image is a digest. The rest, comments included, stays
// as it is.
func pin(path string, image pinned) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	before := []byte(" image: " + image.name + "\n")
	if n := bytes.Count(content, before); n != 1 {
		return nil, fmt.Errorf("%s names the image %s %d times; want once, by this name alone", path, image.name, n)
	}
	return bytes.Replace(content, before, []byte(" image: "+image.repository+"@"+image.digest+"\n"), 1), nil
}
