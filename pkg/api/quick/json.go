// SPDX-License-Identifier: Apache-2.0

package quick

// maxDepth bounds how deep values may be nested.
const maxDepth = 64

// scanner walks over a JSON text (RFC 8259) and accepts what encoding/json accepts, within maxDepth.
type scanner struct {
	text  []byte
	at    int
	depth int
}

// next passes over white space and returns the byte behind it, 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take passes over a byte behind white space, if it is there.
func (s *scanner) take(c byte) bool {
	if s.next() != c || s.at == len(s.text) {
		return false
	}
	s.at++
	return true
}

// end reports whether there is nothing more.
func (s *scanner) end() bool { return s.next() == 0 && s.at == len(s.text) }

// object passes over an object. visit gets each key, without its quotes and as it is written, and each value.
func (s *scanner) object(visit func(key, value []byte) bool) bool {
	return s.list('{', '}', func() bool {
		s.next()
		key := s.at
		if !s.string() {
			return false
		}
		name := s.text[key+1 : s.at-1]
		if !s.take(':') {
			return false
		}
		s.next()
		value := s.at
		return s.value() && visit(name, s.text[value:s.at])
	})
}

// list passes over what stands between two brackets, separated by commas.
func (s *scanner) list(begin, end byte, item func() bool) bool {
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxDepth || !s.take(begin) {
		return false
	}
	if s.take(end) {
		return true
	}
	for {
		if !item() {
			return false
		}
		if !s.take(',') {
			return s.take(end)
		}
	}
}

// value passes over any value.
func (s *scanner) value() bool {
	switch s.next() {
	case '{':
		return s.object(func(_, _ []byte) bool { return true })
	case '[':
		return s.list('[', ']', s.value)
	case '"':
		return s.string()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) literal(word string) bool {
	end := s.at + len(word)
	if end > len(s.text) || string(s.text[s.at:end]) != word {
		return false
	}
	s.at = end
	return true
}

func (s *scanner) string() bool {
	if s.at == len(s.text) || s.text[s.at] != '"' {
		return false
	}
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < ' ', c == '\\' && !s.escape():
			return false
		}
	}
	return false
}

// escape passes over an escape but for its last byte.
func (s *scanner) escape() bool {
	s.at++
	if s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.at++
			if s.at == len(s.text) || !isHex(s.text[s.at]) {
				return false
			}
		}
		return true
	}
	return false
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) number() bool {
	s.pass('-')
	if !s.pass('0') && !s.digits() {
		return false
	}
	if s.pass('.') && !s.digits() {
		return false
	}
	if s.pass('e') || s.pass('E') {
		_ = s.pass('+') || s.pass('-')
		return s.digits()
	}
	return true
}

// pass passes over a byte, if it is there.
func (s *scanner) pass(c byte) bool {
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

// digits passes over at least one digit.
func (s *scanner) digits() bool {
	begin := s.at
	for s.at < len(s.text) && isDigit(s.text[s.at]) {
		s.at++
	}
	return s.at > begin
}

// isJSON reports whether a text is one JSON value.
func isJSON(text []byte) bool {
	s := scanner{text: text}
	return s.value() && s.end()
}
