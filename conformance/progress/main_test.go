// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"start","Package":"x/inprocess"}
{"Action":"run","Package":"x/inprocess","Test":"TestBinaries"}
{"Action":"run","Package":"x/inprocess","Test":"TestBinaries/SOCK-01"}
{"Action":"pass","Package":"x/inprocess","Test":"TestBinaries/SOCK-01","Elapsed":1.5}
{"Action":"run","Package":"x/inprocess","Test":"TestBinaries/SOCK-02"}
{"Action":"output","Package":"x/inprocess","Test":"TestBinaries/SOCK-02","Output":"    gotest.go:9: no browser; install chromium\n"}
{"Action":"skip","Package":"x/inprocess","Test":"TestBinaries/SOCK-02"}
{"Action":"pass","Package":"x/inprocess","Test":"TestBinaries","Elapsed":2}
{"Action":"pass","Package":"x/inprocess","Elapsed":2.5}
`

const failing = `{"Action":"run","Package":"x","Test":"TestA"}
{"Action":"output","Package":"x","Test":"TestA","Output":"    a_test.go:3: apple is not pear\n"}
{"Action":"fail","Package":"x","Test":"TestA"}
{"Action":"output","Package":"x","Output":"FAIL\n"}
{"Action":"fail","Package":"x"}
`

func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		ok   bool
		want []string
	}{
		"good": {stream, true, []string{"SOCK-01     1.5 s  TestBinaries", "  1: no browser; install chromium\n     (TestBinaries/SOCK-02)",
			"ok    x/inprocess", "\n1 passed, 0 failed, 1 skipped\n"}},
		"failing":    {failing, false, []string{"apple is not pear", "FAIL  x", "\n0 passed, 2 failed, 0 skipped\n"}},
		"none":       {"", false, []string{"no test was executed"}},
		"only skips": {strings.ReplaceAll(stream, "pass", "skip"), false, []string{"no test was executed"}},
		"no build": {`{"ImportPath":"x","Action":"build-output","Output":"a.go:1: oops\n"}
{"ImportPath":"x","Action":"build-fail"}
` + stream, false, []string{"a.go:1: oops", "1 passed, 1 failed, 1 skipped"}},
		"words between": {"test: packages\n" + stream, true, []string{"test: packages\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if ok := run(strings.NewReader(c.in), &out); ok != c.ok {
				t.Errorf("ok = %v", ok)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}
