package arch

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README shows the lines of an Example that compiles and runs, no others.
func TestReadmeShowsTheExample(t *testing.T) {
	var readme, example string
	files(t, func(name string, text []byte) {
		switch name {
		case "README.md":
			readme = string(text)
		case "lock/example_test.go":
			example = regexp.MustCompile(`(?m) //nolint.*$`).ReplaceAllString(string(text), "")
		}
	})
	_, block, ok := strings.Cut(readme, "```go\n")
	require.True(t, ok, "no Go in the README")
	block, _, _ = strings.Cut(block, "```")
	// There the servers are named, here they are a parameter.
	block = strings.Replace(block, `"zk1:2181,zk2:2181,zk3:2181"`, "servers", 1)
	var lines []string
	for line := range strings.Lines(block) {
		line = strings.TrimRight(line, "\n")
		if line != "" {
			line = "\t" + line
		}
		lines = append(lines, line)
	}
	require.Contains(t, example, strings.Join(lines, "\n"))
}
