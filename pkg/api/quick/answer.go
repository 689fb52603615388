// SPDX-License-Identifier: Apache-2.0

package quick

import "syscall"

// body returns the body of the answer when all of it is there. There is more to come, or the answer is none that is usual:
// a success whose length the header tells and which, if it is to be printed, is a printedResult.
func (b *Begun) body(toPrint bool) (body []byte, more, usual bool) {
	const success = "HTTP/1.1 200 OK\r\n"
	begin := min(len(b.Answer), len(success))
	if string(b.Answer[:begin]) != success[:begin] {
		return nil, false, false
	}
	length, mediaType := -1, ""
	for rest := b.Answer[begin:]; ; {
		line, after, found := cutLine(rest)
		switch {
		case !found:
			return nil, true, true
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
			mediaType = value
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

// isField holds of printable ASCII that begins with the name of a field and a colon.
func isField(line string) bool {
	name, _ := cut(line, ':')
	for i := range len(line) {
		if c := line[i]; c < ' ' || c > '~' || c == ' ' && i < len(name) {
			return false
		}
	}
	return name != "" && len(name) < len(line)
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

// print writes the result to standard output. One that cannot be written ends the process with status 1, as skel's: part
// of it may have been.
func print(stdout int, result []byte) bool {
	for len(result) > 0 {
		n, err := syscall.Write(stdout, result)
		if err == syscall.EINTR { //nolint:errorlint // see readInput
			continue
		}
		if err != nil {
			syscall.Exit(1)
		}
		result = result[n:]
	}
	return true
}
