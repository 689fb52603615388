// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// ShimNetConf is what the shim itself reads of its network configuration; everything else in it is the daemon's and
// travels as it is.
type ShimNetConf struct {
	// CNIVersion is the version that an ADD's result is printed in; empty means 0.1.0, as CNI has it (SHIM-02).
	CNIVersion string `json:"cniVersion,omitempty"`
	// MultusSocketDir is the daemon's run directory, an absolute path; empty means /run/multus/.
	MultusSocketDir string `json:"daemonSocketDir"`
	// LogFile is an absolute path that log lines are appended to; empty means no log file.
	LogFile string `json:"logFile,omitempty"`
	// LogLevel is debug, verbose (or info), warning, error or panic; empty or unknown means verbose.
	LogLevel string `json:"logLevel,omitempty"`
	// LogToStderr sends log lines to standard error as well.
	LogToStderr bool `json:"logToStderr,omitempty"`
}

// shimConf adds Thicket's own keys, which the published type has no room for.
type shimConf struct {
	ShimNetConf
	CNIDir     string `json:"cniDir"`
	PendingDir string `json:"pendingDir"`
}

// maxSocketPath is what sockaddr_un holds besides its final NUL, in bytes: a longer path can never be connected to.
const maxSocketPath = 107

// parseShimConf reads the configuration and fills in the defaults. Its error is a *types.Error with code 6 when the
// JSON does not decode and 7 when a value cannot be used, and names the key (SHIM-09).
func parseShimConf(stdin []byte) (*shimConf, error) {
	c := &shimConf{}
	if err := json.Unmarshal(stdin, c); err != nil {
		return nil, undecodable(err)
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	return c, nil
}

// complete fills in the defaults. Its error has code 7 and names a key whose value cannot be used.
func (c *shimConf) complete() error {
	if c.MultusSocketDir == "" {
		c.MultusSocketDir = defaultRunDir
	}
	if c.CNIDir == "" {
		c.CNIDir = defaultCNIDir
	}
	if c.PendingDir == "" {
		c.PendingDir = PendingDir(c.CNIDir)
	}
	for _, dir := range []struct{ key, value string }{
		{"daemonSocketDir", c.MultusSocketDir},
		{"cniDir", c.CNIDir},
		{"pendingDir", c.PendingDir},
	} {
		if !filepath.IsAbs(dir.value) || strings.ContainsRune(dir.value, 0) {
			return unusable("%q must be an absolute path, not %q", dir.key, dir.value)
		}
	}
	if n := len(SocketPath(c.MultusSocketDir)); n > maxSocketPath {
		return unusable("%q makes a socket path of %d bytes; a unix socket's path has at most %d",
			"daemonSocketDir", n, maxSocketPath)
	}
	return nil
}

// undecodable names the JSON key at fault instead of the Go field.
func undecodable(err error) error {
	msg := fmt.Sprintf("the network configuration is not usable JSON: %v", err)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		key := wrong.Field[strings.LastIndex(wrong.Field, ".")+1:]
		msg = fmt.Sprintf("network configuration: key %q: want %s, got %s", key, wrong.Type, wrong.Value)
	}
	return types.NewError(types.ErrDecodingFailure, msg, "")
}

func unusable(format string, args ...any) error {
	return types.NewError(types.ErrInvalidNetworkConfig, "network configuration: key "+fmt.Sprintf(format, args...), "")
}
