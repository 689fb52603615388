// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestPrepare(t *testing.T) {
	const process = `{"capabilities":{"bounding":["CAP_SYS_ADMIN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]},"oomScoreAdj":-999,"terminal":true}`
	const without = `{"capabilities":{"bounding":["CAP_SYS_ADMIN"],"effective":[]},"terminal":true}`
	const limits = `"linux":{"resources":{"memory":{"limit":9223372036854771712}}}`
	for name, tc := range map[string]struct {
		args         []string
		file         string
		before, want string
	}{
		"create":        {[]string{"--root", "/r", "create", "--bundle", "DIR", "id"}, "config.json", `{"process":` + process + `,` + limits + `}`, `{"process":` + without + `,` + limits + `}`},
		"run":           {[]string{"run", "--bundle=DIR", "id"}, "config.json", `{"process":` + process + `}`, `{"process":` + without + `}`},
		"exec":          {[]string{"exec", "--process", "DIR/p", "id"}, "p", process, without},
		"raised":        {[]string{"exec", "-p", "DIR/p", "id"}, "p", `{"oomScoreAdj":300}`, `{"oomScoreAdj":300}`},
		"not for us":    {[]string{"delete", "--bundle", "DIR", "id"}, "config.json", `{"process":` + process + `}`, `{"process":` + process + `}`},
		"plain exec":    {[]string{"exec", "id", "sh"}, "p", process, process},
		"no capability": {[]string{"run", "-b", "DIR"}, "config.json", `{"process":{}}`, `{"process":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			g, dir := NewWithT(t), t.TempDir()
			file := filepath.Join(dir, tc.file)
			g.Expect(os.WriteFile(file, []byte(tc.before), 0o600)).To(Succeed())
			var args []string
			for _, a := range tc.args {
				args = append(args, strings.ReplaceAll(a, "DIR", dir))
			}
			g.Expect(prepare(args)).To(Succeed())
			got, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(got)).To(MatchJSON(tc.want))
			g.Expect(string(got)).NotTo(ContainSubstring("e+"), "a number lost its digits")
		})
	}
}

func TestPrepareSaysWhatIsWrong(t *testing.T) {
	g := NewWithT(t)
	g.Expect(prepare([]string{"create", "--bundle", t.TempDir()})).To(MatchError(ContainSubstring("config.json")))
}
