// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func TestAssetsNamesTheWayOut(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(AssetsVariable, "")
	if err := os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Assets(dir)
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Path != filepath.Join(dir, "kube-apiserver") || !strings.Contains(err.Error(), "make k8s") {
		t.Errorf("err = %v", err)
	}
	t.Setenv(AssetsVariable, "/nonexistent")
	if _, err := Assets(dir); err == nil || !strings.Contains(err.Error(), "/nonexistent/etcd") {
		t.Errorf("%s is not heeded: %v", AssetsVariable, err)
	}
}

func TestServesAndEnds(t *testing.T) {
	assets, err := Assets("../../bin/k8s")
	if err != nil {
		t.Skip(err)
	}
	s, err := Start(t.Context(), Options{Assets: assets, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	processes := s.processes
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	for _, p := range processes {
		if p.cmd.ProcessState == nil {
			t.Errorf("%s runs still", p.name)
		}
	}
}

func TestStartTellsWhyNot(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := os.WriteFile(filepath.Join(assets, name), []byte("#!/bin/sh\necho it is broken\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Start(t.Context(), Options{Assets: assets, Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "it is broken") {
		t.Errorf("err = %v", err)
	}
}
