package arch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The levels of the design. A package imports from lower levels only.
const (
	words     = iota // the vocabulary and the wire's primitives
	kit              // the protocol, retries, what recipes are made of
	ends             // clients and servers
	recipe           // what users come for
	programs         // commands, examples, chaos suites
	testsOnly        // helps tests; nothing that ships imports it
)

// levels places every package. A new one gets its line here, with the design in
// hand. "/*" stands for all packages of a folder.
func levels() map[string]int {
	return map[string]int{
		"keeper":        words,
		"internal/jute": words,

		"internal/proto": kit,
		"retry":          kit,
		"recipes":        kit,

		"client":    ends,
		"zkserver":  ends,
		"zktest":    ends,
		"adapter/*": ends,

		"lock":     recipe,
		"election": recipe,

		"cmd/*": programs,

		"internal/arch":       testsOnly,
		"internal/l1":         testsOnly,
		"internal/l1/mutants": testsOnly,
		"internal/netproxy":   testsOnly,
		"internal/testenv":    testsOnly,
		"internal/zkreal":     testsOnly,
	}
}

// mayBeside tells the imports that are right although both packages stand on
// the same level.
func mayBeside(from, to string) bool {
	switch from + " imports " + to {
	case "recipes imports retry", // the kit tries again as retry says
		"zktest imports zkserver",                  // a thin Start over it
		"internal/testenv imports internal/zkreal": // one of the servers it runs tests on
		return true
	}
	return false
}

// recipesMay is all that a recipe may import of the module: never a client, so
// that it works on any.
func recipesMay() []string { return []string{"keeper", "retry", "recipes"} }

func levelOf(name string) (int, bool) {
	if l, ok := levels()[name]; ok {
		return l, true
	}
	folder, _, _ := strings.Cut(name, "/")
	l, ok := levels()[folder+"/*"]
	return l, ok
}

// faultsOf tells what is wrong with a package's imports outside its tests.
func faultsOf(importPath string, imports []string) []string {
	name, _ := short(importPath)
	level, known := levelOf(name)
	if !known {
		return []string{name + " has no level: give it one in internal/arch, with the design in hand"}
	}
	var faults []string
	for _, path := range imports {
		if path == "testing" || strings.HasPrefix(path, "testing/") {
			if level != testsOnly && name != "zktest" {
				faults = append(faults, fmt.Sprintf("%s imports %s: only helpers of tests do", name, path))
			}
			continue
		}
		to, inside := short(path)
		if !inside || mayBeside(name, to) || strings.HasPrefix(to, name+"/internal/") {
			continue
		}
		below, known := levelOf(to)
		switch {
		case !known:
			faults = append(faults, fmt.Sprintf("%s imports %s, which has no level", name, to))
		case below >= level:
			faults = append(faults, fmt.Sprintf("%s (level %d) imports %s (level %d)", name, level, to, below))
		case level == recipe && !slices.Contains(recipesMay(), to):
			faults = append(faults, fmt.Sprintf("%s, a recipe, imports %s: only %v are allowed", name, to, recipesMay()))
		}
	}
	return faults
}

func TestPackagesImportFromLowerLevelsOnly(t *testing.T) {
	for _, p := range goList(t, root(t), "-e", "./...") { // whether it compiles is seen elsewhere
		for _, fault := range faultsOf(p.ImportPath, p.Imports) {
			assert.Fail(t, fault)
		}
	}
}

// The rules above find what they are there for.
func TestFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		from, to string
		fault    string // "" for none
	}{
		{"lock", "keeper", ""},
		{"lock", "recipes", ""},
		{"recipes", "retry", ""},
		{"retry", "recipes", "level 1"},
		{"client", "internal/proto", ""},
		{"client", "zkserver", "level 2"},
		{"zkserver", "client", "level 2"},
		{"keeper", "internal/jute", "level 0"},
		{"adapter/gozk", "client", "level 2"},
		{"lock", "client", "a recipe"},
		{"lock", "internal/proto", "a recipe"},
		{"lock", "election", "level 3"},
		{"cmd/conclave", "lock", ""},
		{"cmd/conclave", "cmd/conclave/internal/demo", ""},
		{"cmd/conclave/internal/demo", "cmd/conclave", "level 4"},
		{"cmd/conclave", "internal/zkreal", "level 5"},
		{"client", "internal/netproxy", "level 5"},
		{"newcomer", "keeper", "has no level"},
		{"lock", "newcomer", "has no level"},
	} {
		faults := faultsOf(module+"/"+c.from, []string{"fmt", module + "/" + c.to})
		if c.fault == "" {
			assert.Empty(t, faults, "%s imports %s", c.from, c.to)
		} else if assert.Len(t, faults, 1, "%s imports %s", c.from, c.to) {
			assert.Contains(t, faults[0], c.fault)
		}
	}
	assert.Len(t, faultsOf(module+"/zkserver", []string{"testing"}), 1)
	assert.Empty(t, faultsOf(module+"/zktest", []string{"testing"}))
}
