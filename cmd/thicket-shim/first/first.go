// SPDX-License-Identifier: Apache-2.0

// Package first carries out what the shim is usually asked for while the program is being initialized, before the packages
// that only the rest needs: a usual command never gets as far as main. No other program may import it.
package first

import (
	_ "github.com/thicket-cni/thicket/cmd/thicket-shim/first/room" // on the stack, for all that follows
	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// Begun is what is left to main.
var Begun = quick.Attempt()
