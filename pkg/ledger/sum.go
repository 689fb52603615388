// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"
	"encoding/json"
	"hash/maphash"
)

var seed = maphash.MakeSeed()

// summer makes the sum by which it is seen whether something has changed since
// it was written. It takes each field by its type: encoding all of a record for
// it, at every step, takes longer than to write the step.
type summer struct{ maphash.Hash }

func newSummer() *summer {
	s := &summer{}
	s.SetSeed(seed)
	return s
}

// number and texts are told apart from their neighbours by their lengths.
func (s *summer) number(n uint64) {
	var b [8]byte
	_, _ = s.Write(binary.LittleEndian.AppendUint64(b[:0], n)) // it cannot fail
}

func (s *summer) texts(all ...string) {
	for _, text := range all {
		s.number(uint64(len(text)))
		_, _ = s.WriteString(text)
	}
}

func (s *summer) flags(all ...bool) {
	for _, flag := range all {
		if flag {
			_ = s.WriteByte(1)
		} else {
			_ = s.WriteByte(0)
		}
	}
}

func (s *summer) args(args [][2]string) {
	s.number(uint64(len(args)))
	for _, pair := range args {
		s.texts(pair[0], pair[1])
	}
}

// sumOf is the sum of an attachment's document (TestSumsSeeEveryField).
func sumOf(d *attachmentDocument) (uint64, error) {
	s := newSummer()
	s.texts(d.Network, d.Definition, d.Interface, d.Of, d.Selected, string(d.State), d.Resource, string(d.DeviceInfo), string(d.Result))
	s.flags(d.Default, d.HotPlugged, d.Unanswered, d.Cached, d.Auxiliary, d.Args != nil, d.DefaultRoute != nil)
	s.number(uint64(d.Config)) //nolint:gosec // numbers of configurations begin at 0
	s.args(d.Args)
	s.number(uint64(len(d.DefaultRoute)))
	for _, gateway := range d.DefaultRoute {
		s.texts(string(gateway))
	}
	if len(d.CapabilityArgs) > 0 {
		data, err := json.Marshal(d.CapabilityArgs)
		if err != nil {
			return 0, err
		}
		s.texts(string(data))
	}
	return s.Sum64(), nil
}

// sumOfFields is the sum of a record's own fields, but for what every step has
// anyway.
func sumOfFields(r *Record) uint64 {
	s := newSummer()
	s.texts(r.ContainerID, r.Pod.Namespace, r.Pod.Name, r.Pod.UID, r.Netns, r.NetnsDir, r.BootID, r.NodeStart, r.Interface)
	s.flags(r.StatusDue)
	s.number(uint64(r.Schema)) //nolint:gosec // schemas begin at 1
	s.number(r.NetnsInode)
	s.number(r.NetnsCookie)
	s.number(uint64(r.Created.UnixNano()))
	s.args(r.Args)
	return s.Sum64()
}
