// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/pkg/foreign"
)

// certificateName is what Multus calls its files, so that a node that changes
// keeps its certificate.
const certificateName = "multus-client"

// maxCertificate is the largest file of a certificate and its key, in bytes.
const maxCertificate = 1 << 20

// certificateFiles is the directory of a node's certificate. Certificate and
// key are in one file, and a symlink leads to the current one.
type certificateFiles string

func openCertificateFiles(dir string) (certificateFiles, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("perNodeCertificate: certDir: %w", err)
	}
	return certificateFiles(dir), nil
}

func (d certificateFiles) current() string {
	return filepath.Join(string(d), certificateName+"-current.pem")
}

// load reads the current certificate.
func (d certificateFiles) load() (*tls.Certificate, error) {
	both, err := foreign.ReadFile(d.current(), maxCertificate, foreign.FollowLinks)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(both, both)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// save makes a certificate and its key, both in PEM, the current ones. A crash
// leaves the former one or this one.
func (d certificateFiles) save(signed, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(signed, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate that was signed: %w", err)
	}
	name := fmt.Sprintf("%s-%s.pem", certificateName, time.Now().UTC().Format("2006-01-02-15-04-05.000000000"))
	path := filepath.Join(string(d), name)
	if err := os.WriteFile(path, bytes.Join([][]byte{signed, key}, nil), 0o600); err != nil {
		return nil, fmt.Errorf("keeping the certificate: %w", err)
	}
	former, _ := os.Readlink(d.current())
	link := filepath.Join(string(d), "."+certificateName+"-next")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keeping the certificate: %w", err)
	}
	if err := errors.Join(os.Symlink(name, link), os.Rename(link, d.current())); err != nil {
		return nil, fmt.Errorf("keeping the certificate: %w", err)
	}
	if former != "" && filepath.Base(former) == former {
		_ = os.Remove(filepath.Join(string(d), former)) // its end is near
	}
	return &pair, nil
}
