// SPDX-License-Identifier: Apache-2.0

package admission

// firstCost is what a plugin is expected to use before one of its name has
// run, in bytes: a bridge plugin and its host-local together.
const firstCost = 20 << 20

// costs are what plugins are expected to use, by name, in bytes.
type costs map[string]int64

func (c costs) of(plugin string) int64 {
	if cost, known := c[plugin]; known {
		return cost
	}
	return firstCost
}

// learn takes a finished plugin into account. Only the plugin itself is measured,
// so half is added for the IPAM plugin that most have for a child. More is believed at once, less only by and by: an
// estimate that is too low costs the daemon its life.
func (c costs) learn(plugin string, peak int64) {
	if peak <= 0 {
		return
	}
	peak += peak / 2
	if known, ok := c[plugin]; ok && peak < known {
		peak = known - (known-peak)/8
	}
	c[plugin] = peak
}
