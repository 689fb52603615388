// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// source is a network's configuration before anything is asked of it.
type source struct {
	config []byte
	what   string    // what errors call it
	sel    Selection // names the definition; empty for a file's configuration
	// resource is what the definition wants a device of, "" for none; device is
	// the one that it got.
	resource, device string
	// selected is Delegate.Selected.
	selected string
	// limits are none for what the node's own files say.
	limits Limits
}

// delegate makes an attachment of a source.
func (s *source) delegate(ifName string, runtimeConfig map[string]any) (*Delegate, error) {
	d, err := newDelegate(s.config, s.what, ifName, &s.sel, runtimeConfig, s.device, s.limits)
	if err != nil {
		return nil, err
	}
	d.Selected = s.selected
	if s.device != "" {
		d.Resource = s.resource
	}
	return d, nil
}

// network finds the network that clusterNetwork or defaultNetworks name: a
// definition in the Multus namespace, else a configuration in ConfDir whose
// network has the name; a name with a '/' is a path, of a file or of a
// directory whose first configuration counts (NET-11). Where the cluster may not
// be waited for and cannot be asked, ConfDir is looked in all the same (DEL-09).
func (p *Planner) network(ctx context.Context, name string) (*source, error) {
	if strings.Contains(name, "/") {
		return networkAt(name)
	}
	if cluster.ValidName(name) {
		s, err := p.definition(cluster.OrElsewhere(ctx), Selection{Name: name, Namespace: p.options.MultusNamespace})
		unknown := err != nil && !errors.Is(err, cluster.ErrNotFound)
		if err == nil || unknown && !cluster.IsOffline(ctx) {
			return s, err
		}
		if unknown {
			if _, missing := namedConfig(p.options.ConfDir, name); errors.Is(missing, errNoConfig) {
				return nil, err
			}
		}
	}
	config, err := namedConfig(p.options.ConfDir, name)
	if errors.Is(err, errNoConfig) {
		return nil, fmt.Errorf("network %q: no network definition %s/%s, and %w", name, p.options.MultusNamespace, name, err)
	}
	if err != nil {
		return nil, fileError("network "+name, err)
	}
	return &source{config: config, what: fmt.Sprintf("network %q in %s", name, p.options.ConfDir)}, nil
}

// networkAt finds the network in a file or a directory.
func networkAt(path string) (*source, error) {
	if !filepath.IsAbs(path) {
		return nil, invalid("network %q is a relative path; write it from / on", path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errNoConfig, err)
	}
	if err != nil {
		return nil, err
	}
	var config []byte
	if info.IsDir() {
		config, err = firstConfig(path)
	} else if f, failed := readConfig(path); failed != nil {
		err = failed
	} else {
		config = f.config
	}
	if err != nil {
		return nil, fileError("network", err)
	}
	return &source{config: config, what: "the network configuration of " + path}, nil
}

// definition looks a network definition up. One without spec.config stands for
// the node's configuration file of its name (NPWG standard, section 3.4.1; NET-05).
func (p *Planner) definition(ctx context.Context, sel Selection) (*source, error) {
	def, err := p.cluster.Definition(ctx, sel.Namespace, sel.Name)
	switch {
	case errors.Is(err, cluster.ErrNotFound), ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, types.NewError(types.ErrTryAgainLater,
			fmt.Sprintf("network definition %s cannot be looked up", sel.definition()), err.Error())
	}
	s := &source{config: []byte(def.Config), what: "network definition " + sel.definition(), sel: sel,
		resource: strings.TrimSpace(def.Annotations[ResourceAnnotation])}
	if strings.TrimSpace(def.Config) != "" {
		s.limits = p.options.Limits
		return s, nil
	}
	if s.config, err = namedConfig(p.options.ConfDir, sel.Name); err != nil {
		return nil, fileError(s.what+" has no spec.config", err)
	}
	return s, nil
}

// fileError tells a configuration that is missing or cannot be read from one
// that is wrong, which is code 7.
func fileError(where string, err error) error {
	var path *fs.PathError
	if errors.Is(err, errNoConfig) || errors.As(err, &path) {
		return fmt.Errorf("%s: %w", where, err)
	}
	return invalid("%s: %v", where, err)
}
