// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/pkg/api"
)

// socketTarget is a daemon that already runs, perhaps on a node in use.
type socketTarget struct {
	runDir   string
	features []spec.Feature
}

// probeTimeout bounds each question by which features are found.
const probeTimeout = 2 * time.Second

// SocketTarget is a daemon that already runs, by its run directory. Only what
// cannot hurt it is asked of it: cases that start or stop daemons, make
// sandboxes or burden a node are skipped with that reason. What it supports is
// found by asking. The error names the socket when nobody answers there.
func SocketTarget(runDir string) (Target, error) {
	runDir, err := filepath.Abs(runDir)
	if err != nil {
		return nil, err
	}
	t := &socketTarget{runDir: runDir}
	status, _, err := t.ask(http.MethodGet, api.MultusHealthAPIEndpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("target socket:%s: %w; is the daemon running, and is this its run directory?", runDir, err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("target socket:%s: %s answers %d", runDir, api.MultusHealthAPIEndpoint, status)
	}
	return t, t.probe()
}

// ask makes one request.
func (t *socketTarget) ask(method, endpoint string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), suite.Patience(probeTimeout))
	defer cancel()
	a, err := Do(ctx, api.SocketPath(t.runDir), method, endpoint, nil, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	return a.Status, a.Body, nil
}

// probe finds the features that can be found without harm.
func (t *socketTarget) probe() error {
	status, _, err := t.ask(http.MethodGet, api.MultusReadyAPIEndpoint, nil)
	if err != nil {
		return err
	}
	if status != http.StatusNotFound {
		t.features = append(t.features, FeatureReadyz)
	}
	if status, _, err = t.ask(http.MethodGet, api.MultusDelegateAPIEndpoint, nil); err != nil {
		return err
	}
	if status == http.StatusMethodNotAllowed {
		t.features = append(t.features, FeatureHotplug)
	}
	config, err := t.ShimConfig(Paths{RunDir: t.runDir, CNIVersion: "1.1.0"})
	if err != nil {
		return err
	}
	request, err := json.Marshal(&api.Request{Env: map[string]string{"CNI_COMMAND": "STATUS"}, Config: config})
	if err != nil {
		return err
	}
	status, body, err := t.ask(http.MethodPost, api.MultusCNIAPIEndpoint, request)
	if err != nil {
		return err
	}
	// Codes 50 and 51 are STATUS' own (CNI spec 1.1.0).
	if e := cniErrorIn(body); status == http.StatusOK || e != nil && (e.Code == 50 || e.Code == 51) {
		t.features = append(t.features, FeatureStatus)
	}
	return nil
}

// Name implements Target.
func (t *socketTarget) Name() string { return "socket:" + t.runDir }

// Features implements Target: what was found by asking.
func (t *socketTarget) Features() []spec.Feature { return t.features }

// Version implements Target: a running daemon does not tell.
func (t *socketTarget) Version(context.Context) (string, error) { return "", nil }

// ShimPath implements Target: no case for a running daemon executes a shim.
func (t *socketTarget) ShimPath() string { return os.DevNull }

// ShimConfig implements Target.
func (t *socketTarget) ShimConfig(p Paths) ([]byte, error) {
	return json.Marshal(map[string]string{"cniVersion": p.CNIVersion, "name": "multus-cni-network", "type": "multus-shim", "daemonSocketDir": t.runDir})
}

// errRunning is why a running daemon is left as it is.
var errRunning = errors.New("the daemon already runs, and is not the suite's to start or to install")

// DaemonConfig implements Target.
func (t *socketTarget) DaemonConfig(Paths) ([]byte, error) { return nil, errRunning }

// StartDaemon implements Target.
func (t *socketTarget) StartDaemon(context.Context, Paths, []byte) (Process, error) {
	return nil, errRunning
}

// Install implements Target.
func (t *socketTarget) Install(context.Context, Paths) error { return errRunning }

// RunDir implements LiveTarget.
func (t *socketTarget) RunDir() string { return t.runDir }
