// SPDX-License-Identifier: Apache-2.0

package add

import (
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/fakes/script"
)

// expectOneAfterAnother asserts that each call ended before the next began.
func expectOneAfterAnother(calls []script.Call) {
	ginkgo.GinkgoHelper()
	for i, c := range calls {
		Expect(c.End.IsZero()).To(BeFalse(), "%s of %s as %s was cut off", c.Command, c.Network, c.Interface)
		if i > 0 {
			before := calls[i-1]
			Expect(c.Start).NotTo(BeTemporally("<", before.End), "%s of %s as %s began while %s of %s as %s still ran",
				c.Command, c.Network, c.Interface, before.Command, before.Network, before.Interface)
		}
	}
}
