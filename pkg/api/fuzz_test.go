// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"testing"
)

// FuzzPending records any DEL: what is accepted is read back as it was, from
// one file in the directory and nowhere else (SHIM-07, EP-08).
func FuzzPending(f *testing.F) {
	f.Add("DEL", "c1", "eth0", []byte(`{"cniVersion":"1.1.0"}`))
	f.Add("ADD", "c1", "eth0", []byte(nil))
	f.Add("DEL", "../c1", "eth0", []byte("x"))
	f.Add("DEL", "c1", "a/b", []byte("\xff"))
	f.Fuzz(func(t *testing.T, command, container, ifName string, config []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "pending")
		r := &Request{Env: map[string]string{"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": ifName}, Config: config}
		err := RecordPending(dir, r)
		if entries, _ := os.ReadDir(parent); len(entries) > 1 {
			t.Fatalf("%d entries beside the directory", len(entries)-1)
		}
		if err != nil {
			return
		}
		paths, err := PendingFiles(dir)
		if err != nil || len(paths) != 1 {
			t.Fatalf("files %q, %v", paths, err)
		}
		back, err := ReadPending(paths[0])
		if err != nil || back.Env["CNI_CONTAINERID"] != container || back.Env["CNI_IFNAME"] != ifName || string(back.Config) != string(config) {
			t.Errorf("read back %+v, %v", back, err)
		}
	})
}

// FuzzPendingFile reads any file as a pending DEL: it is refused, or it is the
// DEL of the attachment that the file is named after.
func FuzzPendingFile(f *testing.F) {
	f.Add([]byte(`{"env":{"CNI_COMMAND":"DEL","CNI_CONTAINERID":"c1","CNI_IFNAME":"eth0"}}`))
	f.Add([]byte(`{"env":{"CNI_COMMAND":"ADD","CNI_CONTAINERID":"c1","CNI_IFNAME":"eth0"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "c1:eth0.json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ReadPending(path)
		if err == nil && (r.Env["CNI_COMMAND"] != "DEL" || r.Env["CNI_CONTAINERID"] != "c1" || r.Env["CNI_IFNAME"] != "eth0") {
			t.Errorf("%+v was accepted", r.Env)
		}
	})
}

// FuzzAnswer reads any answer: what both readers accept, they read alike.
func FuzzAnswer(f *testing.F) {
	for text := range answers {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := readAnswer(textproto.NewReader(bufio.NewReader(bytes.NewReader(data))))
		if err != nil {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), &http.Request{Method: http.MethodPost})
		if err != nil || resp.StatusCode < 200 || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil && (resp.StatusCode != a.status || !bytes.Equal(body, a.body)) {
			t.Errorf("read %d %q, the library reads %d %q", a.status, a.body, resp.StatusCode, body)
		}
	})
}
