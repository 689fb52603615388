// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// outcome is what came of a request.
type outcome struct {
	// what is the command, of a hot-plug "hot-plug ADD".
	what  string
	began time.Time
	ok    bool
	// code is the CNI error's, 0 where none came.
	code uint
	// text says what came instead of a success.
	text string
	// scripted means that the answer tells of a delegate that was told to fail.
	scripted bool
	// late means that the client gave up waiting.
	late bool
}

// maxText bounds what a violation quotes, in bytes.
const maxText = 400

// shortened is the beginning of a text, on one line.
func shortened(text []byte) string {
	return strings.Join(strings.Fields(string(text[:min(len(text), maxText)])), " ")
}

// shim executes the shim as a container runtime does.
func (c *chaos) shim(command string, env map[string]string, config []byte) outcome {
	ctx, cancel := context.WithTimeout(c.ctx, expect.RuntimeDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.e.Target.ShimPath())
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(config), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	o := outcome{what: command, began: time.Now()}
	err := cmd.Run()
	switch o.late = errors.Is(ctx.Err(), context.DeadlineExceeded); {
	case o.late:
		o.text = fmt.Sprintf("the shim did not end within %s", expect.RuntimeDeadline)
	case err != nil:
		o.scripted = bytes.Contains(stdout.Bytes(), []byte(scriptedFailure))
		o.code, o.text = codeIn(stdout.Bytes()), fmt.Sprintf("%v, %s %s", err, shortened(stdout.Bytes()), shortened(stderr.Bytes()))
	case command == "ADD" && !resultIn(stdout.Bytes()):
		o.text = "success without a result: " + shortened(stdout.Bytes())
	default:
		o.ok = true
	}
	return o
}

// codeIn is the code of a CNI error, 0 where there is none.
func codeIn(body []byte) uint {
	var e types.Error
	if json.Unmarshal(body, &e) != nil {
		return 0
	}
	return e.Code
}

// resultIn reports whether there is a result with an interface or an address.
func resultIn(body []byte) bool {
	var r struct {
		Interfaces []any `json:"interfaces"`
		IPs        []any `json:"ips"`
	}
	return json.Unmarshal(body, &r) == nil && len(r.Interfaces)+len(r.IPs) > 0
}

// delegate posts a hot-plug's request as a controller does.
func (c *chaos) delegate(r *api.Request) outcome {
	ctx, cancel := context.WithTimeout(c.ctx, expect.RuntimeDeadline)
	defer cancel()
	o := outcome{what: "hot-plug " + r.Env["CNI_COMMAND"], began: time.Now()}
	body, err := json.Marshal(r)
	if err != nil {
		o.text = err.Error()
		return o
	}
	a, err := thick.Do(ctx, c.e.Socket(), http.MethodPost, api.MultusDelegateAPIEndpoint, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
	switch o.late = errors.Is(ctx.Err(), context.DeadlineExceeded); {
	case o.late:
		o.text = fmt.Sprintf("no answer within %s", expect.RuntimeDeadline)
	case err != nil:
		o.text = "no answer: " + strings.TrimSpace(err.Error())
	case !a.OK():
		o.code, o.text = codeIn(a.Body), fmt.Sprintf("status %d, %s", a.Status, shortened(a.Body))
	default:
		o.ok = true
	}
	return o
}
