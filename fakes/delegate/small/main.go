// SPDX-License-Identifier: Apache-2.0

// Command small is the fake delegate and nothing else, for tests that execute
// it thousands of times: a large program takes longer to start.
package main

import _ "github.com/thicket-cni/thicket/fakes/delegate" // it is the program

func main() {}
