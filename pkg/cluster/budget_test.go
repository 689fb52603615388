// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"
	"testing"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func definitionOf(name, version string, size int) *nadv1.NetworkAttachmentDefinition {
	return &nadv1.NetworkAttachmentDefinition{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: version},
		Spec:       nadv1.NetworkAttachmentDefinitionSpec{Config: strings.Repeat("c", size)},
	}
}

// TestDefinitionsAreRememberedWithinTheBudget fills a cache twice over, and asks
// for one that did not fit.
func TestDefinitionsAreRememberedWithinTheBudget(t *testing.T) {
	const most = 32 << 10
	c := newDefinitionCache(most)
	var all []any
	for i := range 64 {
		streamed, err := c.trim(definitionOf(fmt.Sprintf("d%d", i), "5", 1<<10))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, streamed)
	}
	if err := c.Replace(all, "10"); err != nil {
		t.Fatal(err)
	}
	if c.budget.kept != most || len(c.byName) != 64 {
		t.Fatalf("%d bytes of %d definitions are remembered", c.budget.kept, len(c.byName))
	}
	if d, sure := c.get(key{"ns", "d0"}, moment{}); !sure || len(d.Config) != 1<<10 {
		t.Errorf("one that fits: %+v, %v", d, sure)
	}
	if d, sure := c.get(key{"ns", "d63"}, moment{}); sure || d != nil {
		t.Errorf("one that does not fit: %+v, %v", d, sure)
	}
	c.confirm(key{"ns", "d63"}, definitionOf("d63", "5", 1<<10), moment{})
	if d, sure := c.get(key{"ns", "d63"}, moment{}); !sure || len(d.Config) != 1<<10 {
		t.Errorf("one that was asked for: %+v, %v", d, sure)
	}
	if _, sure := c.get(key{"ns", "d0"}, moment{}); !sure || c.budget.kept > most {
		t.Errorf("one that was used before went; %d bytes are kept", c.budget.kept)
	}
	if err := c.Add(definitionOf("large", "11", most)); err != nil {
		t.Fatal(err)
	}
	if _, sure := c.get(key{"ns", "large"}, moment{}); sure || c.budget.kept > most {
		t.Errorf("a large one is remembered; %d bytes are kept", c.budget.kept)
	}
	for i := range 64 {
		if err := c.Delete(definitionOf(fmt.Sprintf("d%d", i), "12", 0)); err != nil {
			t.Fatal(err)
		}
	}
	if c.budget.kept != 0 {
		t.Errorf("%d bytes are kept of nothing", c.budget.kept)
	}
}
