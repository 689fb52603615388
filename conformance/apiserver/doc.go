// SPDX-License-Identifier: Apache-2.0

// Package apiserver runs a Kubernetes API server of one's own: etcd and
// kube-apiserver as processes of this machine, with RBAC and an audit log, and
// without controllers, scheduler or nodes. Pods in it are plain objects that
// nobody runs.
//
// The binaries are found as envtest (sigs.k8s.io/controller-runtime) finds
// them: in the directory that KUBEBUILDER_ASSETS names.
package apiserver
