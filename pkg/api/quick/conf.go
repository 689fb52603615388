// SPDX-License-Identifier: Apache-2.0

package quick

// versions are those of a configuration with which skel lets ADD and DEL through; CHECK begins with checkVersion.
var versions = [...]string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

const (
	checkVersion = "0.4.0"
	// defaultSocket is the socket when the configuration does not name its directory.
	defaultSocket = "/run/multus/multus.sock"
	// maxSocket is what sockaddr_un holds besides its final NUL, in bytes.
	maxSocket = 107
)

// keys are those that the shim reads. encoding/json takes a key in any letters.
var keys = [...]string{"cniVersion", "name", "daemonSocketDir", "cniDir", "pendingDir", "logFile", "logLevel", "logToStderr"}

// UsualConf reads a configuration as package api does, and asks of it what skel does. It returns the daemon's socket, and
// false for one that is unusual: that has no plain name, no version that the command knows, one of the keys twice or in
// other letters, a value of another type, a log, a path that is not as short as it could be, or a mistake.
func UsualConf(input []byte, command string) (socket string, usual bool) {
	var values [len(keys)]string
	var seen [len(keys)]bool
	s := scanner{text: input}
	usual = s.object(func(key, value []byte) bool {
		i, unusual := indexOf(string(key))
		if unusual || i < 0 {
			return !unusual
		}
		if seen[i] {
			return false
		}
		seen[i] = true
		if keys[i] == "logToStderr" {
			return string(value) == "false"
		}
		if value[0] != '"' || !isText(string(value[1:len(value)-1])) {
			return false
		}
		values[i] = string(value[1 : len(value)-1])
		return true
	})
	version, name, dir, cniDir, pendingDir, log := values[0], values[1], values[2], values[3], values[4], values[5]
	usual = usual && s.end() && isPlain(name) && log == "" && knows(command, version) &&
		isPath(dir) && isPath(cniDir) && isPath(pendingDir)
	if !usual || dir == "" {
		return defaultSocket, usual
	}
	if dir[len(dir)-1] == '/' {
		dir = dir[:len(dir)-1]
	}
	socket = dir + "/multus.sock"
	return socket, len(socket) <= maxSocket
}

// indexOf is the index of a key, -1 when the shim does not read it. It is unusual when it is one in other letters, or may
// be one.
func indexOf(key string) (i int, unusual bool) {
	if !isText(key) {
		return -1, true
	}
	for i, known := range keys {
		if key == known {
			return i, false
		}
		if equalFold(key, known) {
			return -1, true
		}
	}
	return -1, false
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// knows tells whether skel lets a command through with a version.
func knows(command, version string) bool {
	known := command != "CHECK"
	for _, v := range versions {
		known = known || v == checkVersion
		if v == version {
			return known
		}
	}
	return false
}

// isPath holds of no path, and of one from / on that filepath.Clean would leave as it is but for a slash at the end.
func isPath(path string) bool {
	for i := range len(path) {
		if next := i + 1; path[i] == '/' && next < len(path) && (path[next] == '/' || path[next] == '.') {
			return false
		}
	}
	return path == "" || path[0] == '/'
}
