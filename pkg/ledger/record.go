// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/memo"
)

// SchemaVersion is the version of the file format that this package writes.
// A record of a later version is not understood and counts as damaged.
//
// Schema 1 had all of the record in each document, with each attachment's
// configuration. It is read still.
const SchemaVersion = 2

// State says how far the life of a sandbox's attachments has come.
type State string

const (
	// StateAdding is written before the first delegate runs: any of the
	// attachments may exist, so all of them have to be deleted after a crash.
	StateAdding State = "adding"
	// StateAdded is written when every delegate has succeeded.
	StateAdded State = "added"
	// StateDeleting is written when a DEL began; what is still listed has not
	// been deleted yet.
	StateDeleting State = "deleting"
)

// Pod is the identity of the pod that a sandbox belongs to.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// AttachmentState says how far a request about one attachment of a sandbox has
// come, where that is not the sandbox's own State (HOT-10).
type AttachmentState string

const (
	// AttachmentAdding is written before the delegates of a hot-plug run: the
	// attachment may exist, and is not the client's yet.
	AttachmentAdding AttachmentState = "adding"
	// AttachmentDeleting is written before the delegates of its DEL run.
	AttachmentDeleting AttachmentState = "deleting"
)

// Attachment is one network of a sandbox, as its delegates saw it at ADD.
type Attachment struct {
	// Network is the CNI network name.
	Network string `json:"network"`
	// Definition is the name that network-status shows: "namespace/name", or
	// the network name for a network that comes from a file.
	Definition string `json:"definition"`
	// Interface is the CNI_IFNAME of this attachment.
	Interface string `json:"interface"`
	// Of is the CNI_IFNAME of the ADD that it came with, where that is not the
	// record's: the container is attached more than once (ADD-17).
	Of string `json:"of,omitempty"`
	// Default marks the sandbox's default network.
	Default bool `json:"default,omitempty"`
	// HotPlugged marks an attachment that came through /delegate.
	HotPlugged bool `json:"hotPlugged,omitempty"`
	// Selected tells which element of the pod's annotation it comes from, by the
	// element's digest; empty for what the annotation does not ask for (HOT-09).
	Selected string `json:"selected,omitempty"`
	// State is empty for an attachment that is complete, or whose request is the
	// sandbox's own.
	State AttachmentState `json:"state,omitempty"`
	// Unanswered says that the client of a complete hot-plug may not know of it:
	// it will ask again.
	Unanswered bool `json:"unanswered,omitempty"`
	// Cached marks an attachment of a Multus that ran here before: libcni's cache
	// has it too, and libcni deletes it there.
	Cached bool `json:"cached,omitempty"`
	// Auxiliary marks the auxiliary chain: it has an interface name as every
	// attachment has, and no interface.
	Auxiliary bool `json:"auxiliary,omitempty"`
	// Config is the network configuration list, byte for byte as it was
	// used. A string, because a JSON encoder would re-indent embedded JSON.
	Config string `json:"config"`
	// Args are the CNI_ARGS of this attachment where they are not the record's; an
	// empty list is none, which is not the record's either.
	Args [][2]string `json:"args,omitzero"`
	// CapabilityArgs is the runtimeConfig by capability (CNI spec, section 3).
	CapabilityArgs map[string]any `json:"capabilityArgs,omitempty"`
	// DefaultRoute are the gateways of the sandbox's default route, when this
	// attachment has it by request; an empty list leaves them to the result.
	DefaultRoute []net.IP `json:"defaultRoute,omitzero"`
	// Resource is what Kubernetes gave the pod the attachment's device by; the
	// device itself is in Config and CapabilityArgs (NET-14).
	Resource string `json:"resource,omitempty"`
	// DeviceInfo describes the device, as of the NPWG device information
	// specification; absent when nobody described it.
	DeviceInfo json.RawMessage `json:"deviceInfo,omitempty"`
	// Result is what the delegates answered, absent until ADD succeeded.
	Result json.RawMessage `json:"result,omitempty"`
	// Parsed is Result as the daemon that attached it has it at hand, nil when
	// Result was read from a file. It is not to be changed: other copies of the record
	// share it.
	Parsed *types100.Result `json:"-"`
}

// Record is what the ledger knows of one sandbox.
type Record struct {
	Schema      int    `json:"schema"`
	ContainerID string `json:"containerID"`
	State       State  `json:"state"`
	Pod         Pod    `json:"pod"`
	// Netns is the path of the network namespace at ADD. A path alone can be
	// used again by another namespace, so NetnsInode is the inode that it had,
	// and NetnsCookie the number that the kernel gives to one namespace only.
	Netns       string `json:"netns"`
	NetnsInode  uint64 `json:"netnsInode,omitempty"`
	NetnsCookie uint64 `json:"netnsCookie,omitempty"`
	// NetnsDir identifies the directory of Netns at ADD: only there does a
	// missing entry mean that the namespace is gone (RES-09).
	NetnsDir string `json:"netnsDir,omitempty"`
	// BootID is the kernel's boot id at ADD: a record of another boot
	// describes namespaces that no longer exist.
	BootID string `json:"bootID,omitempty"`
	// NodeStart identifies the start of a node that is itself a container, and
	// starts again within one boot.
	NodeStart string `json:"nodeStart,omitempty"`
	// Interface is the CNI_IFNAME that the runtime asked for.
	Interface string `json:"interface"`
	// Args are the CNI_ARGS that every delegate got, in order.
	Args [][2]string `json:"args,omitempty"`
	// StatusDue says that the pod's network status has not been published since
	// the attachments changed (RES-14).
	StatusDue   bool         `json:"statusDue,omitempty"`
	Attachments []Attachment `json:"attachments"`
	Created     time.Time    `json:"created"`
	Updated     time.Time    `json:"updated"`

	// file is what the record's file has, nil when nobody knows.
	file *written
}

// Afresh returns a copy for another Store, where it begins a file of its own.
func (r *Record) Afresh() *Record {
	fresh := r.copied()
	fresh.file = nil
	return fresh
}

// copied returns a record whose attachments can be changed without changing r's.
func (r *Record) copied() *Record {
	own := *r
	own.Attachments = slices.Clone(r.Attachments)
	return &own
}

// Find returns the index of the attachment with the given interface name, or
// -1 when there is none. The auxiliary chain has no interface and is not found.
func (r *Record) Find(ifName string) int {
	for i := range r.Attachments {
		if r.Attachments[i].Interface == ifName && !r.Attachments[i].Auxiliary {
			return i
		}
	}
	return -1
}

// validate refuses a record that nothing can be done with. Configurations that are
// in checked have passed already; those that pass are added to it.
func (r *Record) validate(containerID string, checked map[string]bool) error {
	switch {
	case r.ContainerID != containerID:
		return fmt.Errorf("it is about container %q", r.ContainerID)
	case r.State != StateAdding && r.State != StateAdded && r.State != StateDeleting:
		return fmt.Errorf("state %q is unknown", r.State)
	}
	for _, a := range r.Attachments {
		if err := utils.ValidateInterfaceName(a.Interface); err != nil {
			return fmt.Errorf("interface %q of network %q: %w", a.Interface, a.Network, err)
		}
		if checked[a.Config] {
			continue
		}
		if err := checkList(a.Config); err != nil {
			return fmt.Errorf("the configuration of network %q: %w", a.Network, err)
		}
		checked[a.Config] = true
	}
	return nil
}

// checkList refuses what is not a network's configuration list: its DEL could
// never succeed (RES-16).
func checkList(config string) error {
	_, err := checkedLists.Of([]byte(config), func() (struct{}, error) { return struct{}{}, checkNew(config) })
	return err
}

var checkedLists memo.Memo[struct{}]

func checkNew(config string) error {
	var list struct {
		Plugins []struct {
			Type string `json:"type"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(config), &list); err != nil {
		return err
	}
	if len(list.Plugins) == 0 {
		return errors.New("it has no plugins")
	}
	for i, p := range list.Plugins {
		if p.Type == "" {
			return fmt.Errorf("plugin %d has no type", i+1)
		}
	}
	return nil
}
