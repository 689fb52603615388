// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile ready: the API's client functions.
var clientMutants = []mutant.Mutant{
	{Name: "check-looks-at-file", Cases: []string{"READY-01"}, Client: &seam.Client{Check: checkFile},
		Fault: "CheckAPIReadyNow is content with the socket's file"},
	{Name: "check-connects-only", Cases: []string{"READY-01", "READY-05"}, Client: &seam.Client{Check: checkConnects},
		Fault: "CheckAPIReadyNow is content when somebody accepts"},
	{Name: "check-unnamed", Cases: []string{"READY-01"}, Client: &seam.Client{Check: checkUnnamed},
		Fault: "the error of CheckAPIReadyNow does not name the socket"},
	{Name: "check-patient", Cases: []string{"READY-01"}, Client: &seam.Client{Check: checkPatient},
		Fault: "CheckAPIReadyNow tries again for three seconds"},
	{Name: "check-without-deadline", Cases: []string{"READY-05"}, Client: &seam.Client{Check: checkWithoutDeadline},
		Fault: "CheckAPIReadyNow waits for a silent peer as for a request"},
	{Name: "wait-slow-poll", Cases: []string{"READY-02"}, Client: &seam.Client{Wait: seam.Poll(3*time.Second, api.APIReadyPollTimeout, askReady)},
		Fault: "WaitUntilAPIReady asks every three seconds"},
	{Name: "wait-for-health", Cases: []string{"READY-02"}, Client: &seam.Client{Wait: seam.Poll(api.APIReadyPollDuration, api.APIReadyPollTimeout, api.CheckAPIReadyNow)},
		Fault: "WaitUntilAPIReady is content with a daemon that is not ready yet"},
	{Name: "wait-impatient", Cases: []string{"READY-03"}, Client: &seam.Client{Wait: seam.Poll(api.APIReadyPollDuration, 20*time.Second, askReady)},
		Fault: "WaitUntilAPIReady gives up after 20 s"},
	{Name: "wait-overlong", Cases: []string{"READY-03"}, Client: &seam.Client{Wait: seam.Poll(api.APIReadyPollDuration, api.APIReadyPollTimeout+3*time.Second, askReady)},
		Fault: "WaitUntilAPIReady gives up three seconds late"},
	{Name: "wait-ends-with-socket", Cases: []string{"READY-04"}, Client: &seam.Client{Wait: waitEndsWithSocket},
		Fault: "WaitUntilAPIReady gives up when the socket that it has seen is removed"},
	{Name: "wait-holds-directory", Cases: []string{"READY-04"}, Client: &seam.Client{Wait: waitHoldsDirectory},
		Fault: "WaitUntilAPIReady opens the run directory once and never finds one that takes its place"},
}

func checkFile(runDir string) error {
	if info, err := os.Stat(api.SocketPath(runDir)); err == nil && info.Mode().Type() == os.ModeSocket {
		return nil
	}
	return api.CheckAPIReadyNow(runDir)
}

func checkConnects(runDir string) error {
	if conn, err := net.Dial("unix", api.SocketPath(runDir)); err == nil { //nolint:noctx // the API's functions have no context
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
	return seam.Poll(api.APIReadyPollDuration, 3*time.Second, api.CheckAPIReadyNow)(runDir)
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

func waitEndsWithSocket(runDir string) error {
	seen, gone := false, errors.New("the socket is gone")
	var end error
	err := seam.Poll(api.APIReadyPollDuration, api.APIReadyPollTimeout, func(runDir string) error {
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
	return seam.Poll(api.APIReadyPollDuration, api.APIReadyPollTimeout, func(runDir string) error {
		if dir == nil {
			var err error
			if dir, err = os.Open(runDir); err != nil {
				return err
			}
		}
		return askReady(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	})(runDir)
}
