// SPDX-License-Identifier: Apache-2.0

// Command nodes is a program of hollow nodes: of Thicket's, which are the daemon's own
// package cluster, or of nodes that make the requests of another daemon.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"github.com/thicket-cni/thicket/fakes/hollow"
)

// kinds are the daemons whose requests can be made; each makes a node of a kubeconfig.
var kinds = map[string]func(id hollow.Identity, kubeconfig string) (hollow.Node, error){
	"thicket": newThicket,
	"multus":  newMultus,
}

func main() {
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	as := flag.String("as", "thicket", "the daemon whose requests are made: "+strings.Join(names, " or "))
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "nodes serves hollow nodes to thicket-conformance bench --hollow, which starts it and tells it over standard input\n"+
			"what to do (JSON-RPC; see package hollow). It ends with its input.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(*as); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(1)
	}
}

func run(as string) error {
	kind, ok := kinds[as]
	if !ok {
		return fmt.Errorf("-as %s: there is no such daemon here; see -help", as)
	}
	klog.SetLogger(logr.Discard()) // of watches that end, which is what they are to do
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "hollow-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return hollow.Serve(ctx, os.Stdin, os.Stdout, func(id hollow.Identity, address string, ca []byte) (hollow.Node, error) {
		path := filepath.Join(dir, id.Name)
		if err := writeKubeconfig(path, id, address, ca); err != nil {
			return nil, err
		}
		return kind(id, path)
	})
}

// writeKubeconfig writes a node's way to the API server.
func writeKubeconfig(path string, id hollow.Identity, address string, ca []byte) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["scale"] = &clientcmdapi.Cluster{Server: "https://" + address, CertificateAuthorityData: ca}
	config.AuthInfos["daemon"] = &clientcmdapi.AuthInfo{Token: id.Token}
	config.Contexts["scale"] = &clientcmdapi.Context{Cluster: "scale", AuthInfo: "daemon"}
	config.CurrentContext = "scale"
	return clientcmd.WriteToFile(*config, path)
}
