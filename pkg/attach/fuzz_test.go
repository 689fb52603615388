// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// FuzzDeletable draws a pod, its definitions and a hot-plug from a seed. What
// ADD accepts DEL has to delete, and what it refuses leaves nothing (SEC-10).
func FuzzDeletable(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newDrawnWorld(t, rand.New(rand.NewPCG(seed, 1)))
		w.addAndDelete(t)
	})
}

// cniVersions are those in which a plugin may answer.
var cniVersions = []string{"0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// FuzzResult has a delegate print anything at ADD. The ADD fails with a CNI
// error and leaves nothing; or the status can be published, CHECK and DEL can be
// carried out, also by another daemon from its record, and DEL leaves nothing
// (SEC-08).
func FuzzResult(f *testing.F) {
	const alone = 128
	for i, printed := range []string{
		`{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}],"routes":[{"gw":"10.0.0.1"}]}`,
		`{"cniVersion":"1.1.0","interfaces":[{"name":"net1","sandbox":"/proc/self/ns/net","mac":"02:00:00:00:00:01","mtu":9000,"socketPath":"/s","pciID":"0"},{"name":"br0"}],` +
			`"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1","interface":0},{"address":"fd00::2/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1","mtu":1,"table":5,"scope":0}],"dns":{"nameservers":["10.0.0.1"]}}`,
		`{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.2/24","gateway":"10.0.0.1","routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00::2/64"},"dns":{}}`,
		`{"cniVersion":"0.4.0","interfaces":[{"name":"net1","sandbox":"x"}],"ips":[{"version":"4","address":"10.0.0.2/24","interface":0}]}`,
		`{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24","interface":7}]}`, `{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24","interface":-1}]}`,
		`{"cniVersion":"1.0.0","ips":[null]}`, `{"cniVersion":"1.0.0","interfaces":[null],"routes":[null]}`, `{"cniVersion":"1.0.0","ips":[{}]}`,
		`{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.2/24","routes":[null]}}`, `{"cniVersion":"0.2.0","ip4":{}}`, `{"cniVersion":"0.3.1","ips":[{"version":"6","address":"10.0.0.2/24"}]}`,
		`{"cniVersion":"1.1.0","routes":[{"dst":"0.0.0.0/0","gw":"fd00::1"},{}]}`, `{"cniVersion":"1.1.0","interfaces":[{"name":"\u0000","sandbox":"\ud800"}]}`,
		`{}`, `null`, `[]`, ``, `x`, `{"cniVersion":"9.9.9"}`, `{"cniVersion":1}`, `{"cniVersion":"1.0.0","CNIVersion":"0.2.0","ips":{},"IPs":[]}`, "\xff",
	} {
		f.Add([]byte(printed), uint8(i), i%4 == 3, i%2 == 0)
		f.Add([]byte(printed), uint8(4), false, true)
		for version := range cniVersions {
			f.Add([]byte(printed), uint8(alone+version), false, true)
		}
	}
	f.Fuzz(func(t *testing.T, printed []byte, version uint8, fails, restarts bool) {
		w := newWorld(t)
		w.annotations[network.NetworksAnnotation] = "odd@net1"
		plugins := `{"type":"a"},{"type":"b"}`
		if version >= alone { // no other plugin reads what it prints
			plugins = `{"type":"a"}`
		}
		w.definitions["odd"] = fmt.Sprintf(`{"cniVersion":%q,"name":"odd","plugins":[%s]}`, cniVersions[int(version%alone)%len(cniVersions)], plugins)
		w.node.prints, w.node.fails = printed, fails
		w.addPrinted(t, restarts)
	})
}

// addPrinted attaches the pod, with another daemon for what follows if it is to
// be so.
func (w *drawnWorld) addPrinted(t *testing.T, restarts bool) {
	t.Helper()
	r := &Request{ContainerID: "c1", Netns: "/proc/self/ns/net", Interface: "sandbox0", Pod: ledger.Pod{Namespace: "ns", Name: "p"}}
	story := fmt.Sprintf("printed %q", w.node.prints)
	if _, err := w.engine.Add(t.Context(), r); err != nil {
		var cni *types.Error
		if !errors.As(err, &cni) || cni.Msg == "" {
			t.Errorf("ADD: %v is no CNI error; %s", err, story)
		}
		w.expectNothing(t, story)
		return
	}
	if w.node.fails {
		t.Errorf("ADD succeeds though a plugin failed; %s", story)
	}
	w.expectStatus(t, story)
	if restarts {
		w.start(t)
	}
	if err := w.engine.Check(t.Context(), r); err != nil {
		t.Errorf("CHECK of what ADD accepted: %v; %s", err, story)
	}
	if err := w.engine.Del(t.Context(), r); err != nil {
		t.Errorf("DEL of what ADD accepted: %v; %s", err, story)
	}
	w.expectNothing(t, story)
}

// expectStatus asserts that the published status can be read, that one element is
// the default one, and that none has an address without a value.
func (w *drawnWorld) expectStatus(t *testing.T, story string) {
	t.Helper()
	text, err := json.Marshal(w.status)
	if err != nil {
		t.Fatalf("the status cannot be encoded: %v; %s", err, story)
	}
	defaults := 0
	for _, s := range w.status {
		if s.Default {
			defaults++
		}
		for _, ip := range s.IPs {
			if net.ParseIP(ip) == nil {
				t.Errorf("%q is no address in the status %s; %s", ip, text, story)
			}
		}
	}
	if defaults != 1 {
		t.Errorf("%d elements of the status %s are the default one; %s", defaults, text, story)
	}
}
