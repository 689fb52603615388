// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// difference is what there is to do for a sandbox to have what its pod's
// annotation asks for (HOT-09). The numbers are indexes of the record's
// attachments and of the annotation's elements.
type difference struct {
	detach, attach []int
	// refused says of elements why nothing is done for them.
	refused []string
}

// owned reports whether an attachment is the annotation's to detach. What came
// by a request, by the node's configuration or from a Multus is not.
func owned(a *ledger.Attachment) bool { return a.Selected != "" && a.Of == "" }

// differ compares the annotation's elements with a sandbox's attachments. Each
// element has at most one attachment, and keeps it under whatever interface name it
// has, unless it has to give that away: places in the annotation mean nothing.
func differ(elements []network.Element, attachments []ledger.Attachment) difference {
	m := matching{elements: elements, attachments: attachments, of: map[int]int{}, has: map[int]bool{}, blocked: map[int]bool{}}
	named := func(e *network.Element) bool { return e.Interface != "" }
	unnamed := func(e *network.Element) bool { return e.Interface == "" }
	m.pair(named, func(e *network.Element, a *ledger.Attachment) bool { return e.Interface == a.Interface })
	m.pair(unnamed, func(e *network.Element, a *ledger.Attachment) bool { return e.Digest == a.Selected && !m.givenAway(a) })
	m.pair(unnamed, func(_ *network.Element, a *ledger.Attachment) bool { return a.Selected == "" })
	m.pair(unnamed, func(_ *network.Element, a *ledger.Attachment) bool { return !m.givenAway(a) })

	m.block()

	var d difference
	for at := range attachments {
		a := &attachments[at]
		switch {
		case m.has[at] || !owned(a):
		case a.DefaultRoute != nil:
			d.refused = append(d.refused, fmt.Sprintf("%s from %s has the pod's default route and stays; only a new pod is without it", a.Interface, a.Definition))
		default:
			d.detach = append(d.detach, at)
		}
	}
	for n := range elements {
		if why := m.judge(n, d.detach); why != "" {
			d.refused = append(d.refused, why)
		} else if _, matched := m.of[n]; !matched && !m.blocked[n] && m.free(n) {
			d.attach = append(d.attach, n)
		}
	}
	return d
}

// matching pairs elements with attachments.
type matching struct {
	elements    []network.Element
	attachments []ledger.Attachment
	// of is the attachment of an element; has tells which have an element.
	of  map[int]int
	has map[int]bool
	// blocked are the elements that wait for a deletion.
	blocked map[int]bool
}

// pair gives each element of a kind that has none the first attachment of its
// network that fits.
func (m *matching) pair(kind func(*network.Element) bool, fits func(*network.Element, *ledger.Attachment) bool) {
	for n := range m.elements {
		e := &m.elements[n]
		if _, matched := m.of[n]; matched || !kind(e) {
			continue
		}
		for at := range m.attachments {
			a := &m.attachments[at]
			if m.has[at] || a.Default || a.Auxiliary || a.Of != "" || a.State != "" || a.Definition != e.Definition || !fits(e, a) {
				continue
			}
			m.of[n], m.has[at] = at, true
			break
		}
	}
}

// givenAway reports whether an attachment has to leave its interface name, which was
// asked for, to an element of another network: kept, it would keep that one from being
// attached for ever. A name that nobody asked for (net1) stays with what has it.
func (m *matching) givenAway(a *ledger.Attachment) bool {
	return owned(a) && a.DefaultRoute == nil && !automaticName.MatchString(a.Interface) &&
		slices.ContainsFunc(m.elements, func(e network.Element) bool { return e.Interface == a.Interface })
}

// automaticName is the name of an interface for which the annotation has none.
var automaticName = regexp.MustCompile(`^net[0-9]+$`)

// block has elements wait for what is left of them: an attachment that could
// neither be made nor be deleted. Attached under one more name each time, a
// network whose plugin fails at ADD and at DEL would take every address of its
// pool, and all that a record can hold.
func (m *matching) block() {
	waited := map[int]bool{}
	for n := range m.elements {
		if _, matched := m.of[n]; matched {
			continue
		}
		e := &m.elements[n]
		for at := range m.attachments {
			a := &m.attachments[at]
			if a.State != "" && owned(a) && a.Definition == e.Definition && a.Selected == e.Digest && !waited[at] {
				m.blocked[n], waited[at] = true, true
				break
			}
		}
	}
}

// judge says why nothing can be done for an element; "" when it is attached
// already as it asks, or can be.
func (m *matching) judge(n int, leaving []int) string {
	e := &m.elements[n]
	at, matched := m.of[n]
	switch {
	case matched && m.attachments[at].Selected != "" && m.attachments[at].Selected != e.Digest:
		return fmt.Sprintf("what is asked of %s has changed, which a running pod cannot follow: %s stays as it is; take the element out and put it in again, or make a new pod",
			e.Definition, m.attachments[at].Interface)
	case matched:
		return ""
	case e.DefaultRoute:
		return fmt.Sprintf("%s is to have the default route, which a running pod keeps: it is not attached; make a new pod", e.Definition)
	}
	if at := m.at(e.Interface); at >= 0 && !slices.Contains(leaving, at) {
		return fmt.Sprintf("%s is asked for as %s, which is taken by %s: it is not attached", e.Definition, e.Interface, m.attachments[at].Definition)
	}
	return ""
}

// free reports whether the interface that an element asks for, if any, is not
// there, or not any more.
func (m *matching) free(n int) bool { return m.at(m.elements[n].Interface) < 0 }

// at is the attachment under an interface name, -1 for none, or for one that a
// request of somebody else has left unfinished: attaching takes that away.
func (m *matching) at(ifName string) int {
	if ifName == "" {
		return -1
	}
	rec := ledger.Record{Attachments: m.attachments}
	at := rec.Find(ifName)
	if at >= 0 && m.attachments[at].State != "" && !owned(&m.attachments[at]) {
		return -1
	}
	return at
}
