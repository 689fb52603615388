// SPDX-License-Identifier: Apache-2.0

package hollow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os/exec"
	"time"
)

// Program is a program of hollow nodes that runs.
type Program struct {
	cmd    *exec.Cmd
	client *rpc.Client
	stdin  io.Closer
}

// Start starts a program of hollow nodes; its complaints go to stderr. Stop, or the
// end of ctx, ends it.
func Start(ctx context.Context, command []string, stderr io.Writer) (*Program, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("a program of hollow nodes: %w", err)
	}
	return &Program{cmd: cmd, client: jsonrpc.NewClient(pipes{out, in}), stdin: in}, nil
}

// PID is the process's.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Open is Methods.Open.
func (p *Program) Open(ctx context.Context, a Access) (took []time.Duration, err error) {
	err = p.call(ctx, "Open", a, &took)
	return took, err
}

// Await is Methods.Await. The nodes look from when Await has returned and a later
// request of the same program has been answered; wait returns when all of them know.
func (p *Program) Await(ctx context.Context, d Definition) (wait func() (Known, error)) {
	var known Known
	wake := p.begin(ctx, "Await", d, &known)
	return func() (Known, error) {
		err := wake()
		return known, err
	}
}

// Attach is Methods.Attach.
func (p *Program) Attach(ctx context.Context, w Work) (took []time.Duration, err error) {
	err = p.call(ctx, "Attach", w, &took)
	return took, err
}

// Break is Methods.Break.
func (p *Program) Break(ctx context.Context) error {
	return p.call(ctx, "Break", struct{}{}, &struct{}{})
}

// Count is Methods.Count.
func (p *Program) Count(ctx context.Context) (t Traffic, err error) {
	err = p.call(ctx, "Count", struct{}{}, &t)
	return t, err
}

func (p *Program) call(ctx context.Context, method string, args, reply any) error {
	return p.begin(ctx, method, args, reply)()
}

// begin sends a request; wait waits for its answer.
func (p *Program) begin(ctx context.Context, method string, args, reply any) (wait func() error) {
	call := p.client.Go(serviceName+"."+method, args, reply, make(chan *rpc.Call, 1))
	return func() error {
		select {
		case <-call.Done:
			if call.Error != nil {
				return fmt.Errorf("hollow nodes: %s: %w", method, call.Error)
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Stop ends the program and its nodes.
func (p *Program) Stop() error {
	err := errors.Join(p.stdin.Close(), p.cmd.Wait())
	_ = p.client.Close() // it has noticed
	return err
}
