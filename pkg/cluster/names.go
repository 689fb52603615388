// SPDX-License-Identifier: Apache-2.0

package cluster

import "regexp"

var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// Longest names that Kubernetes accepts, in bytes.
const (
	maxNamespace = 63
	maxName      = 253
)

// ValidNamespace says whether s can name a namespace: a DNS-1123 label of at
// most 63 bytes.
func ValidNamespace(s string) bool { return len(s) <= maxNamespace && dnsLabel.MatchString(s) }

// ValidName says whether s can name a pod or a network definition: a DNS-1123
// subdomain of at most 253 bytes, which has no path separator.
func ValidName(s string) bool { return len(s) <= maxName && dnsSubdomain.MatchString(s) }
