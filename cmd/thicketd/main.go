// SPDX-License-Identifier: Apache-2.0

// Command thicketd is the node daemon: it serves CNI requests on a unix socket
// by executing the delegate plugins of each pod's networks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/buildinfo"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/tracing/otlp"
)

// version is set at build time with -ldflags "-X main.version=…".
var version string

// defaultConfigFile is where Multus keeps its daemon's configuration.
const defaultConfigFile = "/etc/cni/net.d/multus.d/daemon-config.json"

const usage = `thicketd serves CNI requests on a unix socket.

Usage:
  thicketd [--config FILE]                   serve until SIGTERM or SIGINT
  thicketd --check-config [--config FILE]    read the configuration, say what is wrong, and end
  thicketd --ledger-list [--config FILE]     print the recorded sandboxes as a table, and end
  thicketd records [--cni-dir DIR]           print what is recorded, a container and an interface in each line, and end
  thicketd install --dest DIR [--shim FILE]  put the shim (and thicket-passthrough beside it) into the runtime's plugin directory
  thicketd uninstall --dest DIR [--conf-dir DIR]  take the generated configuration and these plugins away
  thicketd approve [--kubeconfig FILE]       approve the certificates that nodes ask for themselves, until SIGTERM
  thicketd explain [--config FILE] --pod NAMESPACE/NAME  say what an ADD of a pod would do, and what is recorded
  thicketd lint FILE…                        judge definitions, pods and CNI configurations as the daemon would
  thicketd --version

Flags:
`

func main() {
	// A program that root runs on every node says in one sentence why it does
	// not start.
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "thicketd: %v\n", err)
			os.Exit(1)
		}
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	subcommands := map[string]func(args []string, stdout, stderr io.Writer) error{"install": install, "uninstall": uninstall, "records": records, "approve": approve, "lint": lintFiles, "explain": explain}
	if len(args) > 0 && subcommands[args[0]] != nil {
		return subcommands[args[0]](args[1:], stdout, stderr)
	}
	flags := newFlags("thicketd", usage, stderr)
	file := flags.String("config", defaultConfigFile, "the configuration, a JSON `file`")
	check := flags.Bool("check-config", false, "read the configuration, print what is wrong with it, and end")
	list := flags.Bool("ledger-list", false, "print the recorded sandboxes as a table and end")
	showVersion := flags.Bool("version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown command %q; see thicketd --help", flags.Arg(0))
	}
	if *showVersion {
		_, err := fmt.Fprintf(stdout, "thicketd %s\n", buildinfo.Version(version))
		return err
	}
	config, warnings, err := load(*file)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "thicketd: warning: %s\n", w)
	}
	if *list {
		return listLedger(config.CNIDir, stdout)
	}
	if *check {
		_, err := fmt.Fprintf(stdout, "%s: ok, %d warnings\n", *file, len(warnings))
		return err
	}
	return serve(config)
}

// newFlags makes the flags of a command, whose help is the usage and then the
// flags.
func newFlags(name, usage string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	return flags
}

// silent keeps the flag package's errors from being printed twice.
func silent(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w; see thicketd --help", err)
}

func load(file string) (*daemon.Config, []string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: %w; name the file with --config", err)
	}
	return daemon.ParseConfig(data, file)
}

// serve runs the daemon until the first signal; a second one ends it at once.
func serve(config *daemon.Config) error {
	// By effective uid and not by name: a container may have no /etc/passwd.
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("root is needed to enter network namespaces and to own the socket, this is uid %d; run it as root", uid)
	}
	log, closeLog, err := daemon.NewLogger(config)
	if err != nil {
		return err
	}
	defer func() { _ = closeLog() }()
	slog.SetDefault(log)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	leaveProcessors()
	if err := admission.FollowMemory(ctx, log); err != nil {
		log.Warn("the garbage collector does not know the node's memory limit", "error", err)
	}
	options := daemon.Options{Config: config, Log: log}
	spans, err := otlp.Open(ctx, buildinfo.Version(version), log)
	if err != nil {
		log.Warn("no spans are exported", "error", err)
	}
	if spans != nil {
		options.Tracer = spans
		defer otlp.Close(spans, log)
	}
	d, err := daemon.New(ctx, options)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { stop() })
	log.Info("thicketd", "version", buildinfo.Version(version))
	return d.Run(ctx)
}

// mostProcessors is how many processors the daemon's own work needs in the
// worst storm: a sandbox takes it about a millisecond.
const mostProcessors = 4

// leaveProcessors has the runtime use half of the processors at most. The
// plugins need the others: each goroutine that becomes ready would have the
// scheduler wake a thread on a processor that a plugin is about to run on.
// GOMAXPROCS in the environment is an operator's word.
func leaveProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(min(max(1, runtime.GOMAXPROCS(0)/2), mostProcessors))
	}
}
