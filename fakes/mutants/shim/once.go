// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"errors"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile shim: requests that were answered.
var onceMutants = []mutant.Mutant{
	{Name: "shim-failed-add-again", Cases: []string{"SHIM-16"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Add = againAfter(s.Add, func(*types.Error) bool { return true }) }),
		Fault: "an ADD that failed is posted twice"},
	{Name: "shim-busy-again", Cases: []string{"SHIM-16"}, Shim: seam.Around(func(next seam.Command) seam.Command {
		return againAfter(next, func(e *types.Error) bool { return e.Code == types.ErrTryAgainLater })
	}), Fault: "a request that was answered with code 11 is posted again at once"},
	{Name: "shim-failed-del-again", Cases: []string{"SHIM-16"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Del = againAfter(s.Del, func(*types.Error) bool { return true }) }),
		Fault: "a DEL that failed is posted twice"},
	{Name: "shim-status-asked-again", Cases: []string{"SHIM-16"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		s.Status = againAfter(s.Status, func(e *types.Error) bool { return e.Code == 50 })
	}), Fault: "a STATUS that was answered with code 50 is posted again"},
}

// againAfter posts once more after some errors.
func againAfter(next seam.Command, which func(*types.Error) bool) seam.Command {
	return func(args *skel.CmdArgs) error {
		err := next(args)
		var own *types.Error
		if errors.As(err, &own) && which(own) {
			return next(args)
		}
		return err
	}
}
