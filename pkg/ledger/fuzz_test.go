// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/utils"
)

// FuzzRecord loads any file as a container's record: it is used, or it is set
// aside below the ledger; nothing else is touched either way (DEL-07).
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"schema":1,"containerID":"c1","state":"added","pod":{"namespace":"n","name":"p"},"netns":"/x","interface":"eth0",`+
		`"attachments":[{"network":"a","definition":"a","interface":"eth0","default":true,"config":"{}","result":{"cniVersion":"1.1.0"}}]}`), "c1")
	f.Add([]byte(`{"schema":2,"containerID":"c1","state":"added"}`), "c1")
	f.Add([]byte(`{"schema":1,"containerID":"c2","state":"adding","attachments":[{"interface":"../x","config":"{}"}]}`), "c2")
	f.Add([]byte(``), "c1")
	f.Add([]byte(`null`), "../c1")
	f.Add([]byte(`{"schema":1,"containerID":"c","state":"deleting","created":"x"}`), "c")
	f.Fuzz(func(t *testing.T, content []byte, id string) {
		outside, s := fuzzStore(t)
		if utils.ValidateContainerID(id) == nil && len(id) < 200 {
			must(t, os.WriteFile(filepath.Join(s.path, id+suffix), content, 0o600))
		}
		before := tree(t, outside, s.path)
		r, err := s.Load(id)
		var damaged *DamagedError
		switch {
		case err == nil && r.ContainerID != id:
			t.Errorf("the record of %q came for %q", r.ContainerID, id)
		case err == nil:
			must(t, s.Save(r))
		case errors.As(err, &damaged):
			if _, again := s.Load(id); !errors.As(again, &damaged) {
				t.Errorf("a damaged record is forgotten: %v", again)
			}
		}
		if utils.ValidateContainerID(id) == nil && len(id) < 200 {
			must(t, s.Remove(id))
			if _, err := s.Load(id); !errors.Is(err, ErrNotFound) {
				t.Errorf("after Remove: %v", err)
			}
		}
		if after := tree(t, outside, s.path); !slices.Equal(before, after) {
			t.Errorf("outside the ledger: before %q, after %q", before, after)
		}
	})
}

// FuzzMultusCache reads any file as Multus' record of a container: it is used
// with a configuration for each delegate, or set aside (RES-05).
func FuzzMultusCache(f *testing.F) {
	f.Add([]byte(`[{"Conf":{},"Bytes":"e30=","Name":"a","ifnameRequest":"","MasterPlugin":true},{"Bytes":"e30=","ifnameRequest":"net7","ipRequest":["10.0.0.1/24"]}]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`null`))
	f.Add([]byte(`[{"Bytes":"%%"}]`))
	f.Add([]byte(`[{"Name":"x"}]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, s := fuzzStore(t)
		const id = "c1"
		must(t, os.WriteFile(filepath.Join(filepath.Dir(s.path), id), content, 0o600))
		delegates, err := s.LoadMultus(id)
		for _, d := range delegates {
			if err != nil || len(d.Bytes) == 0 {
				t.Errorf("delegate %+v, error %v", d, err)
			}
		}
		must(t, s.Remove(id))
		if _, err := s.LoadMultus(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("after Remove: %v", err)
		}
	})
}

func fuzzStore(t *testing.T) (string, *Store) {
	t.Helper()
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "canary.json"), []byte("x"), 0o600))
	s, err := Open(filepath.Join(outside, "cni"), slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(t, err)
	t.Cleanup(func() { _, _ = s.root.Close(), s.cni.Close() })
	return outside, s
}

// tree lists what is below dir and not below the ledger.
func tree(t *testing.T, dir, except string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if path == except {
			return fs.SkipDir
		}
		if err == nil && !e.IsDir() {
			data, readErr := os.ReadFile(path)
			all, err = append(all, path+" "+string(data)), readErr
		}
		return err
	}))
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
