// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"encoding/json"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var versionCases = []plugin.Case{
	{ID: "PLUG-01", Level: spec.Must, Source: "CNI §5", Once: true,
		Title: "VERSION needs no other variable and lists the supported versions as one JSON object", Body: versionAlone},
}

func versionAlone(ctx context.Context, e *plugin.Env) {
	answer := e.Execute(ctx, plugin.Request{Vars: map[string]string{"CNI_COMMAND": "VERSION"}, Stdin: []byte(`{"cniVersion":"1.0.0"}`)})
	e.MustOK(answer)
	var said struct {
		CNIVersion string   `json:"cniVersion"`
		Supported  []string `json:"supportedVersions"`
	}
	Expect(plugin.OneDocument(answer.Stdout)).To(Succeed(), "%s", answer.String())
	Expect(json.Unmarshal(answer.Stdout, &said)).To(Succeed(), "%s", answer.String())
	Expect(said.CNIVersion).NotTo(BeEmpty(), "cniVersion of %s", answer.String())
	Expect(said.Supported).NotTo(BeEmpty(), "supportedVersions of %s", answer.String())
	for _, v := range said.Supported {
		Expect(v).To(MatchRegexp(`^\d+\.\d+\.\d+$`), "a supported version")
	}
}
