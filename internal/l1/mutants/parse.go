package main

import (
	"fmt"
	"strings"
)

// mutant is one change of one file.
type mutant struct {
	name     string
	file     string // from the top of the repository
	old, new string
}

// parse reads the bank. A mutant is
//
//	# why it is a defect
//	=== name file
//	old lines
//	---
//	new lines
//
// up to the next empty line. Lines are taken with their indentation.
func parse(text string) ([]mutant, error) {
	var all []mutant
	for _, block := range strings.Split(text, "\n\n") {
		for strings.HasPrefix(block, "#") {
			_, block, _ = strings.Cut(block, "\n")
		}
		block = strings.TrimRight(block, "\n")
		if block == "" {
			continue
		}
		head, body, _ := strings.Cut(block, "\n")
		words := strings.Fields(head)
		before, after, ok := strings.Cut(body, "\n---")
		if !ok || len(words) != 3 || words[0] != "===" || before == "" {
			return nil, fmt.Errorf("not a mutant: %q", block)
		}
		all = append(all, mutant{name: words[1], file: words[2], old: before, new: strings.TrimPrefix(after, "\n")})
	}
	return all, nil
}
