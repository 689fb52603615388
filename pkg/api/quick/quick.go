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

// Begun is what has been done of a command that is left to api.Main. Nothing is lost of it, and nothing is to be done
// twice. It is nil when nothing was.
type Begun struct {
	// Input is what has been read of standard input: all of it, unless it is longer than maxInput bytes.
	Input []byte
	// Conn is the connection over which the daemon got the request, -1 when nothing has been sent.
	Conn int
	// Unsent is the end of the request that the connection has not taken.
	Unsent []byte
	// Answer is what has been received.
	Answer []byte
	// Waited is for how many milliseconds the daemon has been waited for.
	Waited int64
}

const (
	// maxInput bounds the configuration, in bytes. Usual ones have some hundred.
	maxInput = 64 << 10
	// maxAnswer bounds the answer, header included.
	maxAnswer = 256 << 10
	// patience is how long an answer is waited for here, in milliseconds, and delPatience that to a DEL, whose daemon is
	// asked for a sign of life after api's doubtAfter.
	patience    = 240_000
	delPatience = 600
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
	if env == nil || env.inNetns("/proc/thread-self/ns/net") {
		return nil, false
	}
	input, whole := readInput(stdin)
	begun = &Begun{Input: input, Conn: -1}
	if !whole {
		return begun, false
	}
	socket, usual := usualConf(input, env.command)
	if !usual {
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
		case err == syscall.EINTR: //nolint:errorlint // system calls return nothing else, and package errors is not there yet
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

// inNetns reports whether a path leads to the namespace that the shim is asked to work in: that is the host's then
// (SHIM-15).
func (e *env) inNetns(own string) bool {
	var its, other syscall.Stat_t
	return e.netns != "" && syscall.Stat(e.netns, &its) == nil && syscall.Stat(own, &other) == nil &&
		its.Dev == other.Dev && its.Ino == other.Ino
}
