// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// Frozen is the state of a machine that has booted and waits for its job. Most of
// what a boot takes is the same each time, and emulated; a machine continues from
// there in a fraction of it. The boot's id is not part of the state: it does not
// exist before somebody asks for it. The disks that are written to are not mounted
// there, and what a job brings differs: the time, chance, and what is on the disks.
type Frozen struct{ initramfs, state string }

// incoming is qemu's argument for continuing from there.
func (f *Frozen) incoming() string { return fmt.Sprintf("exec:cat '%s'", f.state) }

// Freeze boots a machine, without a job, and keeps its state in Options.Dir.
func Freeze(ctx context.Context, o Options) (*Frozen, error) {
	initramfs, err := o.initramfs()
	if err != nil {
		return nil, err
	}
	f := &Frozen{initramfs: initramfs, state: filepath.Join(o.Dir, "state")}
	m, err := start(ctx, &o, initramfs)
	if err != nil {
		return nil, err
	}
	nothing := func(event.Event) {}
	defer m.CutPower(nothing)
	if _, err := m.Await(event.Ready, silence, nothing); err != nil {
		return nil, err
	}
	return f, m.freeze(f.state)
}

// freeze writes the machine's state to a file, by qemu's monitor
// (https://www.qemu.org/docs/master/interop/qmp-spec.html).
func (m *Machine) freeze(state string) error {
	conn, err := m.control.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, command := range []any{
		map[string]any{"execute": "qmp_capabilities"},
		map[string]any{"execute": "migrate-set-capabilities", "arguments": map[string]any{"capabilities": []any{map[string]any{"capability": "events", "state": true}}}},
		map[string]any{"execute": "migrate", "arguments": map[string]any{"uri": fmt.Sprintf("exec:cat > '%s'", state)}},
	} {
		if err := json.NewEncoder(conn).Encode(command); err != nil {
			return err
		}
	}
	return migrated(conn)
}

// migrated returns when the monitor says that the state is written, or why it is not.
func migrated(conn net.Conn) error {
	for answers := json.NewDecoder(conn); ; {
		var a struct {
			Error *struct{ Desc string } `json:"error"`
			Event string                 `json:"event"`
			Data  struct{ Status string }
		}
		if err := answers.Decode(&a); err != nil {
			return fmt.Errorf("the state of the machine: %w", err)
		}
		switch {
		case a.Error != nil:
			return errors.New("the state of the machine: " + a.Error.Desc)
		case a.Event == "MIGRATION" && a.Data.Status == "completed":
			return nil
		case a.Event == "MIGRATION" && a.Data.Status == "failed":
			return errors.New("the state of the machine could not be written")
		}
	}
}
