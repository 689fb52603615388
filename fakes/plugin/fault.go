// SPDX-License-Identifier: Apache-2.0

package plugin

// Fault names one thing that is wrong with the plugin; "" means nothing.
type Fault string

// Faulty is a fault as it is listed.
type Faulty struct {
	Name Fault
	// Role is the plugin's role that has it.
	Role Role
	// Rows are the requirements that it breaks.
	Rows []string
	// Wrong says in a sentence what is wrong.
	Wrong string
}

// Faults returns all faults, by role and row.
func Faults() []Faulty {
	var all []Faulty
	for _, role := range []Role{Veth, IPAM, Chain} {
		for _, f := range map[Role][]Faulty{Veth: vethFaults, IPAM: ipamFaults, Chain: chainFaults}[role] {
			f.Role = role
			all = append(all, f)
		}
	}
	return all
}
