// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile ready: the API's client functions.
func init() {
	register(
		mutant{name: "check-looks-at-file", cases: []string{"READY-01"}, client: &client{check: checkFile},
			fault: "CheckAPIReadyNow is content with the socket's file"},
		mutant{name: "check-connects-only", cases: []string{"READY-01"}, client: &client{check: checkConnects},
			fault: "CheckAPIReadyNow is content when somebody accepts"},
		mutant{name: "check-unnamed", cases: []string{"READY-01"}, client: &client{check: checkUnnamed},
			fault: "the error of CheckAPIReadyNow does not name the socket"},
		mutant{name: "check-patient", cases: []string{"READY-01"}, client: &client{check: checkPatient},
			fault: "CheckAPIReadyNow tries again for three seconds"},
		mutant{name: "check-without-deadline", cases: []string{"READY-05"}, client: &client{check: checkWithoutDeadline},
			fault: "CheckAPIReadyNow waits for a silent peer as for a request"},
		mutant{name: "wait-slow-poll", cases: []string{"READY-02"}, client: &client{wait: poll(3*time.Second, api.APIReadyPollTimeout, askReady)},
			fault: "WaitUntilAPIReady asks every three seconds"},
		mutant{name: "wait-for-health", cases: []string{"READY-02"}, client: &client{wait: poll(api.APIReadyPollDuration, api.APIReadyPollTimeout, api.CheckAPIReadyNow)},
			fault: "WaitUntilAPIReady is content with a daemon that is not ready yet"},
		mutant{name: "wait-impatient", cases: []string{"READY-03"}, client: &client{wait: poll(api.APIReadyPollDuration, 20*time.Second, askReady)},
			fault: "WaitUntilAPIReady gives up after 20 s"},
		mutant{name: "wait-overlong", cases: []string{"READY-03"}, client: &client{wait: poll(api.APIReadyPollDuration, api.APIReadyPollTimeout+3*time.Second, askReady)},
			fault: "WaitUntilAPIReady gives up three seconds late"},
		mutant{name: "wait-ends-with-socket", cases: []string{"READY-04"}, client: &client{wait: waitEndsWithSocket},
			fault: "WaitUntilAPIReady gives up when the socket that it has seen is removed"},
		mutant{name: "wait-holds-directory", cases: []string{"READY-04"}, client: &client{wait: waitHoldsDirectory},
			fault: "WaitUntilAPIReady opens the run directory once and never finds one that takes its place"},
	)
}

func checkFile(runDir string) error {
	if info, err := os.Stat(api.SocketPath(runDir)); err == nil && info.Mode().Type() == os.ModeSocket {
		return nil
	}
	return api.CheckAPIReadyNow(runDir)
}

func checkConnects(runDir string) error {
	if conn, err := net.Dial("unix", api.SocketPath(runDir)); err == nil {
		return conn.Close()
	}
	return api.CheckAPIReadyNow(runDir)
}

func checkUnnamed(runDir string) error {
	if api.CheckAPIReadyNow(runDir) != nil {
		return errors.New("the daemon is not reachable")
	}
	return nil
}

func checkPatient(runDir string) error {
	return poll(api.APIReadyPollDuration, 3*time.Second, api.CheckAPIReadyNow)(runDir)
}

func checkWithoutDeadline(runDir string) error {
	_, err := api.DoCNI(api.GetAPIEndpoint(api.MultusHealthAPIEndpoint), nil, api.SocketPath(runDir))
	return err
}

// askReady asks once whether the daemon can serve an ADD, as a client without
// further precautions does.
func askReady(runDir string) error {
	if err := api.CheckAPIReadyNow(runDir); err != nil {
		return err
	}
	_, err := api.DoCNI(api.GetAPIEndpoint(api.MultusReadyAPIEndpoint), nil, api.SocketPath(runDir))
	return err
}

// poll makes a WaitUntilAPIReady of a check.
func poll(period, limit time.Duration, check func(string) error) func(string) error {
	return func(runDir string) error {
		late := time.After(limit)
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			err := check(runDir)
			if err == nil {
				return nil
			}
			select {
			case <-tick.C:
			case <-late:
				return fmt.Errorf("the daemon with socket %s was not ready in time: %w", api.SocketPath(runDir), err)
			}
		}
	}
}

func waitEndsWithSocket(runDir string) error {
	seen, gone := false, errors.New("the socket is gone")
	var end error
	err := poll(api.APIReadyPollDuration, api.APIReadyPollTimeout, func(runDir string) error {
		_, err := os.Stat(api.SocketPath(runDir))
		exists := err == nil
		if seen = seen || exists; seen && !exists {
			end = gone
			return nil
		}
		return askReady(runDir)
	})(runDir)
	return errors.Join(end, err)
}

func waitHoldsDirectory(runDir string) error {
	var dir *os.File
	return poll(api.APIReadyPollDuration, api.APIReadyPollTimeout, func(runDir string) error {
		if dir == nil {
			var err error
			if dir, err = os.Open(runDir); err != nil {
				return err
			}
		}
		return askReady(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	})(runDir)
}
