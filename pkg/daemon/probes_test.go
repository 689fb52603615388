// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// TestProbesFollowReadiness asks as a kubelet does: over TCP, on the loopback
// address and no other.
func TestProbesFollowReadiness(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	port := free.Addr().(*net.TCPAddr).Port
	g.Expect(free.Close()).To(Succeed())
	indicator := filepath.Join(dir, "ready")
	runDaemon(t, dir, fmt.Sprintf(`"clusterNetwork":"d","multusConfigFile":"","readinessindicatorfile":%q,"probePort":%d`, indicator, port))

	status := func(address, path string) func() int {
		return func() int {
			answer, err := http.Get(fmt.Sprintf("http://%s:%d%s", address, port, path))
			if err != nil {
				return 0
			}
			defer answer.Body.Close()
			return answer.StatusCode
		}
	}
	g.Eventually(status("127.0.0.1", "/healthz"), "10s").Should(Equal(http.StatusOK))
	g.Expect(status("127.0.0.1", "/readyz")()).To(Equal(http.StatusServiceUnavailable))
	g.Expect(status("127.0.0.1", "/cni")()).To(Equal(http.StatusNotFound))
	g.Expect(status("127.0.0.2", "/healthz")()).To(Equal(0))
	g.Expect(os.WriteFile(indicator, nil, 0o600)).To(Succeed())
	g.Eventually(status("127.0.0.1", "/readyz"), "10s").Should(Equal(http.StatusOK))
}
