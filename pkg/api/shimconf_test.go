// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func TestParseShimConf(t *testing.T) {
	for _, test := range []struct {
		stdin                    string
		socketDir, pendingDir    string
		version, logFile, logLvl string
		toStderr                 bool
	}{
		{stdin: `{}`, socketDir: "/run/multus/", pendingDir: "/var/lib/cni/multus/pending"},
		{stdin: `{"daemonSocketDir":"","cniDir":null,"type":"x","unknown":{"a":[1]}}`,
			socketDir: "/run/multus/", pendingDir: "/var/lib/cni/multus/pending"},
		{stdin: `{"cniVersion":"0.4.0","daemonSocketDir":"/r","cniDir":"/c","logFile":"/l","logLevel":"debug","logToStderr":true}`,
			socketDir: "/r", pendingDir: "/c/pending", version: "0.4.0", logFile: "/l", logLvl: "debug", toStderr: true},
		{stdin: `{"cniDir":"/c","pendingDir":"/p"}`, socketDir: "/run/multus/", pendingDir: "/p"},
		{stdin: fmt.Sprintf(`{"daemonSocketDir":"/%s"}`, strings.Repeat("d", 94)),
			socketDir: "/" + strings.Repeat("d", 94), pendingDir: "/var/lib/cni/multus/pending"},
	} {
		c, err := parseShimConf([]byte(test.stdin))
		if err != nil {
			t.Errorf("%s: %v", test.stdin, err)
			continue
		}
		want := ShimNetConf{CNIVersion: test.version, MultusSocketDir: test.socketDir, LogFile: test.logFile,
			LogLevel: test.logLvl, LogToStderr: test.toStderr}
		if c.ShimNetConf != want || c.PendingDir != test.pendingDir {
			t.Errorf("%s: got %+v", test.stdin, c)
		}
	}
}

func TestParseShimConfRefuses(t *testing.T) {
	for _, test := range []struct {
		stdin string
		code  uint
		key   string
	}{
		{`{`, types.ErrDecodingFailure, "JSON"},
		{``, types.ErrDecodingFailure, "JSON"},
		{`{"cniVersion":1}`, types.ErrDecodingFailure, `"cniVersion"`},
		{`{"daemonSocketDir":42}`, types.ErrDecodingFailure, `"daemonSocketDir"`},
		{`{"logFile":["/l"]}`, types.ErrDecodingFailure, `"logFile"`},
		{`{"logLevel":{}}`, types.ErrDecodingFailure, `"logLevel"`},
		{`{"logToStderr":"yes"}`, types.ErrDecodingFailure, `"logToStderr"`},
		{`{"cniDir":true}`, types.ErrDecodingFailure, `"cniDir"`},
		{`{"pendingDir":1.5}`, types.ErrDecodingFailure, `"pendingDir"`},
		{`{"daemonSocketDir":"run"}`, types.ErrInvalidNetworkConfig, `"daemonSocketDir"`},
		{`{"daemonSocketDir":"/r\u0000"}`, types.ErrInvalidNetworkConfig, `"daemonSocketDir"`},
		{fmt.Sprintf(`{"daemonSocketDir":"/%s"}`, strings.Repeat("d", 96)), types.ErrInvalidNetworkConfig, `"daemonSocketDir"`},
		{`{"cniDir":"c"}`, types.ErrInvalidNetworkConfig, `"cniDir"`},
		{`{"pendingDir":"./p"}`, types.ErrInvalidNetworkConfig, `"pendingDir"`},
	} {
		_, err := parseShimConf([]byte(test.stdin))
		var cniError *types.Error
		if !errors.As(err, &cniError) || cniError.Code != test.code || !strings.Contains(cniError.Msg, test.key) {
			t.Errorf("%s: got %#v, want code %d and %s", test.stdin, err, test.code, test.key)
		}
	}
}
