// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"os"
	"strings"
)

// ExpandVariables replaces ${NAME} by environment variables.
func ExpandVariables(text string) (string, error) {
	var missing []string
	text = os.Expand(text, func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("set the environment variable %s to the directory of the binaries", strings.Join(missing, ", "))
	}
	return text, nil
}
