// SPDX-License-Identifier: Apache-2.0

// Package plugin is a small CNI plugin that keeps the specification by the
// letter, and the faults that can be put into it one at a time. The suite's
// profiles for single plugins have to pass it without a fault and to fail it
// with each.
//
// It has three roles, chosen by the name under which it is executed:
//
//	thin-veth   makes a veth pair, with addresses by its IPAM plugin
//	thin-ipam   leases addresses, in files
//	thin-chain  puts nft rules and sysctls behind another plugin's interface
//
// A fault's name follows the role's: thin-veth.keeps-lease. A program that is
// executed under any other name has neither a role nor a fault.
//
// It shares no code with the daemon, and does without the reference library's
// skeleton, which differs from the letter: VERSION answers in the version it was
// asked in, and every environment variable at fault is named.
package plugin
