// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/thicket-cni/thicket/conformance/node"
)

// everybodysLogs are where every program may write what it does.
const everybodysLogs = "file /var/log/*"

// changedFile is a file in a difference of snapshots: its path, and what comes before
// its permissions, "-" for a regular one.
var changedFile = regexp.MustCompile(`^[+-] (file (.*?) ([A-Za-z]+|-)[r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-])(?: |$)`)

// idShown is how much of a container's id a file's name has that is named after it,
// as people and programs cut them.
const idShown = 12

// isLog reports whether a line of a difference is of a log, which counts as no change:
// a regular file, or a link to one as some libraries keep for the newest. A file that
// is named after a container that is gone is not: nobody would write to it again, and
// there would be one more with each container.
func isLog(line string, logs, gone []string) bool {
	m := changedFile.FindStringSubmatch(line)
	if m == nil || m[3] != "-" && m[3] != "L" || !slices.ContainsFunc(logs, func(pattern string) bool { return node.Matches(pattern, m[1]) }) {
		return false
	}
	return !slices.ContainsFunc(gone, func(id string) bool { return strings.Contains(m[2], id[:min(idShown, len(id))]) })
}

// living are the attachments of containers that were asked for, by the last command
// of each.
type living struct {
	mu  sync.Mutex
	all map[string]map[string]bool
}

// asked notes a command for an attachment.
func (l *living) asked(command, id, ifName string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch command {
	case "ADD":
		if l.all == nil {
			l.all = map[string]map[string]bool{}
		}
		if l.all[id] == nil {
			l.all[id] = map[string]bool{}
		}
		l.all[id][ifName] = true
	case "DEL":
		delete(l.all[id], ifName)
	}
}

// gone are the containers of which every attachment was deleted.
func (l *living) gone() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(l.all)), func(id string) bool { return len(l.all[id]) > 0 })
}
