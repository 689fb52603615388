// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// A DEL or STATUS that is not answered after doubtAfter is given up only when the daemon, asked separately, stays
// silent for checkTimeout too. The sum is what "within 2 s" of SHIM-07 and SHIM-08 leaves a hung daemon.
const doubtAfter = 700 * time.Millisecond

// CmdAdd carries out ADD (CNI spec 1.1.0, section 2): it sends the request to the daemon and prints the result on
// standard output in the configuration's cniVersion (SHIM-02). Without a daemon it waits as WaitUntilAPIReady does and
// then fails with code 11 (SHIM-06, SHIM-14). Errors are *types.Error; a daemon's error is returned as it came.
func CmdAdd(args *skel.CmdArgs) error { return command(args, (*call).add) }

// CmdCheck carries out CHECK. It waits for the daemon as CmdAdd does (READY-09).
func CmdCheck(args *skel.CmdArgs) error { return command(args, (*call).wait) }

// CmdDel carries out DEL. It never waits for a daemon (READY-09): when there is none, when it dies before it has
// answered or when it is hung, the DEL is recorded for its successor by RecordPending and succeeds; when that is not
// possible it fails with code 11 and names the directory (SHIM-07). An error that the daemon answered is the DEL's, so
// that the runtime tries again. A daemon that is merely slow is waited for.
func CmdDel(args *skel.CmdArgs) error { return command(args, (*call).del) }

// CmdGC carries out GC (CNI spec 1.1.0, section 2, "GC: Clean up any stale resources"). It waits for the daemon as
// CmdAdd does.
func CmdGC(args *skel.CmdArgs) error { return command(args, (*call).wait) }

// CmdStatus carries out STATUS (CNI spec 1.1.0, section 2, "STATUS: Check plugin status"). It never waits for a
// daemon: without one, or with a hung one, it fails within two seconds with code 50 (SHIM-08).
func CmdStatus(args *skel.CmdArgs) error { return command(args, (*call).status) }

// call is one execution of the shim.
type call struct {
	args   *skel.CmdArgs
	conf   *shimConf
	socket string
	req    *Request
	log    *shimLog
	// begun is the request as package quick has sent it, nil when it has not.
	begun *quick.Begun
}

// command reads the configuration and carries out a call.
func command(args *skel.CmdArgs, do func(*call) error) error {
	// Before anything of the configuration is heeded, paths of files among it.
	if is, err := delegated(); is {
		return err
	}
	conf, err := parseShimConf(args.StdinData)
	if err != nil {
		return err
	}
	return carryOut(args, conf, nil, do)
}

// carryOut prepares a call, of which something may have begun, lets do carry it out and logs the outcome.
func carryOut(args *skel.CmdArgs, conf *shimConf, begun *quick.Begun, do func(*call) error) (err error) {
	start := time.Now()
	log := openShimLog(&conf.ShimNetConf)
	defer log.close()
	c := &call{args: args, conf: conf, socket: SocketPath(conf.MultusSocketDir), log: log, begun: begun}
	if c.req, err = newRequest(args); err == nil {
		err = do(c)
	}
	log.outcome(err, "command", os.Getenv("CNI_COMMAND"), "sandbox", args.ContainerID, "interface", args.IfName,
		"netns", args.Netns, "args", args.Args, "duration", time.Since(start).Round(time.Millisecond))
	return err
}

func (c *call) add() error {
	if c.begun == nil { // else it was asked before
		if err := c.refuseOwnNetns(); err != nil {
			return err
		}
	}
	a, err := c.sendWaiting()
	if err != nil {
		return err
	}
	return a.printResult(c.conf.CNIVersion)
}

// wait is a call whose answer has nothing to be printed.
func (c *call) wait() error {
	_, err := c.sendWaiting()
	return err
}

func (c *call) del() error {
	if c.inOwnNetns() {
		// The path leads to the host's own namespace by now, in which nothing may be deleted; what lives outside
		// the sandbox is to be released all the same (DEL-11), by a daemon of any kind.
		c.req.Env["CNI_NETNS"] = ""
	}
	err := c.sendDoubting()
	var lost *noAnswer
	if !errors.As(err, &lost) {
		return asCNIError(err)
	}
	if recordErr := RecordPending(c.conf.PendingDir, c.req); recordErr != nil {
		return types.NewError(types.ErrTryAgainLater, fmt.Sprintf(
			"no daemon at %s, and the DEL cannot be recorded for later in %s", c.socket, c.conf.PendingDir),
			fmt.Sprintf("%v; %v", lost, recordErr))
	}
	c.log.Warn("DEL recorded for the next daemon", "pendingDir", c.conf.PendingDir, "cause", lost)
	return nil
}

func (c *call) status() error {
	err := c.sendDoubting()
	var lost *noAnswer
	if errors.As(err, &lost) {
		return types.NewError(types.ErrPluginNotAvailable, "the daemon is not available", lost.Error())
	}
	return asCNIError(err)
}

// traceVariables are those in which a runtime passes the trace context of what it does (SEC-05).
var traceVariables = []string{"TRACEPARENT", "TRACESTATE", "BAGGAGE"}

// maxTrace is the longest value of one of them that is passed on, in bytes: more than the standards allow.
const maxTrace = 16 << 10

// newRequest takes the CNI_* variables and the configuration as they are (SHIM-04), and the runtime's trace context. The
// rest of the environment stays here: it is the runtime's, and a delegate must never see it (SEC-01).
func newRequest(args *skel.CmdArgs) (*Request, error) {
	r := &Request{Env: map[string]string{}, Config: args.StdinData}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if slices.Contains(traceVariables, name) && len(value) <= maxTrace && utf8.ValidString(value) {
			r.Env[name] = value // whether it means anything is the daemon's to judge
		}
		if !strings.HasPrefix(name, "CNI_") {
			continue
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			// JSON would silently replace the bytes, and the daemon would act on another name than the runtime meant.
			return nil, types.NewError(types.ErrInvalidEnvironmentVariables,
				fmt.Sprintf("the environment variable %q is not valid UTF-8", name), "")
		}
		r.Env[name] = value
	}
	return r, nil
}

// inOwnNetns reports whether CNI_NETNS is the shim's own network namespace. skel makes the same check, but after the
// command has been carried out, where its error would be a second document on standard output (SHIM-03): it is
// switched off, and made here at a tenth of the cost. A path that leads nowhere is the daemon's to judge.
func (c *call) inOwnNetns() bool {
	override := c.args.NetnsOverride
	c.args.NetnsOverride = "1"
	return override != "1" && !strings.EqualFold(override, "true") && sameFile(c.args.Netns, "/proc/thread-self/ns/net")
}

// refuseOwnNetns is an error for an ADD in the shim's own network namespace (SHIM-15).
func (c *call) refuseOwnNetns() error {
	if !c.inOwnNetns() {
		return nil
	}
	return types.NewError(types.ErrInvalidNetNS, fmt.Sprintf(
		"CNI_NETNS %q is the network namespace that the plugin itself runs in", c.args.Netns), "")
}

// sameFile says whether two paths lead to one file.
func sameFile(a, b string) bool {
	its, errA := os.Stat(a)
	other, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(its, other)
}

// sendWaiting posts the request. When nobody listens, and only then, it waits until the daemon is ready and posts
// again, until APIReadyPollTimeout is over (READY-09, SHIM-06). A request that was sent is never repeated.
func (c *call) sendWaiting() (*answer, error) {
	until := time.Now().Add(APIReadyPollTimeout)
	for {
		a, err := do(c.since(patient(requestTimeout)), c.message(), c.socket)
		if !nobodyListens(err) {
			return a, asCNIError(err)
		}
		c.log.Debug("waiting for the daemon", "cause", err)
		if err := c.waitUntil(until); err != nil {
			return nil, err
		}
	}
}

// waitUntil returns when the daemon is ready, or with code 11 at the given time. A context with a deadline starts the
// runtime's poller, which is why there is none before somebody has to wait.
func (c *call) waitUntil(until time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	if err := waitReady(ctx, c.socket); err != nil {
		return types.NewError(types.ErrTryAgainLater,
			fmt.Sprintf("no daemon serves the socket %s; is it running on this node?", c.socket), err.Error())
	}
	return nil
}

// sendDoubting posts the request once and waits for the answer as long as the daemon gives any sign of life.
func (c *call) sendDoubting() error {
	p := patient(requestTimeout)
	p.doubtAt = time.Now().Add(doubtAfter)
	p.doubt = func() error {
		_, err := ask(MultusHealthAPIEndpoint, c.socket)
		// Any answer is a sign of life, whatever its status. So is a closed door: a daemon that drains may have stopped
		// listening while it still works on this request, and one that died would have broken this connection.
		if err == nil || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		return fmt.Errorf("it accepts requests and does not answer, at %s either: %w", MultusHealthAPIEndpoint, err)
	}
	_, err := do(c.since(p), c.message(), c.socket)
	return err
}

// since is a patience that began when the request was sent.
func (c *call) since(p patience) patience {
	if c.begun != nil {
		waited := time.Duration(c.begun.Waited) * time.Millisecond
		p.until, p.doubtAt = p.until.Add(-waited), p.doubtAt.Add(-waited)
	}
	return p
}

// message is the request, to which a result may come as it is to be printed.
func (c *call) message() message {
	return message{url: GetAPIEndpoint(MultusCNIAPIEndpoint), req: c.req, accept: PrintedResult + ", " + jsonType, begun: c.begun}
}

// asCNIError gives every error the form that CNI wants on standard output; nil stays nil.
func asCNIError(err error) error {
	var cniError *types.Error
	var lost *noAnswer
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cniError):
		return cniError
	case errors.As(err, &lost):
		return types.NewError(types.ErrTryAgainLater, lost.Error(), "")
	}
	return types.NewError(types.ErrInternal, err.Error(), "")
}
