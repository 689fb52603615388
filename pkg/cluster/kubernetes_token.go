// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/transport"
)

// tokenLifetime is how long a token of a kubeconfig is used before the file is
// read again; one that the API server refuses is read again at once.
const tokenLifetime = time.Minute

// followToken makes a kubeconfig's own token follow the file: whoever renews
// tokens writes the file anew. Tokens in files of their own, those of pods
// among them, client-go follows itself.
func followToken(config *rest.Config, kubeconfig string) {
	if config.BearerToken == "" || config.BearerTokenFile != "" {
		return
	}
	config.BearerToken = ""
	config.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedTokenSource(kubeconfigToken(kubeconfig))))
}

// kubeconfigToken is the path of a kubeconfig as a source of its token.
type kubeconfigToken string

// Token implements oauth2.TokenSource.
func (k kubeconfigToken) Token() (*oauth2.Token, error) {
	config, err := clientcmd.BuildConfigFromFlags("", string(k))
	if err == nil && config.BearerToken == "" {
		err = errors.New("it has no token any more; restart the daemon after a change of how it authenticates")
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", string(k), err)
	}
	return &oauth2.Token{AccessToken: config.BearerToken, Expiry: time.Now().Add(tokenLifetime)}, nil
}
