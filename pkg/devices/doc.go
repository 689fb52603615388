// SPDX-License-Identifier: Apache-2.0

// Package devices finds the devices that Kubernetes gave a pod: those of
// device plugins by the kubelet's pod-resources API, those of resource claims
// (DRA) by the cluster; and it keeps the files by which device plugins and
// delegates describe them (NPWG device information specification, version 1.1;
// NET-14).
package devices
