// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// key names an attachment in names of links and files and in comments of rules,
// however long the network's name and the container's id are. Its three parts
// are of the network, the container and the interface.
type key string

func newKey(network, container, ifname string) key {
	return key(networkPart(network) + "." + digest(container, 16) + "." + digest(ifname, 8))
}

// networkPart is the part that all attachments of a network share.
func networkPart(network string) string { return digest(network, 8) }

func digest(text string, length int) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:length]
}

func (c *call) key() key { return newKey(c.conf.Name, c.env.container, c.env.ifname) }

// container is the part of the key that all interfaces of a container in the
// network share.
func (k key) container() string { return string(k)[:strings.LastIndexByte(string(k), '.')+1] }

// of reports whether the key is of an attachment to the network.
func (k key) of(network string) bool { return strings.HasPrefix(string(k), networkPart(network)+".") }

// stale reports whether a key is of an attachment to this network that is not
// among the valid ones.
func (c *call) stale(valid []attachment) func(key) bool {
	keep := map[key]bool{}
	for _, a := range valid {
		keep[newKey(c.conf.Name, a.ContainerID, a.IfName)] = true
	}
	return func(k key) bool { return k.of(c.conf.Name) && !keep[k] }
}
