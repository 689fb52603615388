// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// elementsOfText reads an annotation, "a" standing for ns/a.
func elementsOfText(t *testing.T, annotation string) []network.Element {
	t.Helper()
	p := network.NewPlanner(network.Options{}, nil)
	elements, err := p.Elements(&cluster.Pod{Namespace: "ns", Name: "p", Annotations: map[string]string{network.NetworksAnnotation: annotation}})
	if err != nil {
		t.Fatal(err)
	}
	return elements
}

// attachedBy is a sandbox that was attached by these annotations' elements, one
// each, as net1, net2 and so on.
func attachedBy(t *testing.T, annotations ...string) []ledger.Attachment {
	t.Helper()
	all := []ledger.Attachment{{Definition: "default", Interface: "eth0", Default: true}}
	for _, text := range annotations {
		e := elementsOfText(t, text)[0]
		a := ledger.Attachment{Definition: e.Definition, Interface: fmt.Sprintf("net%d", len(all)), Selected: e.Digest}
		if e.Interface != "" {
			a.Interface = e.Interface
		}
		all = append(all, a)
	}
	return all
}

func TestDiffer(t *testing.T) {
	const ips1, ips2 = `[{"name":"a","ips":["192.0.2.1/24"]}]`, `[{"name":"a","ips":["192.0.2.2/24"]}]`
	for _, tt := range []struct {
		name, annotation string
		attached         []string
		change           func([]ledger.Attachment) []ledger.Attachment
		want             string
		refused          string
	}{
		{"nothing", "", nil, nil, "[] []", ""},
		{"as it is", "a,b", []string{"a", "b"}, nil, "[] []", ""},
		{"another order", "b,a", []string{"a", "b"}, nil, "[] []", ""},
		{"added before", "c,a,b", []string{"a", "b"}, nil, "[] [0]", ""},
		{"removed before", "b", []string{"a", "b"}, nil, "[1] []", ""},
		{"all removed", "", []string{"a", "b"}, nil, "[1 2] []", ""},
		{"twice, one removed", "a", []string{"a", "a"}, nil, "[2] []", ""},
		{"once more", "a,a", []string{"a"}, nil, "[] [1]", ""},
		{"a name goes to another network", "a,b@x", []string{"a@x"}, nil, "[1] [0]", ""},
		{"a name that nobody asked for", "a,b@net1", []string{"a"}, nil, "[] []", "taken by ns/a"},
		{"two names are exchanged", "a@y,b@x", []string{"a@x", "b@y"}, nil, "[1 2] []", ""},
		{"one more that is named", "a,a@x", []string{"a"}, nil, "[] [1]", ""},
		{"its name is written down", "a@net1", []string{"a"}, nil, "[] []", ""},
		{"its name is left out", "a", []string{"a@x"}, nil, "[] []", ""},
		{"another name", "a@y", []string{"a@x"}, nil, "[1] [0]", ""},
		{"another network under the name", "b@x", []string{"a@x"}, nil, "[1] []", ""},
		{"parameters change", ips2, []string{ips1}, nil, "[] []", "net1 stays as it is"},
		{"with other parameters once more", `[{"name":"a","ips":["192.0.2.2/24"]},{"name":"a","ips":["192.0.2.1/24"]}]`, []string{ips1}, nil, "[] [0]", ""},
		{"two, one of which changes", `[{"name":"a"},{"name":"a","ips":["192.0.2.2/24"]}]`, []string{ips1, "a"}, nil, "[] []", "net1 stays as it is"},
		{"default-route is asked for", `[{"name":"a","default-route":["192.0.2.1"]}]`, nil, nil, "[] []", "not attached"},
		{"what has the default route is removed", "", []string{"a"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].DefaultRoute = []net.IP{}
			return all
		}, "[] []", "net1 from ns/a has the pod's default route"},
		{"a request's is not detached", "a", []string{"a", "b"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[2].Selected, all[2].HotPlugged = "", true
			return all
		}, "[] []", ""},
		{"a request's counts for an element", "b", []string{"b"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].Selected, all[1].HotPlugged = "", true
			return all
		}, "[] []", ""},
		{"a name that a request has", "a@net1", []string{"b"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].Selected, all[1].HotPlugged = "", true
			return all
		}, "[] []", "taken by ns/b"},
		{"the default network's name", "a@eth0", nil, nil, "[] []", "taken by default"},
		{"one that was not finished", "a", []string{"a"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].State = ledger.AttachmentDeleting
			return all
		}, "[1] []", ""},
		{"one that was not finished, and another of the network", "a,a", []string{"a"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].State = ledger.AttachmentDeleting
			return all
		}, "[1] [1]", ""},
		{"one that was not finished, under another name", "a@y", []string{"a@x"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].State = ledger.AttachmentAdding
			return all
		}, "[1] []", ""},
		{"of another ADD", "", []string{"a"}, func(all []ledger.Attachment) []ledger.Attachment {
			all[1].Of = "eth1"
			return all
		}, "[] []", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			attached := attachedBy(t, tt.attached...)
			if tt.change != nil {
				attached = tt.change(attached)
			}
			d := differ(elementsOfText(t, tt.annotation), attached)
			if got := fmt.Sprint(d.detach, d.attach); got != tt.want {
				t.Errorf("detach and attach %s, want %s", got, tt.want)
			}
			if got := strings.Join(d.refused, "; "); (tt.refused == "") != (got == "") || !strings.Contains(got, tt.refused) {
				t.Errorf("refused: %q, want %q", got, tt.refused)
			}
		})
	}
}

func TestNameFor(t *testing.T) {
	for _, tt := range []struct {
		annotation string
		element    int
		attached   []string
		want       string
	}{
		{"a", 0, nil, "net1"},
		{"a,b", 1, []string{"a"}, "net2"},
		{"b,a", 0, []string{"a"}, "net2"},
		{"a@x", 0, nil, "x"},
		{"a,b@net1", 0, nil, "net2"},
	} {
		r := &reconciling{elements: elementsOfText(t, tt.annotation)}
		if got := r.nameFor(&ledger.Record{Attachments: attachedBy(t, tt.attached...)}, tt.element); got != tt.want {
			t.Errorf("%s: element %d is %s, want %s", tt.annotation, tt.element, got, tt.want)
		}
	}
}
