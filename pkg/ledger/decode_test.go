// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// schema1 is what a daemon of schema 1 wrote: the record as of each step.
const schema1 = `{
  "schema": 1,
  "containerID": "c1",
  "state": "adding",
  "pod": {"namespace": "default", "name": "pod"},
  "netns": "/run/netns/x",
  "interface": "eth0",
  "attachments": [
    {"network": "default", "definition": "default", "interface": "eth0", "default": true, "config": "{\"name\":\"default\",\"plugins\":[{\"type\":\"t\"}]}",
     "capabilityArgs": {"vni": 9007199254740993}}
  ],
  "created": "2026-01-02T03:04:05Z",
  "updated": "2026-01-02T03:04:05Z"
}
{
  "schema": 1,
  "containerID": "c1",
  "state": "added",
  "pod": {"namespace": "default", "name": "pod"},
  "netns": "/run/netns/x",
  "interface": "eth0",
  "attachments": [
    {"network": "default", "definition": "default", "interface": "eth0", "default": true, "config": "{\"name\":\"default\",\"plugins\":[{\"type\":\"t\"}]}",
     "capabilityArgs": {"vni": 9007199254740993}, "result": {"cniVersion": "1.0.0"}}
  ],
  "created": "2026-01-02T03:04:05Z",
  "updated": "2026-01-02T03:04:06Z"
}
`

func TestRecordsOfSchema1AreRead(t *testing.T) {
	s, dir := open(t)
	path := filepath.Join(dir, "c1.json")
	must(t, os.WriteFile(path, []byte(schema1), 0o600))
	r, err := s.Load("c1")
	must(t, err)
	a := r.Attachments[0]
	if r.State != StateAdded || a.Config != `{"name":"default","plugins":[{"type":"t"}]}` || a.CapabilityArgs["vni"] != json.Number("9007199254740993") || len(a.Result) == 0 {
		t.Errorf("got %+v", r)
	}
	r.State = StateDeleting
	must(t, s.Save(r))
	again, err := s.Load("c1")
	must(t, err)
	if again.State != StateDeleting || again.Schema != SchemaVersion || again.Attachments[0].Config != a.Config {
		t.Errorf("after a save: %+v", again)
	}
}

// TestAStepAppendsWhatChanged follows a record through its life.
func TestAStepAppendsWhatChanged(t *testing.T) {
	s, dir := open(t)
	path := filepath.Join(dir, "c1.json")
	large := `{"name":"large","plugins":[{"type":"t","comment":"` + strings.Repeat("c", 100<<10) + `"}]}`
	r := sample("c1")
	for i := range 5 {
		r.Attachments = append(r.Attachments, Attachment{Network: "large", Definition: "ns/large", Interface: "net" + strconv.Itoa(i+1), Config: large})
	}
	must(t, s.Begin(r))
	begun := fileSize(t, path)
	if begun > 150<<10 {
		t.Errorf("a configuration of %d bytes that five attachments have makes a record of %d", len(large), begun)
	}
	check := func(what string, most int64) {
		t.Helper()
		if grown := fileSize(t, path) - begun; grown > most {
			t.Errorf("%s: the file has grown by %d bytes in all", what, grown)
		}
		got, err := s.Load("c1")
		must(t, err)
		want, err := json.Marshal(r)
		must(t, err)
		if have, _ := json.Marshal(got); string(have) != string(want) {
			t.Errorf("%s: got %s\nwant %s", what, cut(have), cut(want))
		}
	}
	check("begun", 0)
	r.Attachments[1].Result = json.RawMessage(`{"cniVersion":"1.0.0"}`)
	must(t, s.Save(r))
	check("a result", 1<<10)
	r.State = StateAdded
	must(t, s.Save(r))
	loaded, err := s.Load("c1")
	must(t, err)
	r = loaded
	r.Attachments = append(r.Attachments, Attachment{Network: "hot", Definition: "hot", Interface: "hot0", Config: `{"name":"hot","plugins":[{"type":"t"}]}`, HotPlugged: true})
	must(t, s.Save(r))
	check("one more attachment, by a daemon that read the record", 3<<10)
	r.Attachments = append(r.Attachments[:2], r.Attachments[3:]...)
	r.State, r.Netns = StateDeleting, "/elsewhere"
	must(t, s.Save(r))
	check("one less", 4<<10)
	r.Attachments[0], r.Attachments[1] = r.Attachments[1], r.Attachments[0]
	must(t, s.Save(r))
	check("another order", 4<<10)
}

// TestRecordsOfMultusAreRead reads what Multus keeps of a container (RES-05).
func TestRecordsOfMultusAreRead(t *testing.T) {
	s, dir := open(t)
	const cached = `[{"Conf":{},"Bytes":"e30=","Name":"a","ifnameRequest":"","MasterPlugin":true},{"Bytes":"e30=","ifnameRequest":"net7"}]`
	must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "c1"), []byte(cached), 0o600))
	delegates, err := s.LoadMultus("c1")
	if err != nil || len(delegates) != 2 || delegates[0].Name != "a" || string(delegates[1].Bytes) != "{}" {
		t.Errorf("got %+v, %v", delegates, err)
	}
}

// TestSmallFilesAreReadAsLargeOnes decodes what is written of a sandbox that is
// attached, plugged and deleted, and each beginning of it, both ways.
func TestSmallFilesAreReadAsLargeOnes(t *testing.T) {
	s, dir := open(t)
	r := sample("c1")
	must(t, s.Begin(r))
	r.State = StateAdded
	r.Attachments[0].CapabilityArgs = map[string]any{"vni": json.Number("9007199254740993")}
	must(t, s.Save(r))
	second := r.Attachments[0]
	second.Interface, second.HotPlugged, second.Args = "net9", true, [][2]string{{"a", "b"}}
	r.Attachments, r.StatusDue = append(r.Attachments, second), true
	must(t, s.Save(r))
	r.Attachments, r.State = r.Attachments[1:], StateDeleting
	must(t, s.Save(r))
	content, err := os.ReadFile(filepath.Join(dir, "c1.json"))
	must(t, err)
	for _, whole := range [][]byte{content, []byte(schema1)} {
		for n := range len(whole) + 1 {
			small, errSmall := decodeFile("c1", bytes.NewReader(whole[:n]), int64(n))
			large, errLarge := decodeFile("c1", bytes.NewReader(whole[:n]), smallFile+1)
			if (errSmall == nil) != (errLarge == nil) || small.steps != large.steps || small.base != large.base || !reflect.DeepEqual(small.record, large.record) {
				t.Fatalf("the first %d bytes: at once %+v, %v; by parts %+v, %v", n, small.record, errSmall, large.record, errLarge)
			}
		}
	}
	if r, _ := decodeFile("c1", bytes.NewReader(content), int64(len(content))); r.steps != 3 || len(r.record.Attachments) != 1 {
		t.Errorf("%d steps, and the record %+v", r.steps, r.record)
	}
}

func cut(b []byte) string { return string(b[:min(len(b), 400)]) }

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func TestARecordOverTheLimitIsNotWritten(t *testing.T) {
	s, dir := open(t)
	s.Bound(64 << 10)
	r := sample("c1")
	r.Attachments[0].Config = `{"name":"x","plugins":[{"type":"t","comment":"` + strings.Repeat("c", 65<<10) + `"}]}`
	if err := s.Begin(r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Begin: %v", err)
	}
	nothingButDirectories(t, dir)
	r = sample("c1")
	must(t, s.Begin(r))
	r.Attachments[0].Result = json.RawMessage(`"` + strings.Repeat("r", maxResult) + `"`)
	if err := s.Save(r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Save: %v", err)
	}
	if got, err := s.Load("c1"); err != nil || got.Attachments[0].Result != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestHostileFilesCostNoMultipleOfTheirSize reads what costs a decoder of whole
// documents a hundred times its length (SEC-07).
func TestHostileFilesCostNoMultipleOfTheirSize(t *testing.T) {
	const size = 9 << 20
	head := `{"schema":1,"containerID":"c1","state":"added","attachments":[`
	fill := func(element string) string { return strings.Repeat(element, size/len(element)) }
	for name, content := range map[string]string{
		"attachments":     head + fill("{},") + "{}]}",
		"arguments":       head + `{"interface":"eth0","config":"{}","args":[` + fill("[],") + "[]]}]}",
		"capabilities":    head + `{"interface":"eth0","config":"{}","capabilityArgs":{"a":[` + fill("{},") + "{}]}}]}",
		"fields":          `{"schema":1,` + fill(`"a":{},`) + `"b":0}`,
		"configurations":  `{"schema":2,"configs":[` + fill(`"",`) + `""]}`,
		"one long string": `{"schema":1,"containerID":"` + fill("c") + `"}`,
		"lists":           fill("["),
		"documents":       fill("{}\n"),
		"zeros":           strings.Repeat("\x00", size),
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := open(t)
			must(t, os.WriteFile(filepath.Join(dir, "c1.json"), []byte(content), 0o600))
			must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "c2"), []byte("["+strings.TrimPrefix(content, head)), 0o600))
			before := allocated()
			var damaged *DamagedError
			if _, err := s.Load("c1"); !errors.As(err, &damaged) {
				t.Errorf("got %.200v", err)
			}
			if _, err := s.LoadMultus("c2"); !errors.As(err, &damaged) {
				t.Errorf("as Multus' record: got %.200v", err)
			}
			if cost := allocated() - before; cost > 4*size {
				t.Errorf("%d bytes cost %d", size, cost)
			}
		})
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestWhatIsSetAsideIsBounded(t *testing.T) {
	s, dir := open(t)
	for i := range maxAsideFiles + 20 {
		id := "c" + strconv.Itoa(i)
		must(t, os.WriteFile(filepath.Join(dir, id+".json"), []byte("no record"), 0o600))
		var damaged *DamagedError
		if _, err := s.Load(id); !errors.As(err, &damaged) {
			t.Fatalf("got %v", err)
		}
		if i%2 == 0 {
			must(t, s.Remove(id))
		}
	}
	files, err := s.asideFiles()
	must(t, err)
	kept, marks := 0, 0
	for _, f := range files {
		if f.size > 0 {
			kept++
		}
		if !f.settled {
			marks++
		}
	}
	if kept > maxAsideFiles || marks != maxAsideFiles/2+10 {
		t.Errorf("%d files are kept, and %d of them are of containers that were not deleted", kept, marks)
	}
	again, err := Open(filepath.Dir(dir), s.log)
	must(t, err)
	var damaged *DamagedError
	if _, err := again.Load("c1"); !errors.As(err, &damaged) {
		t.Errorf("a container whose DEL is due: %v", err)
	}
}

func TestALinkIsSetAside(t *testing.T) {
	s, dir := open(t)
	for id, target := range map[string]string{"c1": "/etc/hostname", "c2": "nowhere", "c3": "c4.json"} {
		must(t, os.Symlink(target, filepath.Join(dir, id+".json")))
		var damaged *DamagedError
		if _, err := s.Load(id); !errors.As(err, &damaged) {
			t.Errorf("%s: got %v", id, err)
		}
	}
	nothingButDirectories(t, dir)
}
