// SPDX-License-Identifier: Apache-2.0

// Package ask has the command line that the adapters share: one verb, and what a
// runtime is asked for as flags.
//
//	libcni add --conf-dir /etc/cni/net.d --bin-dir /opt/cni/bin --cache-dir /var/lib/cni \
//	    --id pod1 --netns /run/netns/pod1 --ifname eth0 --network mynet \
//	    --args 'A=1;B=2' --capabilities '{"mac":"0a:00:00:00:00:01"}'
//
// A result goes to stdout as JSON, an error to stderr; the exit status says which.
package ask

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// Request is what a runtime is asked for.
type Request struct {
	// ConfDir holds the network configurations, BinDir the plugins, CacheDir what
	// the runtime keeps.
	ConfDir, BinDir, CacheDir string
	// ID and Netns are the container and the path of its network namespace.
	ID, Netns string
	// Attachments are the networks, each with the name of its interface.
	Attachments []Attachment
	// Args are the pairs of CNI_ARGS.
	Args [][2]string
	// Capabilities are the capability arguments. Numbers are json.Number.
	Capabilities map[string]any
	// Valid are the attachments that GC keeps.
	Valid []types.GCAttachment
}

// Attachment is one network of a container.
type Attachment struct{ Network, IfName string }

// Verb carries out one verb. What it returns is printed as JSON unless it is nil.
type Verb func(context.Context, Request) (any, error)

// Main runs an adapter of the library that is in a module. verbs has add, del,
// check, gc and status, as far as the library can do them; version says which
// version of the module it is.
func Main(name, module string, verbs map[string]Verb) {
	if slices.Equal(os.Args[1:], []string{"version"}) {
		fmt.Println(name, versionOf(module))
		return
	}
	if err := run(os.Args[1:], os.Stdout, verbs); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// versionOf is the version of a module that is in this program.
func versionOf(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of an unknown version"
	}
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return dependency.Version
		}
	}
	return "of an unknown version"
}

func run(args []string, out io.Writer, verbs map[string]Verb) error {
	var known []string
	for verb := range verbs {
		known = append(known, verb)
	}
	slices.Sort(known)
	if len(args) == 0 {
		return fmt.Errorf("a verb is missing: one of %s", strings.Join(known, ", "))
	}
	verb := verbs[args[0]]
	if verb == nil {
		return fmt.Errorf("the verb %q is unknown; there are %s", args[0], strings.Join(known, ", "))
	}
	r, limit, err := parse(args[0], args[1:])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	result, err := verb(ctx, r)
	if err != nil || result == nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// parse returns the request, and how long it may take.
func parse(verb string, args []string) (r Request, limit time.Duration, err error) {
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.StringVar(&r.ConfDir, "conf-dir", "/etc/cni/net.d", "the `directory` of the network configurations")
	flags.StringVar(&r.BinDir, "bin-dir", "/opt/cni/bin", "the `directory` of the plugins")
	flags.StringVar(&r.CacheDir, "cache-dir", "/var/lib/cni", "the `directory` of what the runtime keeps")
	flags.StringVar(&r.ID, "id", "", "the container's `ID`")
	flags.StringVar(&r.Netns, "netns", "", "the `path` of its network namespace")
	networks := flags.String("network", "", "the network's `name`; several with commas")
	ifname := flags.String("ifname", "eth0", "the `name` of the first network's interface; others are counted on, eth1 and so on")
	pairs := flags.String("args", "", "`KEY=VALUE` pairs of CNI_ARGS, with semicolons")
	capabilities := flags.String("capabilities", "", "the capability arguments, a `JSON` object")
	valid := flags.String("valid", "", "the attachments that gc keeps, a `JSON` list of {containerID, ifname}")
	flags.DurationVar(&limit, "timeout", 30*time.Second, "how long it may take: the deadline of the context")
	switch err = flags.Parse(args); {
	case err != nil:
		return r, 0, err
	case flags.NArg() > 0:
		return r, 0, fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	if *networks == "" {
		return r, 0, errors.New("--network is missing")
	}
	r.Attachments = attachments(strings.Split(*networks, ","), *ifname)
	if r.Args, err = arguments(*pairs); err != nil {
		return r, 0, err
	}
	if err := decode("capabilities", *capabilities, &r.Capabilities); err != nil {
		return r, 0, err
	}
	return r, limit, decode("valid", *valid, &r.Valid)
}

// attachments gives each network the name of its interface.
func attachments(networks []string, ifname string) []Attachment {
	prefix := strings.TrimSuffix(ifname, "0")
	all := []Attachment{{Network: networks[0], IfName: ifname}}
	for i, network := range networks[1:] {
		all = append(all, Attachment{Network: network, IfName: fmt.Sprintf("%s%d", prefix, i+1)})
	}
	return all
}

// arguments takes CNI_ARGS apart.
func arguments(text string) ([][2]string, error) {
	var all [][2]string
	for pair := range strings.SplitSeq(text, ";") {
		if pair == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, fmt.Errorf("--args: %q is not KEY=VALUE", pair)
		}
		all = append(all, [2]string{key, value})
	}
	return all, nil
}

// decode reads a flag's JSON; an empty text leaves the value as it is.
func decode(flag, text string, into any) error {
	if text == "" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	return nil
}
