// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Keys of the protocol do not come from the network's configuration (RT-06, RT-28,
// RT-29).
func TestKeysOfTheProtocolAreNotTheFiles(t *testing.T) {
	e := &Engine{exec: &Exec{}, binDirs: []string{filepath.Dir(plugin(t, ""))}}
	list, err := readList([]byte(`{"name":"n","cniVersion":"1.1.0","plugins":[{"type":"sick","capabilities":{"mac":true,"ips":true},"prevResult":{},
		"runtimeConfig":{"ips":["192.0.2.1/24"]},"cni.dev/attachments":[],"args":{"cni":{}},"cni.devil":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	own := []string{"args", "cni.devil", "cniVersion", "name", "type"}
	for more, c := range map[string]*delegateCall{
		"runtimeConfig":             {rt: &libcni.RuntimeConf{CapabilityArgs: map[string]any{"mac": "02:00:00:00:00:01"}}},
		"cni.dev/valid-attachments": {rt: &libcni.RuntimeConf{}, more: map[string]any{"cni.dev/valid-attachments": []any{}}},
	} {
		c.list = list
		_, stdin, err := e.prepare(c, list.Plugins[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(stdin, &keys); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(append(slices.Clone(own), more)))
		if got := slices.Sorted(maps.Keys(keys)); !slices.Equal(got, want) {
			t.Errorf("%s; want the keys %v", stdin, want)
		}
		if config := keys["runtimeConfig"]; config != nil && string(config) != `{"mac":"02:00:00:00:00:01"}` {
			t.Errorf("runtimeConfig is %s", config)
		}
	}
}

// A version that is not known is refused before a plugin runs (RT-09).
func TestUnknownVersions(t *testing.T) {
	for v, known := range map[string]bool{"": true, "0.2.0": true, "0.3.1": true, "1.1.0": true, "0.9.0": false, "9.9.0": false} {
		c := &delegateCall{list: &libcni.NetworkConfigList{CNIVersion: v}, at: &ledger.Attachment{}}
		err := c.supported()
		var own *types.Error
		if (err == nil) != known || !known && (!errors.As(err, &own) || own.Code != types.ErrIncompatibleCNIVersion) {
			t.Errorf("%q: %v", v, err)
		}
	}
}

// What a plugin gets where no result of its ADD is known is prepared like all
// else: keys of the protocol do not come from the configuration, and numbers keep
// their digits (RT-05, RT-28, RT-29).
func TestDeletedWithoutAResult(t *testing.T) {
	r := &pluginRecorder{answers: map[string][]answer{"DEL": {{}}, "CHECK": {{}}}}
	e := &Engine{exec: r, binDirs: likeBinDirs, cacheDir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	e.cni = libcni.NewCNIConfigWithCacheDir(nil, e.cacheDir, nil)
	c, err := e.call(&ledger.Record{ContainerID: "c"}, &ledger.Attachment{Network: "n", Interface: "net1",
		Config: `{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"a","prevResult":{"ips":[]},"RuntimeConfig":{"mac":"x"},"vni":9007199254740993}]}`}, "/n")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.check(t.Context(), c), e.del(t.Context(), c)); err != nil || len(r.calls) != 2 {
		t.Fatalf("%v, %d executions", err, len(r.calls))
	}
	for _, call := range r.calls {
		if want := `{"cniVersion":"1.0.0","name":"n","type":"a","vni":9007199254740993}`; call.Raw != want {
			t.Errorf("%s reads %s, want %s", call.Env["CNI_COMMAND"], call.Raw, want)
		}
	}
}
