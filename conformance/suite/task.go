// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// TaskOptions is what RunTask needs.
type TaskOptions struct {
	// Name is the task's name in Child.Tasks.
	Name string
	// Command makes the command that runs this program as a child; see Options.
	Command func(ctx context.Context) *exec.Cmd
	// WorkDir is the task's directory.
	WorkDir string
	// Environment is added to the child's.
	Environment []string
	// Progress is where the child says what it is doing; nil means nowhere.
	Progress io.Writer
}

// RunTask runs something that is not a case in a child process with namespaces
// of its own, and decodes its answer into a value.
func RunTask(ctx context.Context, o TaskOptions, answer any) error {
	result := filepath.Join(o.WorkDir, "result.json")
	cmd := o.Command(ctx)
	cmd.Stdout, cmd.Stderr = io.Discard, o.Progress
	runErr := runIsolated(cmd, o.Name, append([]string{envResult + "=" + result, envWorkDir + "=" + o.WorkDir}, o.Environment...))
	removed := removeCgroup(o.WorkDir)
	data, err := os.ReadFile(result)
	if err != nil {
		return errors.Join(fmt.Errorf("the task %s gave no result", o.Name), context.Cause(ctx), runErr)
	}
	return errors.Join(json.Unmarshal(data, answer), removed)
}
