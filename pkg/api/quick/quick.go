// SPDX-License-Identifier: Apache-2.0

// Package quick carries out what a shim is usually asked for, with nothing but system calls. It imports no package but
// syscall, so that a package which calls it from its initialization runs before nearly all others are initialized (The Go
// Programming Language Specification, "Program initialization"): the CNI library's regular expressions and the tables of
// addresses and of letters take longer than a request (SHIM-13).
//
// It knows the way on which nothing is wrong, and leaves whatever is not usual to package api: a mistake of the caller, a
// daemon that is not there, a shim that keeps a log, an answer other than success.
package quick

import "syscall"

// Begun is what has been done of a command that is left to api.Main, which goes on from there: no byte is read or sent
// twice. A nil *Begun means that nothing has been done; standard input has not been read either.
type Begun struct {
	// Input is what has been read of standard input.
	Input []byte
	// More says that there may be more of it: it is longer than maxInput bytes, or cannot be read.
	More bool
	// Conn is the connection over which the daemon got the request, -1 when nothing has been sent.
	Conn int
	// Unsent is the end of the request that the connection has not taken.
	Unsent []byte
	// Answer is what has been received.
	Answer []byte
	// Err is the error that reading the connection has ended with, 0 when it has not.
	Err syscall.Errno
	// Waited is for how many milliseconds the daemon has been waited for.
	Waited int64
}

const (
	// maxInput bounds the configuration, in bytes. Usual ones have some hundred.
	maxInput = 64 << 10
	// maxAnswer bounds the answer, header included.
	maxAnswer = 256 << 10
	// Patience is how long the answer to a request is waited for here, in milliseconds.
	Patience = 240_000
	// DelPatience is Patience for a DEL, whose daemon is asked for a sign of life soon after (SHIM-07).
	DelPatience = 600
)

// Attempt carries out the command that the environment names and ends the process with status 0. It returns when the
// command is not usual, or went another way than usual.
func Attempt() *Begun {
	begun, done := attempt(syscall.Environ(), 0, 1)
	if done {
		syscall.Exit(0)
	}
	return begun
}

// attempt is Attempt with an environment, standard input and standard output.
func attempt(environ []string, stdin, stdout int) (begun *Begun, done bool) {
	env := usualEnv(environ)
	if env == nil || env.inOwnNetns() {
		return nil, false
	}
	input, whole := readInput(stdin)
	begun = &Begun{Input: input, More: !whole, Conn: -1}
	socket, usual := UsualConf(input, env.command)
	if !whole || !usual {
		return begun, false
	}
	if begun.Conn = connect(socket); begun.Conn < 0 {
		return begun, false
	}
	begun.Unsent = env.request(input)
	return begun, begun.exchange(env, stdout)
}

// readInput reads standard input. It is not whole when it is too long, or cannot be read.
func readInput(fd int) (input []byte, whole bool) {
	buffer := make([]byte, 2048)
	for len(input) <= maxInput {
		n, err := syscall.Read(fd, buffer)
		switch {
		case isInterrupt(err):
		case err != nil:
			return input, false
		case n == 0:
			return input, true
		default:
			input = append(input, buffer[:n]...)
		}
	}
	return input, false
}

// isInterrupt and isTimeout tell errors of system calls apart. Package errors has not been initialized.

func isInterrupt(err error) bool { return err == syscall.EINTR } //nolint:errorlint // see above

func isTimeout(err error) bool { return err == syscall.EAGAIN } //nolint:errorlint // see above
