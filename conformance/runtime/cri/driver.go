// SPDX-License-Identifier: Apache-2.0

// Package cri has a container runtime asked through its CRI socket, as the kubelet
// asks it. A container is a pod sandbox: the runtime chooses its id, its network
// namespace and the interfaces' names, and attaches it to every network of the
// directory {{.ConfDir}}.
package cri

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/fakes/script"
)

const (
	// requestLimit is the deadline of a request; the kubelet's is two minutes.
	requestLimit = 30 * time.Second
	// readyLimit is how long a runtime may take to serve, loadLimit to notice that
	// networks have changed.
	readyLimit = 30 * time.Second
	loadLimit  = 2 * time.Second
)

// Make makes the driver of a runtime that serves CRI, and starts the runtime.
func Make(ctx context.Context, e *runtime.Env) (runtime.Driver, error) {
	socket, err := e.Render("runtime.cri", e.Target.CRI())
	if err != nil {
		return nil, err
	}
	d := &driver{e: e, socket: "unix://" + strings.TrimPrefix(socket, "unix://")}
	return d, d.Start(ctx, false)
}

// driver implements runtime.Driver.
type driver struct {
	e      *runtime.Env
	socket string
}

// ask has a request made on a connection of its own: a client that waits before
// it connects again to a runtime that was killed is no part of the case.
func (d *driver) ask(ctx context.Context, request func(context.Context, cri.RuntimeServiceClient) error) error {
	conn, err := grpc.NewClient(d.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("%s: %w", d.socket, err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(requestLimit))
	defer cancel()
	return request(ctx, cri.NewRuntimeServiceClient(conn))
}

// answer asks and tells what came of it.
func (d *driver) answer(ctx context.Context, command string, request func(context.Context, cri.RuntimeServiceClient) error) runtime.Answer {
	began := time.Now()
	err := d.ask(ctx, request)
	a := runtime.Answer{Command: command, OK: err == nil, Took: time.Since(began), Memory: runtime.PeakMemory(d.e.DaemonPID())}
	if err != nil {
		a.Said = err.Error()
	}
	if ctx.Err() != nil {
		a.Ended = "ended by the suite: the case's time is over"
	}
	return a
}

// Takes implements runtime.Driver: the runtime chooses everything.
func (d *driver) Takes() runtime.Takes { return runtime.Takes{} }

// Finds implements runtime.Finder: the arguments of every plugin name the pod.
func (d *driver) Finds(a *runtime.Attachment, c script.Call) bool {
	args, _ := runtime.Variable(c, "CNI_ARGS")
	return slices.Contains(strings.Split(args, ";"), "K8S_POD_UID="+a.PodUID)
}

// Results implements runtime.Keeper: those of the library below containerd.
func (d *driver) Results() []string { return []string{"/var/lib/cni"} }

// Load implements runtime.Driver: it waits until the runtime has noticed. One that
// cannot load a network, or does not tell what it has loaded, has some time to.
func (d *driver) Load(ctx context.Context) error {
	want, err := d.files()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(loadLimit))
	defer cancel()
	for {
		has, known := d.loaded(ctx)
		if known && slices.Equal(has, want) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(node.PollInterval):
		}
	}
}

// files are the networks' configurations in their order.
func (d *driver) files() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(d.e.ConfDir, "*.conflist"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var all []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, string(data))
	}
	return all, nil
}

// loaded are the configurations that the runtime says it has; containerd does.
func (d *driver) loaded(ctx context.Context) (all []string, known bool) {
	var has struct {
		Networks []struct {
			Config struct{ Source string }
		}
	}
	err := d.ask(ctx, func(ctx context.Context, c cri.RuntimeServiceClient) error {
		s, err := c.Status(ctx, &cri.StatusRequest{Verbose: true})
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(s.Info["cniconfig"]), &has)
	})
	for _, n := range has.Networks {
		all = append(all, n.Config.Source)
	}
	return all, err == nil
}

// Add implements runtime.Driver.
func (d *driver) Add(ctx context.Context, a *runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	config, err := d.sandbox(a)
	answer := d.answer(ctx, "ADD", func(ctx context.Context, c cri.RuntimeServiceClient) error {
		if err != nil {
			return err
		}
		_, err := c.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
		return err
	})
	for _, c := range d.e.Node.CallsOf("ADD") {
		if d.Finds(a, c) {
			a.ID, a.Netns, a.IfName = c.ContainerID, c.Netns, c.Interface
			break
		}
	}
	return answer
}

// sandbox is the pod sandbox of a container.
func (d *driver) sandbox(a *runtime.Attachment) (*cri.PodSandboxConfig, error) {
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: a.PodName, Namespace: a.PodNamespace, Uid: a.PodUID}, Hostname: "sandbox",
		Annotations: map[string]string{}, Linux: &cri.LinuxPodSandboxConfig{CgroupParent: d.e.Cgroup},
	}
	var given struct {
		PortMappings []struct {
			HostPort, ContainerPort int32
			Protocol, HostIP        string
		} `json:"portMappings"`
		Bandwidth struct{ IngressRate, EgressRate uint64 } `json:"bandwidth"`
	}
	if err := json.Unmarshal(node.MustJSON(a.Capabilities), &given); err != nil {
		return nil, fmt.Errorf("the capability args: %w", err)
	}
	for _, p := range given.PortMappings {
		config.PortMappings = append(config.PortMappings, &cri.PortMapping{
			HostPort: p.HostPort, ContainerPort: p.ContainerPort, HostIp: p.HostIP, Protocol: cri.Protocol(cri.Protocol_value[strings.ToUpper(p.Protocol)]),
		})
	}
	for name, rate := range map[string]uint64{"ingress": given.Bandwidth.IngressRate, "egress": given.Bandwidth.EgressRate} {
		if rate > 0 {
			config.Annotations["kubernetes.io/"+name+"-bandwidth"] = fmt.Sprint(rate)
		}
	}
	return config, nil
}

// Del implements runtime.Driver: it stops what the runtime knows of the pod. The
// kubelet has a sandbox removed some time after it has stopped, and for good
// measure containerd executes DEL then once more; here that is at the case's end,
// or at once where stopping executed no plugin. As for the kubelet, a sandbox that
// the runtime does not list is gone.
func (d *driver) Del(ctx context.Context, a *runtime.Attachment) runtime.Answer {
	ginkgo.GinkgoHelper()
	before := len(d.e.CallsOf("DEL", a))
	var known []string
	answer := d.answer(ctx, "DEL", func(ctx context.Context, c cri.RuntimeServiceClient) (err error) {
		if known, err = sandboxes(ctx, c, a); err != nil {
			return err
		}
		var errs []error
		for _, id := range known {
			_, err := c.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
			if err == nil && len(d.e.CallsOf("DEL", a)) == before {
				_, err = c.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	if answer.OK && len(known) == 0 {
		answer.Said = "the runtime lists no sandbox of the pod"
	}
	return answer
}

// sandboxes are the ids of a pod's that the runtime lists.
func sandboxes(ctx context.Context, c cri.RuntimeServiceClient, a *runtime.Attachment) ([]string, error) {
	all, err := c.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range all.Items {
		if s.Metadata.GetUid() == a.PodUID {
			ids = append(ids, s.Id)
		}
	}
	return ids, nil
}

// Status implements runtime.Driver: the network has to be ready.
func (d *driver) Status(ctx context.Context, _ *runtime.Network) runtime.Answer {
	ginkgo.GinkgoHelper()
	return d.answer(ctx, "STATUS", func(ctx context.Context, c cri.RuntimeServiceClient) error {
		s, err := c.Status(ctx, &cri.StatusRequest{})
		if err != nil {
			return err
		}
		for _, condition := range s.GetStatus().GetConditions() {
			if condition.Type == cri.NetworkReady && !condition.Status {
				return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
			}
		}
		return nil
	})
}

// Check implements runtime.Driver: CRI has no such request.
func (d *driver) Check(context.Context, *runtime.Attachment) runtime.Answer {
	return runtime.Answer{Command: "CHECK", Said: "CRI has no request for CHECK"}
}

// GC implements runtime.Driver: CRI has no such request.
func (d *driver) GC(context.Context, *runtime.Network, []*runtime.Attachment) runtime.Answer {
	return runtime.Answer{Command: "GC", Said: "CRI has no request for GC"}
}

// Kill implements runtime.Killer.
func (d *driver) Kill() { d.e.KillDaemon() }

// Start implements runtime.Killer: it returns when the runtime answers.
func (d *driver) Start(ctx context.Context, _ bool) error {
	if err := d.e.StartDaemon(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(readyLimit))
	defer cancel()
	for {
		err := d.ask(ctx, func(ctx context.Context, c cri.RuntimeServiceClient) error {
			_, err := c.Version(ctx, &cri.VersionRequest{})
			return err
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the runtime does not answer: %w", err)
		case <-time.After(node.PollInterval):
		}
	}
}
