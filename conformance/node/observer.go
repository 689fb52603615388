// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/fakes/delegate"
)

// Observation is what an observer saw of a path.
type Observation = delegate.Observation

// Observer is another process that looks at a path all the time.
type Observer struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

// Observe starts an observer of a path, which need not exist yet, and returns
// when it looks.
func (n *Node) Observe(_ context.Context, path string) *Observer {
	ginkgo.GinkgoHelper()
	cmd := delegate.Observer(n.options.FakeDelegate, path)
	stdin, err := cmd.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	stdout, err := cmd.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(cmd.Start()).To(Succeed())
	o := &Observer{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
	n.AtEnd(func() { _ = cmd.Process.Kill() })
	_, err = o.out.ReadString('\n')
	Expect(err).NotTo(HaveOccurred())
	return o
}

// Stop ends the observer and returns what it saw.
func (o *Observer) Stop() Observation {
	ginkgo.GinkgoHelper()
	Expect(o.stdin.Close()).To(Succeed())
	var seen Observation
	Expect(json.NewDecoder(o.out).Decode(&seen)).To(Succeed())
	Expect(o.cmd.Wait()).To(Succeed())
	return seen
}
