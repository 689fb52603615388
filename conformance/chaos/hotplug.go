// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"

	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// plugState is what a hot-plug's client knows of it.
type plugState int

const (
	unplugged plugState = iota
	plugged
	// unsure means that a request was not answered with success. The client
	// repeats it, or asks for DEL. CHECK of the sandbox has to succeed meanwhile.
	unsure
)

// plug is one interface that comes and goes over /delegate.
type plug struct {
	state plugState
	// last is the command that was asked for last.
	last    string
	network network
}

// plugOrUnplug makes one request for one of the sandbox's hot-plugged
// interfaces.
func (s *slot) plugOrUnplug() {
	name := fmt.Sprintf("hot%d", s.random.IntN(2))
	p := s.plugs[name]
	if p == nil {
		p = &plug{}
		s.plugs[name] = p
	}
	command := "DEL"
	switch {
	case p.state == unplugged:
		command, p.network = "ADD", hotNetworks[s.random.IntN(len(hotNetworks))]
	case p.state == unsure && s.random.IntN(2) == 0:
		command = p.last // asked once more
	}
	r := expect.HotplugRequest(s.e, s.box, command, p.network.list(s.e))
	r.Env["CNI_IFNAME"] = name
	p.last = command
	o := s.delegate(r)
	o.what += " of " + name
	if !s.judge(o, away|readOnly, false) {
		p.state = unsure
		return
	}
	if command == "ADD" {
		p.state = plugged
		s.expectInterfaces("after the hot-plug's ADD")
		return
	}
	p.state = unplugged
	s.expectNone(name)
}

// expectNone asserts that an interface is gone.
func (s *slot) expectNone(name string) {
	for _, there := range s.box.InterfaceNames() {
		if there == name {
			s.violate("after the hot-plug's DEL the interface %s is still there", name)
		}
	}
}
