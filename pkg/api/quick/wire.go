// SPDX-License-Identifier: Apache-2.0

package quick

import "syscall"

// connect returns a connection to a unix socket, or -1.
func connect(path string) int {
	// Connecting does not wait: a listener whose backlog is full is as good as none (EAGAIN).
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1
	}
	if syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}) != nil || syscall.SetNonblock(fd, false) != nil {
		_ = syscall.Close(fd)
		return -1
	}
	return fd
}

// printedResult is the Content-Type of an answer that is what a plugin prints (api.PrintedResult).
const printedResult = "application/vnd.thicket.printed-result+json"

// request is the POST that package api would send.
func (e *env) request(config []byte) []byte {
	body := make([]byte, 0, 4096)
	body = append(body, `{"env":{`...)
	for i, variable := range e.passed {
		if i > 0 {
			body = append(body, ',')
		}
		name, value := cut(variable, '=')
		body = append(append(append(append(append(body, '"'), name...), `":"`...), value...), '"')
	}
	body = appendBase64(append(body, `},"config":"`...), config)
	body = append(body, `"}`...)

	r := make([]byte, 0, len(body)+512)
	r = append(r, "POST /cni HTTP/1.1\r\nHost: dummy\r\nUser-Agent: thicket-shim\r\nAccept: "+printedResult+", application/json\r\nContent-Length: "...)
	r = append(appendNumber(r, len(body)), "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"...)
	return append(r, body...)
}

func appendNumber(b []byte, n int) []byte {
	if n >= 10 {
		b = appendNumber(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// appendBase64 appends the standard encoding of RFC 4648, with padding.
func appendBase64(b, data []byte) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for ; len(data) >= 3; data = data[3:] {
		v := uint(data[0])<<16 | uint(data[1])<<8 | uint(data[2])
		b = append(b, alphabet[v>>18], alphabet[v>>12&63], alphabet[v>>6&63], alphabet[v&63])
	}
	switch len(data) {
	case 1:
		v := uint(data[0]) << 4
		b = append(b, alphabet[v>>6], alphabet[v&63], '=', '=')
	case 2:
		v := uint(data[0])<<10 | uint(data[1])<<2
		b = append(b, alphabet[v>>12], alphabet[v>>6&63], alphabet[v&63], '=')
	}
	return b
}

// exchange sends the request and waits for the answer. It is done when that is a success which leaves nothing to do but to
// print it.
func (b *Begun) exchange(e *env, stdout int) (done bool) {
	limit, start := int64(Patience), now()
	if e.command == "DEL" {
		limit = DelPatience
	}
	defer func() { b.Waited = max(now()-start, 0) }()
	if !b.setTimeout(syscall.SO_SNDTIMEO, limit) || !b.setTimeout(syscall.SO_RCVTIMEO, limit) {
		return false
	}
	n, err := syscall.Write(b.Conn, b.Unsent)
	b.Unsent = b.Unsent[max(n, 0):]
	if err != nil || len(b.Unsent) > 0 {
		return false
	}
	toPrint := e.command == "ADD"
	for buffer := make([]byte, 4096); len(b.Answer) <= maxAnswer; {
		n, err := syscall.Read(b.Conn, buffer)
		if n <= 0 && !isInterrupt(err) {
			b.ended(err)
			return false
		}
		b.Answer = append(b.Answer, buffer[:max(n, 0)]...)
		body, more, usual := b.body(toPrint)
		if !more {
			return usual && (!toPrint || isJSON(body) && printTo(stdout, body))
		}
		// A daemon that sends byte by byte, and a signal, must not begin the time anew.
		if !b.setTimeout(syscall.SO_RCVTIMEO, limit-(now()-start)) {
			return false
		}
	}
	return false
}

// setTimeout sets after how many milliseconds reading or writing the connection gives up. It returns false when none are
// left.
func (b *Begun) setTimeout(option int, limit int64) bool {
	timeout := syscall.NsecToTimeval(limit * 1_000_000)
	return limit > 0 && syscall.SetsockoptTimeval(b.Conn, syscall.SOL_SOCKET, option, &timeout) == nil
}

// ended keeps the error that the connection has ended with, which it tells once.
func (b *Begun) ended(err error) {
	if errno, is := err.(syscall.Errno); is && !isTimeout(err) { //nolint:errorlint // see isTimeout
		b.Err = errno
	}
}

// now is a number of milliseconds that only grows. The kernel counts them in hundredths of a second.
func now() int64 {
	var t syscall.Tms
	ticks, err := syscall.Times(&t)
	if err != nil {
		return 0
	}
	return int64(ticks) * 10 //nolint:gosec // of a node that has been up for less than three billion years
}
