// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

const explainUsage = `thicketd explain says what an ADD of a pod would do now, with the configuration of the node's daemon: each
delegate with its final configuration (secrets masked), its capabilities and where each value comes from, or
the reason why it fails; and what is recorded of the pod's sandboxes. It starts nothing and writes nothing,
and may run beside the daemon. The exit status is 1 when the ADD would fail.

What the runtime itself asks of the default network (runtimeConfig) is not known before it does.

Usage:
  thicketd explain [--config FILE] --pod NAMESPACE/NAME

Flags:
`

// explainPatience is how long the API server and the kubelet may take.
const explainPatience = 30 * time.Second

// explain is for a person who wants to know why a pod has the networks that it has.
func explain(args []string, stdout, stderr io.Writer) error {
	flags := newFlags("thicketd explain", explainUsage, stderr)
	file := flags.String("config", defaultConfigFile, "the daemon's configuration, a JSON `file`")
	name := flags.String("pod", "", "the pod, `NAMESPACE/NAME`")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	namespace, pod, is := strings.Cut(*name, "/")
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("explain: unknown argument %q; see thicketd explain --help", flags.Arg(0))
	case !is || !cluster.ValidNamespace(namespace) || !cluster.ValidName(pod):
		return fmt.Errorf("explain: --pod %q is not NAMESPACE/NAME", *name)
	}
	config, _, err := load(*file)
	if err != nil {
		return err
	}
	config.NodeName = cmp.Or(config.NodeName, os.Getenv("MULTUS_NODE_NAME"), "(any)")
	ctx, cancel := context.WithTimeout(context.Background(), explainPatience)
	defer cancel()
	out := bufio.NewWriter(stdout)
	e := &explainer{config: config, out: out, find: &attach.Exec{Chroot: config.ChrootDir}}
	err = e.pod(ctx, namespace, pod)
	return errors.Join(err, out.Flush())
}

// explainer prints what is known of one pod.
type explainer struct {
	config *daemon.Config
	out    io.Writer
	find   *attach.Exec
}

// printf prints to a terminal what tenants have written, among other things: none
// of it begins a line of its own.
func (e *explainer) printf(format string, args ...any) {
	for i, arg := range args {
		if text, is := arg.(string); is {
			args[i] = brief.PlainLine(text)
		}
	}
	fmt.Fprintf(e.out, format, args...)
}

func (e *explainer) pod(ctx context.Context, namespace, name string) error {
	quiet := slog.New(slog.DiscardHandler)
	from, err := daemon.ReadCluster(e.config, quiet)
	if err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	pod, err := from.Pod(ctx, namespace, name)
	if err != nil {
		e.printf("pod %s/%s: %s\n", namespace, name, text(err))
		return errors.Join(e.records(namespace, name, nil), fmt.Errorf("explain: an ADD would fail: %w", err))
	}
	e.printf("pod %s/%s, uid %s, node %s\n", pod.Namespace, pod.Name, cmp.Or(pod.UID, "unknown"), cmp.Or(pod.NodeName, "none"))
	planned, fails := daemon.NewPlanner(ctx, e.config, from, quiet).Explain(ctx, pod, "eth0")
	faults := 0
	for _, p := range planned {
		faults += e.network(&p)
	}
	if fails == nil && faults > 0 {
		fails = errors.New("its plugins cannot be executed; see above")
	}
	if fails != nil {
		e.printf("an ADD would fail: %s\n", text(fails))
		fails = errors.New("explain: an ADD would fail")
	}
	return errors.Join(e.records(namespace, name, planned), fails)
}

// text is an error as the logs have it: cut, because others write it.
func text(err error) string { return brief.Shown(err.Error()) }

// network prints one network, and returns how many faults its plugins would show
// at ADD.
func (e *explainer) network(p *network.Explained) (faults int) {
	e.printf("\n%s: asked for by %s\n", p.Interface, p.Asked)
	if p.Source != "" {
		e.printf("  configuration from %s\n", p.Source)
	}
	if p.Err != nil {
		e.printf("  FAILS: %s\n", text(p.Err))
	}
	if p.Delegate == nil {
		return 0
	}
	d := p.Delegate
	e.printf("  network %q, in the status as %s\n", d.Network, d.Definition)
	faults = e.plugins(d.Config)
	for _, c := range p.Capabilities {
		value, err := json.Marshal(c.Value)
		if err != nil {
			value = []byte("null")
		}
		to := "no plugin declares it, and none is given it"
		if len(c.Plugins) > 0 {
			to = "given to " + strings.Join(c.Plugins, ", ")
		}
		e.printf("  %s from %s, %s: %s\n", c.Name, c.From, to, mask(value))
	}
	if d.DefaultRoute != nil {
		e.printf("  the default route, from the pod's selection: %v\n", d.DefaultRoute)
	}
	fmt.Fprintln(e.out, brief.Plain(maskIndented(d.Config, "  ")))
	return faults
}

// plugins prints where the plugins of a configuration are.
func (e *explainer) plugins(config []byte) (faults int) {
	list, err := libcni.NetworkConfFromBytes(config)
	if err != nil {
		return 0 // the planner has read it
	}
	if !network.KnownVersion(list.CNIVersion) {
		faults++
		e.printf("  FAILS: cniVersion %s is not supported\n", strconv.Quote(list.CNIVersion))
	}
	for _, p := range list.Plugins {
		for _, plugin := range slices.DeleteFunc([]string{p.Network.Type, p.Network.IPAM.Type}, func(t string) bool { return t == "" }) {
			path, err := e.find.FindInPath(plugin, filepath.SplitList(e.config.BinDir))
			if err != nil {
				faults++
				path = "MISSING: " + text(err)
			}
			e.printf("  plugin %s: %s\n", plugin, path)
		}
	}
	return faults
}

// records prints what is recorded of a pod's sandboxes, and in what it differs
// from what an ADD would do now.
func (e *explainer) records(namespace, name string, planned []network.Explained) error {
	found := false
	err := ledger.Each(e.config.CNIDir, func(entry ledger.Entry) {
		if r := entry.Record; r != nil && r.Pod.Namespace == namespace && r.Pod.Name == name {
			found = true
			e.record(r, planned)
		}
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("explain: what is recorded: %w", err)
	}
	if !found {
		e.printf("\nnothing is recorded of this pod in %s\n", e.config.CNIDir)
	}
	return nil
}

func (e *explainer) record(r *ledger.Record, planned []network.Explained) {
	e.printf("\nrecorded: container %s, %s since %s, namespace %s\n", r.ContainerID, r.State, r.Created.UTC().Format(time.RFC3339), r.Netns)
	for i := range r.Attachments {
		a := &r.Attachments[i]
		e.printf("  %s: network %q (%s)%s\n", a.Interface, a.Network, a.Definition, e.difference(a, planned))
		if len(a.CapabilityArgs) > 0 {
			if args, err := json.Marshal(a.CapabilityArgs); err == nil {
				e.printf("    capabilities: %s\n", mask(args))
			}
		}
		if a.Result != nil {
			e.printf("    result: %s\n", mask(a.Result))
		}
	}
}

// difference says how an attachment differs from what an ADD would do now.
func (e *explainer) difference(a *ledger.Attachment, planned []network.Explained) string {
	if a.HotPlugged {
		return ", hot-plugged"
	}
	i := slices.IndexFunc(planned, func(p network.Explained) bool { return p.Interface == a.Interface && p.Delegate != nil })
	switch {
	case i < 0 && planned != nil:
		return "; an ADD would not attach it now"
	case i >= 0 && string(planned[i].Delegate.Config) != a.Config:
		return "; an ADD would attach it with another configuration now"
	}
	return ""
}
