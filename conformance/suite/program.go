// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"
	"os"
)

// program is the suite's own program, by its path. What the cases give a subject
// to execute may be a link to it.
type program struct {
	path string
	info os.FileInfo
}

// thisProgram is the program of this process. One without a path, or that is gone
// already, has no info and is not looked at.
func thisProgram() program {
	path, err := os.Executable()
	if err != nil {
		return program{}
	}
	p := program{path: path}
	running, err := os.Stat("/proc/self/exe")
	if now, found := os.Stat(path); err == nil && found == nil && os.SameFile(running, now) {
		p.info = running
	}
	return p
}

// replaced says that another file stands at the program's path now: from then on
// cases fail for no fault of the subject.
func (p program) replaced() error {
	if p.info == nil {
		return nil
	}
	now, err := os.Stat(p.path)
	if err == nil && os.SameFile(now, p.info) {
		return nil
	}
	return fmt.Errorf("%s was replaced or removed while it judged, so the run ends here; judge with a copy of it where it is built anew meanwhile", p.path)
}
