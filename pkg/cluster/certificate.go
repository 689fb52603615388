// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/connrotation"
)

// CertificateOptions are Multus' perNodeCertificate: the daemon of each node
// asks for a client certificate of its own and renews it.
type CertificateOptions struct {
	// BootstrapKubeconfig may ask for certificates, and needs no other right.
	BootstrapKubeconfig string
	// Dir keeps the certificate and its key over restarts.
	Dir string
	// Duration is how long a certificate is asked for.
	Duration time.Duration
}

const (
	// certificateUser and certificateGroup are who the certificate speaks for;
	// they are Multus', so that a node's rights stay the same.
	certificateUser  = "system:multus:"
	certificateGroup = "system:multus"
	// certificateRetryMin and certificateRetryMax bound the pause after a
	// request for a certificate that failed.
	certificateRetryMin = time.Second
	certificateRetryMax = time.Minute
)

// certificate obtains, keeps and renews the node's client certificate. It does
// by itself what client-go's util/certificate does, because that one brings
// the types of all of Kubernetes: 8 MiB more on every node.
type certificate struct {
	options   CertificateOptions
	node      string
	log       *slog.Logger
	files     certificateFiles
	bootstrap *rest.Config
	// config authenticates with the certificate of the moment.
	config  *rest.Config
	current atomic.Pointer[tls.Certificate]
	// connections are those that were opened with config.
	connections *connrotation.Dialer
}

func newCertificate(o CertificateOptions, node string, log *slog.Logger) (*certificate, error) {
	if o.BootstrapKubeconfig == "" || o.Dir == "" {
		return nil, errors.New("perNodeCertificate needs bootstrapKubeconfig and certDir")
	}
	c := &certificate{options: o, node: node, log: log}
	var err error
	if c.bootstrap, err = clientConfig(o.BootstrapKubeconfig); err != nil {
		return nil, fmt.Errorf("perNodeCertificate: bootstrap %w", err)
	}
	if c.files, err = openCertificateFiles(o.Dir); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	c.connections = connrotation.NewDialer(dialer.DialContext)
	c.config = rest.AnonymousClientConfig(c.bootstrap)
	c.config.WrapTransport = nil
	if err := c.authenticate(); err != nil {
		return nil, fmt.Errorf("perNodeCertificate: %w", err)
	}
	return c, nil
}

// authenticate has config present the current certificate in every handshake.
func (c *certificate) authenticate() error {
	tc, err := c.config.TransportConfig()
	if err != nil {
		return err
	}
	tc.TLS.GetCertHolder = &transport.GetCertHolder{GetCert: func() (*tls.Certificate, error) { return c.current.Load(), nil }}
	tc.DialHolder = &transport.DialHolder{Dial: c.connections.DialContext}
	rt, err := transport.New(tc)
	if err != nil {
		return err
	}
	c.config.Transport = rt
	c.config.TLSClientConfig = rest.TLSClientConfig{}
	return nil
}

// obtain returns when there is a valid certificate, a kept one or a new one;
// its only error is that ctx ended. say hears what stands in the way.
func (c *certificate) obtain(ctx context.Context, say func(what string, trouble error)) error {
	kept, err := c.files.load()
	if err == nil && kept.Leaf.Subject.CommonName == certificateUser+c.node && time.Now().Before(kept.Leaf.NotAfter) {
		c.current.Store(kept)
		return nil
	}
	if err != nil {
		c.log.Info("no certificate is kept; asking for one", "dir", c.options.Dir, "reason", err)
	}
	for pause := certificateRetryMin; ; pause = min(2*pause, certificateRetryMax) {
		err := c.request(ctx, c.bootstrap)
		if err == nil {
			return nil
		}
		say("the node's certificate", err)
		if !pausing(ctx, pause) {
			return ctx.Err()
		}
	}
}

// renew replaces the certificate before it ends, until ctx ends. It asks with
// the certificate that it has, or else as at the beginning.
func (c *certificate) renew(ctx context.Context) {
	pause := certificateRetryMin
	for pausing(ctx, time.Until(renewalOf(c.current.Load()))) {
		err := c.requestAsNode(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Warn("the certificate does not renew itself; asking with the bootstrap kubeconfig", "error", err)
			err = c.request(ctx, c.bootstrap)
		}
		if err == nil {
			pause = certificateRetryMin
			continue
		}
		c.log.Error("the node's certificate is not renewed; tried again", "ends", c.current.Load().Leaf.NotAfter, "in", pause, "error", err)
		if !pausing(ctx, pause) {
			return
		}
		pause = min(2*pause, certificateRetryMax)
	}
}

// errCertificateEnded says that nobody has signed the next certificate in time.
var errCertificateEnded = errors.New("the certificate that asks has ended")

// requestAsNode asks with the certificate that there is, as long as that is valid.
func (c *certificate) requestAsNode(ctx context.Context) error {
	ctx, cancel := context.WithDeadlineCause(ctx, c.current.Load().Leaf.NotAfter, errCertificateEnded)
	defer cancel()
	return c.request(ctx, c.config)
}

// renewalOf is a moment between 70 and 90 % of a certificate's life, by
// chance, so that nodes that came together do not ask together for ever.
func renewalOf(c *tls.Certificate) time.Time {
	life := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
	//nolint:gosec // chance spreads load here and keeps no secret
	return c.Leaf.NotBefore.Add(time.Duration(float64(life) * (0.7 + 0.2*rand.Float64())))
}

// pausing waits, and is false when ctx ended.
func pausing(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// use makes a certificate the current one. Connections that were opened with
// the former one are closed: the API server would refuse them when it ends.
func (c *certificate) use(pair *tls.Certificate) {
	c.current.Store(pair)
	c.connections.CloseAll()
	c.log.Info("the node's certificate", "user", pair.Leaf.Subject.CommonName, "ends", pair.Leaf.NotAfter)
}
