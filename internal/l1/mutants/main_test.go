package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every mutant still fits the code that it is to change. Whether it is killed is
// found out by make mutants.
func TestTheBankFits(t *testing.T) {
	top := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(top, "internal", "l1", "testdata", "mutants.txt"))
	require.NoError(t, err)
	bank, err := parse(string(text))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(bank), 10)
	names := map[string]bool{}
	for _, m := range bank {
		assert.False(t, names[m.name], "two are called %s", m.name)
		names[m.name] = true
		assert.NotEqual(t, m.old, m.new, m.name)
		source, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(m.file)))
		require.NoError(t, err)
		assert.Equal(t, 1, strings.Count(string(source), m.old), "places in %s for %s", m.file, m.name)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"no head", "=== name\nold\n---\nnew", "=== name file\nold, and nothing new", "=== name file\n\n---\nnew",
	} {
		_, err := parse(text)
		require.Error(t, err, text)
	}
	all, err := parse("# why\n\n# why\n=== a b.go\n\told\n---\n\n=== c d.go\nx\n---\ny\n")
	require.NoError(t, err)
	require.Equal(t, []mutant{{"a", "b.go", "\told", ""}, {"c", "d.go", "x", "y"}}, all)
}
