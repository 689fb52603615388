// SPDX-License-Identifier: Apache-2.0

package ask

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func TestRequest(t *testing.T) {
	var got Request
	verbs := map[string]Verb{"add": func(_ context.Context, r Request) (any, error) { got = r; return "done", nil }}
	var out bytes.Buffer
	err := run([]string{
		"add", "--conf-dir", "/c", "--bin-dir", "/b", "--cache-dir", "/k", "--id", "one", "--netns", "/n", "--ifname", "eth0", "--network", "a,b,c",
		"--args", "A=1;B=x=y", "--capabilities", `{"n":9007199254740993}`, "--valid", `[{"containerID":"one","ifname":"eth0"}]`,
	}, &out, verbs)
	if err != nil || out.String() != "\"done\"\n" {
		t.Errorf("%v, %s", err, &out)
	}
	want := Request{
		ConfDir: "/c", BinDir: "/b", CacheDir: "/k", ID: "one", Netns: "/n",
		Attachments:  []Attachment{{"a", "eth0"}, {"b", "eth1"}, {"c", "eth2"}},
		Args:         [][2]string{{"A", "1"}, {"B", "x=y"}},
		Capabilities: map[string]any{"n": json.Number("9007199254740993")},
		Valid:        []types.GCAttachment{{ContainerID: "one", IfName: "eth0"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestErrors(t *testing.T) {
	failure := errors.New("no luck")
	verbs := map[string]Verb{"add": func(context.Context, Request) (any, error) { return nil, failure }, "del": nil}
	for want, args := range map[string][]string{
		"no luck":               {"add", "--network", "a", "--args", "", "--capabilities", "", "--valid", ""},
		"a verb is missing":     {},
		`"ad" is unknown`:       {"ad"},
		"--network is missing":  {"add"},
		"is not KEY=VALUE":      {"add", "--network", "a", "--args", "A"},
		"--capabilities":        {"add", "--network", "a", "--capabilities", "{"},
		"--valid":               {"add", "--network", "a", "--valid", "{}"},
		`"more" is not a flag`:  {"add", "--network", "a", "more"},
		"flag provided but not": {"add", "--networks", "a"},
	} {
		if err := run(args, &bytes.Buffer{}, verbs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want it to have %q", args, err, want)
		}
	}
}
