// SPDX-License-Identifier: Apache-2.0

// Package scale measures what the daemons of many nodes cost an API server: hollow
// nodes (package fakes/hollow) follow a real one, in several numbers of them, and a
// line through the numbers says what a thousand and more would cost.
package scale
