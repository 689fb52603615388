// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
)

// completeIDs completes the id of a case, with its title beside it.
func completeIDs(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return idsFrom(word), cobra.ShellCompDirectiveNoFileComp
}

// completeIDList completes the last of several ids with commas between them.
func completeIDList(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	return inList(word, idsFrom), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeProfileList completes the last of several profiles.
func completeProfileList(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	return inList(word, profilesFrom), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeTarget completes what --target takes.
func completeTarget(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	for _, known := range []string{"in-process", "socket:"} {
		if word != "" && strings.HasPrefix(known, word) {
			return []string{known}, cobra.ShellCompDirectiveNoSpace
		}
	}
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// inList completes what follows the last comma.
func inList(word string, from func(word string) []string) []string {
	at := strings.LastIndex(word, ",") + 1
	var all []string
	for _, text := range from(word[at:]) {
		all = append(all, word[:at]+text)
	}
	return all
}

func idsFrom(word string) []string {
	catalog, err := conformance.Catalog()
	if err != nil {
		return nil
	}
	var all []string
	for _, k := range catalog.Cases() {
		if strings.HasPrefix(k.ID, strings.ToUpper(word)) {
			all = append(all, k.ID+"\t"+k.Title)
		}
	}
	return all
}

func profilesFrom(word string) []string {
	catalog, err := conformance.Catalog()
	if err != nil {
		return nil
	}
	var all []string
	for _, p := range catalog.Profiles() {
		if strings.HasPrefix(p.Name, word) {
			all = append(all, p.Name+"\t"+p.Title)
		}
	}
	return all
}

// completions gives the flags of all commands that name cases, profiles and
// targets their completion, but for those of mutants, whose --only names mutants.
func completions(root *cobra.Command) {
	byFlag := map[string]cobra.CompletionFunc{
		"only": completeIDList, "skip": completeIDList, "ids": completeIDList, "profiles": completeProfileList, "profile": completeProfileList,
		"target": completeTarget, "peer": completeTarget,
	}
	for _, c := range root.Commands() {
		for name, complete := range byFlag {
			if c.Flags().Lookup(name) != nil && (name != "only" || c.Name() == "run") {
				_ = c.RegisterFlagCompletionFunc(name, complete) // the flag is there
			}
		}
	}
}
