// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Only these groups are known: a clientset of all of Kubernetes would cost the
// daemon 8 MiB of memory on every node (make bench-memory shows what is used).
var (
	scheme = runtime.NewScheme()
	codecs = serializer.NewCodecFactory(scheme)
)

func init() {
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(certificatesv1.AddToScheme(scheme))
	utilruntime.Must(resourcev1.AddToScheme(scheme))
	utilruntime.Must(nadv1.AddToScheme(scheme))
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
}

const (
	contentProtobuf = runtime.ContentTypeProtobuf
	contentJSON     = runtime.ContentTypeJSON
)

// clientConfig reads how to reach the API server: from a kubeconfig, or from
// the pod that the daemon runs in.
func clientConfig(kubeconfig string) (*rest.Config, error) {
	var config *rest.Config
	var err error
	if kubeconfig == "" {
		if config, err = rest.InClusterConfig(); err != nil {
			return nil, fmt.Errorf("the API server of this pod: %w; run the daemon in a pod, or set kubeconfig (or cluster.directory, to do without Kubernetes)", err)
		}
	} else {
		if config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
			return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
		}
		followToken(config, kubeconfig)
	}
	config.UserAgent = fmt.Sprintf("%s (%s)", filepath.Base(os.Args[0]), "thicket")
	// After a node's restart all its sandboxes ask at once, and the API server
	// has a limit of its own (priority and fairness).
	config.QPS = -1
	return config, nil
}

// clients are the daemon's ways to the API server; they share connections.
type clients struct {
	core        *rest.RESTClient
	definitions *rest.RESTClient
	claims      *rest.RESTClient
}

func newClients(config *rest.Config) (*clients, error) {
	core, err := restClient(config, corev1.SchemeGroupVersion, contentProtobuf)
	if err != nil {
		return nil, err
	}
	// Custom resources have no protobuf form.
	definitions, err := restClient(config, nadv1.SchemeGroupVersion, contentJSON)
	if err != nil {
		return nil, err
	}
	claims, err := restClient(config, resourcev1.SchemeGroupVersion, contentProtobuf)
	if err != nil {
		return nil, err
	}
	return &clients{core, definitions, claims}, nil
}

func restClient(config *rest.Config, gv schema.GroupVersion, contentType string) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &gv
	config.APIPath = "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = codecs.WithoutConversion()
	config.ContentType = contentType
	config.AcceptContentTypes = contentType
	if contentType != contentJSON {
		config.AcceptContentTypes += "," + contentJSON
	}
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("API server %s: %w", config.Host, err)
	}
	return client, nil
}
