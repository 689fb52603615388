// SPDX-License-Identifier: Apache-2.0

package quick

// What the tests compare with package api, which imports this one.
var (
	IsPlain = isPlain
	IsJSON  = isJSON
	TryIn   = attempt

	StatOwnNetns    = statOwnNetns
	StatSocketNetns = statSocketNetns
)

const (
	DefaultSocket = defaultSocket
	PrintedResult = printedResult
	MaxInput      = maxInput
	MaxAnswer     = maxAnswer
	MaxDepth      = maxDepth
)

var (
	Versions = versions[:]
	Keys     = keys[:]
)

// Request is what is sent for an environment and a configuration, nil for one that is unusual.
func Request(environ []string, config []byte) []byte {
	e := usualEnv(environ)
	if e == nil {
		return nil
	}
	return e.request(config)
}

// Body reads an answer.
func Body(answer []byte, toPrint bool) (body []byte, more, usual bool) {
	return (&Begun{Answer: answer}).body(toPrint)
}
