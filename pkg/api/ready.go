// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checkTimeout bounds one question about readiness, so that the check ends within the second that it is given even
// when the peer accepts and never answers (READY-01, READY-05).
const checkTimeout = 900 * time.Millisecond

// CheckAPIReadyNow asks once, at MultusHealthAPIEndpoint, whether a daemon can be talked to. The argument is the run
// directory, as in Multus, and not the socket. It returns within one second; its error names the socket and wraps the
// cause (READY-01, READY-05).
func CheckAPIReadyNow(socketPath string) error {
	socket := SocketPath(socketPath)
	a, err := ask(MultusHealthAPIEndpoint, socket)
	if err == nil && a.status != statusOK {
		err = a.failure(socket)
	}
	if err != nil {
		return fmt.Errorf("the daemon with socket %s is not reachable: %w", socket, err)
	}
	return nil
}

// WaitUntilAPIReady returns nil as soon as the daemon can serve an ADD. It asks MultusReadyAPIEndpoint at once and then
// every APIReadyPollDuration, and gives up after APIReadyPollTimeout with an error that names the socket and wraps the
// last cause (READY-02, READY-03). The argument is the run directory, as in Multus, and not the socket.
//
// Each question dials anew, so that it does not matter whether the socket is removed and made again meanwhile
// (READY-04). A daemon that does not know the endpoint is ready when MultusHealthAPIEndpoint answers 200: Multus had
// no readiness of its own before 4.3.
func WaitUntilAPIReady(socketPath string) error {
	ctx, cancel := context.WithTimeout(context.Background(), APIReadyPollTimeout)
	defer cancel()
	return waitReady(ctx, SocketPath(socketPath))
}

// waitReady is WaitUntilAPIReady with the limit in ctx. The questions overlap when the peer is slow: one that hangs on
// a daemon that is going away must not delay the one that reaches its successor.
func waitReady(ctx context.Context, socket string) error {
	start := time.Now()
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error)
	question := func() {
		select {
		case answers <- checkReady(socket):
		case <-asking.Done():
		}
	}
	tick := time.NewTicker(APIReadyPollDuration)
	defer tick.Stop()
	last := errors.New("it has not answered")
	go question()
	for {
		select {
		case err := <-answers:
			if err == nil {
				return nil
			}
			last = err
		case <-tick.C:
			go question()
		case <-ctx.Done():
			return fmt.Errorf("the daemon with socket %s was not ready within %s: %w",
				socket, time.Since(start).Round(APIReadyPollDuration), last)
		}
	}
}

// checkReady asks once whether the daemon can serve an ADD.
func checkReady(socket string) error {
	a, err := ask(MultusReadyAPIEndpoint, socket)
	if err == nil && a.status == statusNotFound {
		a, err = ask(MultusHealthAPIEndpoint, socket)
	}
	if err == nil && a.status != statusOK {
		err = a.failure(socket)
	}
	return err
}

// ask posts null to one of the readiness endpoints and returns whatever is answered within checkTimeout.
func ask(endpoint, socket string) (*answer, error) {
	return post(patient(checkTimeout), message{url: GetAPIEndpoint(endpoint), accept: jsonType}, socket)
}
