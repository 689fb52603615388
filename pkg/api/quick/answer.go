// SPDX-License-Identifier: Apache-2.0

package quick

import "syscall"

// body returns the body of the answer. more tells that bytes are missing, usual that the answer is, as far as it has come,
// a success whose length the header tells and which, if it is to be printed, is a printedResult.
func (b *Begun) body(toPrint bool) (body []byte, more, usual bool) {
	const success = "HTTP/1.1 200 OK\r\n"
	begin := min(len(b.Answer), len(success))
	if string(b.Answer[:begin]) != success[:begin] {
		return nil, false, false
	}
	length, mediaType, typed := -1, "", false
	for rest := b.Answer[begin:]; ; {
		line, after, found := cutLine(rest)
		switch {
		case !found:
			more = !contains(rest, '\n') // others take an LF alone for the end of a line
			return nil, more, more
		case line == "":
			usual = length >= 0 && (!toPrint || mediaType == printedResult)
			return after[:min(len(after), max(length, 0))], usual && len(after) < length, usual
		}
		name, value := cut(line, ':')
		value = trimSpace(value)
		switch {
		case !isField(line), equalFold(name, "Transfer-Encoding"):
			return nil, false, false
		case equalFold(name, "Content-Length"):
			if length >= 0 || number(value) < 0 {
				return nil, false, false
			}
			length = number(value)
		case equalFold(name, "Content-Type"):
			if typed {
				return nil, false, false
			}
			mediaType, typed = value, true
		}
		rest = after
	}
}

// cutLine splits a text behind its first line, which ends in CR and LF.
func cutLine(text []byte) (line string, after []byte, found bool) {
	for i := 1; i < len(text); i++ {
		if text[i] == '\n' && text[i-1] == '\r' {
			return string(text[:i-1]), text[i+1:], true
		}
	}
	return "", nil, false
}

func contains(text []byte, c byte) bool {
	for i := range text {
		if text[i] == c {
			return true
		}
	}
	return false
}

// isField holds of printable ASCII that begins with a plain name and a colon.
func isField(line string) bool {
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return false
		}
	}
	name, _ := cut(line, ':')
	return isPlain(name) && len(name) < len(line)
}

func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// number is a decimal number of up to maxAnswer, or -1.
func number(digits string) int {
	n := 0
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return -1
		}
		if n = 10*n + int(digits[i]-'0'); n > maxAnswer {
			return -1
		}
	}
	if digits == "" {
		return -1
	}
	return n
}

// printTo writes the result to standard output. It is false when nothing could be written: package api tries again, and says
// what is wrong. A process that cannot write the rest of it ends with status 1.
func printTo(stdout int, result []byte) bool {
	for begun := false; len(result) > 0; {
		n, err := syscall.Write(stdout, result)
		switch {
		case err == nil:
			begun, result = true, result[n:]
		case isInterrupt(err):
		case !begun:
			return false
		case !isTimeout(err) || syscall.SetNonblock(stdout, false) != nil: // it is full, and does not block
			syscall.Exit(1)
		}
	}
	return true
}
