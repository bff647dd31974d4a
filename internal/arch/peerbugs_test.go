package arch

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table of docs/robustness.md promises a test for each row, in each package
// it names. It must promise neither more nor less than there is.
func TestRobustnessTableIsTrue(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| ([A-Za-z0-9_]+) \| .* \| ([a-z/, ]+) \|$`)
	promised := map[string]bool{}
	files(t, func(name string, text []byte) {
		if name != "docs/robustness.md" {
			return
		}
		for _, m := range row.FindAllSubmatch(text, -1) {
			for pkg := range strings.SplitSeq(string(m[2]), ", ") {
				promised[pkg+" TestPeerBug_"+string(m[1])] = true
			}
		}
	})
	delete(promised, "packages TestPeerBug_row") // the heading
	require.NotEmpty(t, promised)

	var there []string
	for _, src := range sources(t) {
		for _, decl := range src.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && src.isTest() && strings.HasPrefix(fn.Name.Name, "TestPeerBug_") {
				there = append(there, path.Dir(src.path)+" "+fn.Name.Name)
			}
		}
	}
	for want := range promised {
		require.Contains(t, there, want, "docs/robustness.md names a test that is not there")
	}
	for _, name := range there {
		// A row may have variants: TestPeerBug_B7_Refused belongs to B7.
		require.True(t, promised[name] || slices.ContainsFunc(there, func(whole string) bool {
			return promised[whole] && strings.HasPrefix(name, whole+"_")
		}), "%s is missing in docs/robustness.md", name)
	}
}
