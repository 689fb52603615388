// SPDX-License-Identifier: Apache-2.0

// Command small is the delegate that does nothing and nothing else, for a
// benchmark: a large program takes longer to start.
package main

import _ "github.com/thicket-cni/thicket/fakes/nop" // it is the program

func main() {}
