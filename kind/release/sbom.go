// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill is a bill of materials in the making.
type bill struct {
	programs []cdx.Component
	modules  map[string]cdx.Component
	needs    map[string][]string
}

// billOf is the bill of materials of all programs below a directory, by what the
// toolchain recorded in them, as CycloneDX has it. It has neither a time nor a
// random number.
func billOf(dir, version string) ([]byte, error) {
	b := &bill{modules: map[string]cdx.Component{}, needs: map[string][]string{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return b.add(path, filepath.ToSlash(name), version)
	})
	if err != nil {
		return nil, err
	}
	if len(b.programs) == 0 {
		return nil, fmt.Errorf("%s has no program", dir)
	}
	return b.encode(version)
}

// add adds a program and the modules that it is made of.
func (b *bill) add(path, name, version string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	ref := "program:" + name
	b.programs = append(b.programs, cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeApplication, Name: name, Version: version,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Properties: &[]cdx.Property{{Name: "go:package", Value: info.Path}, {Name: "go:version", Value: info.GoVersion}},
	})
	b.needs[ref] = append(b.needs[ref], b.module("std", strings.TrimPrefix(info.GoVersion, "go"), ""))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.needs[ref] = append(b.needs[ref], b.module(m.Path, m.Version, m.Sum))
	}
	return nil
}

// module adds a module once, and returns how it is referred to.
func (b *bill) module(path, version, sum string) string {
	purl := "pkg:golang/" + path + "@" + version
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	b.modules[purl] = c
	return purl
}

func (b *bill) encode(version string) ([]byte, error) {
	const root = "thicket"
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: root, Type: cdx.ComponentTypeApplication, Name: "thicket", Version: version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}}
	components := slices.Clone(b.programs)
	var programs []string
	for _, p := range b.programs {
		programs = append(programs, p.BOMRef)
	}
	for _, purl := range slices.Sorted(maps.Keys(b.modules)) {
		components = append(components, b.modules[purl])
	}
	needs := []cdx.Dependency{{Ref: root, Dependencies: &programs}}
	for _, ref := range slices.Sorted(maps.Keys(b.needs)) {
		of := b.needs[ref]
		needs = append(needs, cdx.Dependency{Ref: ref, Dependencies: &of})
	}
	bom.Components, bom.Dependencies = &components, &needs
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	return out.Bytes(), err
}
