// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/pkg/foreign"
)

// chainedName is what another program calls FileName when it puts a plugin of
// its own behind the shim: a list has an extension of its own.
var chainedName = strings.TrimSuffix(FileName, filepath.Ext(FileName)) + ".conflist"

// listKeys belong to the list in a configuration list, and so to whoever made
// the list.
var listKeys = []string{"name", "cniVersion"}

// edited finds what another program made of the generated file: plugins behind
// the shim, under either name, or further keys (RES-12). It returns the path of
// that file, "" when there is none, and what has to be written there, nil when
// the shim's part is as it has to be.
func (m *Manager) edited(content []byte) (path string, update []byte) {
	if m.o.File != Auto {
		return "", nil
	}
	for _, name := range []string{FileName, chainedName} {
		path := filepath.Join(m.o.ConfigDir, name)
		data, err := foreign.ReadFile(path, maxFile, foreign.FollowLinks)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || slices.Equal(data, content) {
			return "", nil
		}
		// A runtime loads the first one that there is.
		update, ours := merged(data, content)
		if !ours {
			return "", nil
		}
		return path, update
	}
	return "", nil
}

// merged returns an edited configuration with the shim's part as it is wanted,
// nil when that is so already. It is not ours when the shim does not come first.
func merged(data, content []byte) (update []byte, ours bool) {
	var list, wanted map[string]any
	if json.Unmarshal(data, &list) != nil || json.Unmarshal(content, &wanted) != nil {
		return nil, false
	}
	part := list
	plugins, isList := list["plugins"].([]any)
	if isList {
		if len(plugins) == 0 {
			return nil, false
		}
		part, _ = plugins[0].(map[string]any)
		for _, key := range listKeys {
			delete(wanted, key)
		}
	}
	if part["type"] != wanted["type"] {
		return nil, false
	}
	if !isList && !samePart(part, wanted) {
		return nil, false // nothing stands behind it
	}
	if samePart(part, wanted) {
		return nil, true
	}
	for _, key := range confKeys() {
		delete(part, key)
	}
	for key, value := range wanted {
		part[key] = value
	}
	update, err := json.MarshalIndent(list, "", "  ")
	return append(update, '\n'), err == nil
}

// samePart reports whether all keys of a generated configuration are as wanted.
func samePart(part, wanted map[string]any) bool {
	return !slices.ContainsFunc(confKeys(), func(key string) bool {
		_, isWanted := wanted[key]
		return !reflect.DeepEqual(part[key], wanted[key]) && (isWanted || !slices.Contains(listKeys, key))
	})
}

// confKeys are the keys that a generated configuration may have.
func confKeys() []string {
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[conf]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		keys = append(keys, name)
	}
	return keys
}
