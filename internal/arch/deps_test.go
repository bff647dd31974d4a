package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mayComeAlong is what the packages that users import may bring into their
// builds, beside the standard library.
func mayComeAlong() []string {
	return []string{
		"github.com/cenkalti/backoff/v4",
		"github.com/google/uuid",
		module + "/keeper", module + "/internal/jute",
		module + "/internal/proto", module + "/retry", module + "/recipes",
		module + "/client", module + "/lock", module + "/election",
	}
}

// A user who imports the recipes and the client gets those, the two small
// modules above and the standard library: no testing or metrics library, no
// second ZooKeeper client, no server.
func TestWhatComesAlong(t *testing.T) {
	dir := t.TempDir()
	checkout := root(t)
	for _, imported := range []string{"client", "election", "lock"} {
		require.DirExists(t, filepath.Join(checkout, imported))
	}
	goMod := fmt.Sprintf("module scratch\n\ngo 1.25.0\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", module, module, checkout)
	program := fmt.Sprintf("package main\n\nimport (\n\t_ %q\n\t_ %q\n\t_ %q\n)\n\nfunc main() {}\n",
		module+"/client", module+"/election", module+"/lock")
	write(t, dir, "go.mod", goMod)
	write(t, dir, "main.go", program)
	sums, err := os.ReadFile(filepath.Join(checkout, "go.sum"))
	require.NoError(t, err)
	write(t, dir, "go.sum", string(sums))

	deps := goList(t, dir, "-mod=mod", "-deps", ".")
	require.NotEmpty(t, deps)
	for _, p := range deps {
		if p.Standard {
			assert.NotEqual(t, "testing", p.ImportPath, "the packages users import bring in package testing")
			continue
		}
		if p.ImportPath != "scratch" {
			assert.True(t, allowed(p.ImportPath), "%s comes along with lock, election and client", p.ImportPath)
		}
	}
	goRun(t, dir, nil, "build", "-mod=mod", "-o", filepath.Join(dir, "out"), ".")
}

// allowed tells whether a package, or the module it is in, is on the list.
func allowed(importPath string) bool {
	return slices.ContainsFunc(mayComeAlong(), func(may string) bool {
		if strings.HasPrefix(may, module) {
			return importPath == may
		}
		return importPath == may || strings.HasPrefix(importPath, may+"/")
	})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

// Everything compiles on the systems we cannot test on, the tests included.
func TestBuildsOnOtherSystems(t *testing.T) {
	for _, goos := range []string{"darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			env := []string{"GOOS=" + goos, "CGO_ENABLED=0"}
			goRun(t, root(t), env, "build", "./...")
			goRun(t, root(t), env, "vet", "./...")
		})
	}
}
